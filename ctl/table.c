/*
 * table - rows of text in aligned columns; see table.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/units.h"
#include "ctl/command.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define GAP           2
#define FIRST_CELLS   64
#define WIDTH_DEFAULT 80
#define WIDTH_MAX     10000
#define CUT_LEAST     4 /* a column is not made narrower */

struct cell {
	size_t at; /* of its text in texts */
	size_t columns;
	enum table_style style;
};

/* What stands in a line. */
struct piece {
	const char *text;
	size_t columns;
	enum table_style style;
};

struct table {
	const struct table_column *columns;
	size_t columns_count;
	struct table_look look;
	struct cell *cells;
	size_t cells_count;
	size_t cells_size;
	char *texts; /* all in one: thousands of rows are nothing special */
	size_t texts_used;
	size_t texts_size;
	size_t *widths; /* of each column, 0: left out; NULL: not yet known */
};

static void *
need(void *memory)
{
	if (memory != NULL)
		return memory;
	fputs("srvctl: out of memory\n", stderr);
	exit(CTL_UNREACHED);
}

struct table *
table_new(const struct table_column *columns, size_t count,
    const struct table_look *look)
{
	struct table *table = need(calloc(1, sizeof(*table)));

	table->columns = columns;
	table->columns_count = count;
	table->look = *look;
	return table;
}

void
table_free(struct table *table)
{
	free(table->texts);
	free(table->cells);
	free(table->widths);
	free(table);
}

void
table_cell(struct table *table, enum table_style style, const char *text)
{
	struct cell *cell;

	if (table->texts_size - table->texts_used < TEXT_SIZE) {
		table->texts_size = table->texts_size * 2 + TEXT_SIZE;
		table->texts = need(realloc(table->texts, table->texts_size));
	}
	if (table->cells_count == table->cells_size) {
		table->cells_size = table->cells_size == 0
		    ? FIRST_CELLS
		    : table->cells_size * 2;
		table->cells = need(reallocarray(table->cells,
		    table->cells_size, sizeof(*table->cells)));
	}
	cell = &table->cells[table->cells_count++];
	cell->at = table->texts_used;
	cell->style = style;
	(void)text_show(text, table->texts + cell->at);
	cell->columns = text_columns(table->texts + cell->at);
	table->texts_used += strlen(table->texts + cell->at) + 1;
}

static size_t
column_width(const struct table *table, size_t column)
{
	const struct table_column *wanted = &table->columns[column];
	size_t width = text_columns(wanted->title);

	if (wanted->least > width)
		width = wanted->least;
	for (size_t i = column; i < table->cells_count;
	     i += table->columns_count) {
		if (table->cells[i].columns > width)
			width = table->cells[i].columns;
	}
	return width;
}

static size_t
line_width(const struct table *table)
{
	size_t width = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		if (table->widths[i] > 0)
			width += table->widths[i] + (width == 0 ? 0 : GAP);
	}
	return width;
}

/* Leave out the column of the highest rank. */
static bool
column_leave_out(struct table *table)
{
	size_t found = table->columns_count;
	unsigned rank = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		if (table->widths[i] > 0 && table->columns[i].rank > rank) {
			rank = table->columns[i].rank;
			found = i;
		}
	}
	if (rank == 0)
		return false;
	table->widths[found] = 0;
	return true;
}

/* Make the widest column of texts narrower, by over at most. */
static bool
column_narrow(struct table *table, size_t over)
{
	size_t widest = 0;
	size_t width = CUT_LEAST;
	size_t room;

	for (size_t i = 0; i < table->columns_count; i++) {
		if (!table->columns[i].right && table->widths[i] > width) {
			width = table->widths[i];
			widest = i;
		}
	}
	room = width - CUT_LEAST;
	table->widths[widest] -= over < room ? over : room;
	return room > 0;
}

/* Give the columns that were made narrow what room is left. */
static void
columns_widen(struct table *table, const size_t *wanted)
{
	for (size_t i = 0; i < table->columns_count; i++) {
		size_t width = line_width(table);
		size_t room =
		    width < table->look.width ? table->look.width - width : 0;
		size_t lack = wanted[i] - table->widths[i];

		if (table->widths[i] > 0 && table->columns[i].narrow > 0)
			table->widths[i] += lack < room ? lack : room;
	}
}

static void
table_narrow(struct table *table)
{
	size_t count = table->columns_count;
	size_t *wanted = need(calloc(count, sizeof(*wanted)));
	size_t width;

	memcpy(wanted, table->widths, count * sizeof(*wanted));
	for (size_t i = 0; i < count; i++) {
		size_t narrow = table->columns[i].narrow;

		if (narrow > 0 && narrow < wanted[i])
			table->widths[i] = narrow;
	}
	while ((width = line_width(table)) > table->look.width) {
		if (!column_leave_out(table) &&
		    !column_narrow(table, width - table->look.width))
			break;
	}
	columns_widen(table, wanted);
	free(wanted);
}

static void
table_fit(struct table *table)
{
	const struct table_look *look = &table->look;

	table->widths =
	    need(calloc(table->columns_count, sizeof(*table->widths)));
	for (size_t i = 0; i < table->columns_count; i++) {
		if (!table->columns[i].extra || look->extra || look->width > 0)
			table->widths[i] = column_width(table, i);
	}
	if (look->width > 0 && line_width(table) > look->width)
		table_narrow(table);
}

static void
spaces_print(size_t count, FILE *out)
{
	static const char spaces[] = "                                ";

	while (count > 0) {
		size_t now =
		    count < sizeof(spaces) - 1 ? count : sizeof(spaces) - 1;

		(void)fwrite(spaces, 1, now, out);
		count -= now;
	}
}

/* Spaces are owed until a text follows them: none stand at a line's end. */
static void
piece_print(const struct table *table, const struct piece *piece, size_t column,
    size_t *owed, FILE *out)
{
	bool color = table->look.color && piece->style != STYLE_PLAIN;
	bool right = table->columns[column].right;
	size_t width = table->widths[column];
	const char *text = piece->text;
	size_t columns = piece->columns;
	char cut[TEXT_SIZE];
	size_t space;

	if (table->look.width > 0 && columns > width && !right) {
		text = text_cut(text, width, cut);
		columns = text_columns(text);
	}
	/* A later row may be wider than the first ones. */
	space = columns < width ? width - columns : 0;
	if (right)
		*owed += space;
	if (text[0] != '\0') {
		spaces_print(*owed, out);
		fputs(table_paint(piece->style, color), out);
		fputs(text, out);
		fputs(table_paint(STYLE_PLAIN, color), out);
		*owed = 0;
	}
	*owed += (right ? 0 : space) + GAP;
}

static void
row_print(const struct table *table, const struct cell *row, FILE *out)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		const struct piece piece = {.text = table->texts + row[i].at,
		    .columns = row[i].columns,
		    .style = row[i].style};

		if (table->widths[i] > 0)
			piece_print(table, &piece, i, &owed, out);
	}
	fputc('\n', out);
}

static void
titles_print(const struct table *table, FILE *out)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		const char *title = table->columns[i].title;
		const struct piece piece = {.text = title,
		    .columns = text_columns(title),
		    .style = STYLE_TITLE};

		if (table->widths[i] > 0)
			piece_print(table, &piece, i, &owed, out);
	}
	fputc('\n', out);
}

bool
table_is_empty(const struct table *table)
{
	return table->cells_count < table->columns_count;
}

void
table_flush(struct table *table, FILE *out)
{
	size_t count = table->columns_count;

	if (table_is_empty(table))
		return;
	if (table->widths == NULL) {
		table_fit(table);
		titles_print(table, out);
	}
	for (size_t i = 0; i + count <= table->cells_count; i += count)
		row_print(table, &table->cells[i], out);
	table->cells_count = 0;
	table->texts_used = 0;
}

/* COLUMNS overrules what the terminal says of itself. */
static size_t
terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = {.ws_col = 0};
	uint64_t width = 0;
	char why[128];

	if (columns != NULL &&
	    units_parse_number(columns, 1, WIDTH_MAX, &width, why,
		sizeof(why)) == 0)
		return (size_t)width;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return WIDTH_DEFAULT;
}

static bool
color_is_wanted(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return (no_color == NULL || no_color[0] == '\0') && term != NULL &&
	    term[0] != '\0' && strcmp(term, "dumb") != 0;
}

struct table_look
table_look(FILE *out)
{
	struct table_look look = {.terminal = isatty(fileno(out)) == 1};

	if (!look.terminal)
		return look;
	look.color = color_is_wanted();
	look.width = terminal_width(fileno(out));
	return look;
}

const char *
table_paint(enum table_style style, bool color)
{
	static const char *const codes[] = {
	    [STYLE_PLAIN] = "\033[0m",
	    [STYLE_TITLE] = "\033[1m",
	    [STYLE_GOOD] = "\033[32m",
	    [STYLE_WARN] = "\033[33m",
	    [STYLE_BAD] = "\033[1;31m",
	};

	return color ? codes[style] : "";
}
