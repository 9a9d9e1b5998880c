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
	char *text;
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

static void
cells_drop(struct table *table)
{
	for (size_t i = 0; i < table->cells_count; i++)
		free(table->cells[i].text);
	table->cells_count = 0;
}

void
table_free(struct table *table)
{
	cells_drop(table);
	free(table->cells);
	free(table->widths);
	free(table);
}

void
table_cell(struct table *table, enum table_style style, const char *text)
{
	char shown[TEXT_SIZE];
	struct cell *cell;

	if (table->cells_count == table->cells_size) {
		table->cells_size = table->cells_size == 0
		    ? FIRST_CELLS
		    : table->cells_size * 2;
		table->cells = need(reallocarray(table->cells,
		    table->cells_size, sizeof(*table->cells)));
	}
	cell = &table->cells[table->cells_count++];
	cell->text = need(strdup(text_show(text, shown)));
	cell->columns = text_columns(cell->text);
	cell->style = style;
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

/* Make the widest column narrower, by over at most. */
static bool
column_narrow(struct table *table, size_t over)
{
	size_t widest = 0;
	size_t room;

	for (size_t i = 1; i < table->columns_count; i++) {
		if (table->widths[i] > table->widths[widest])
			widest = i;
	}
	if (table->widths[widest] <= CUT_LEAST)
		return false;
	room = table->widths[widest] - CUT_LEAST;
	table->widths[widest] -= over < room ? over : room;
	return true;
}

static void
table_fit(struct table *table)
{
	const struct table_look *look = &table->look;
	size_t width;

	table->widths =
	    need(calloc(table->columns_count, sizeof(*table->widths)));
	for (size_t i = 0; i < table->columns_count; i++) {
		if (!table->columns[i].extra || look->extra || look->width > 0)
			table->widths[i] = column_width(table, i);
	}
	while (look->width > 0 && (width = line_width(table)) > look->width) {
		if (!column_leave_out(table) &&
		    !column_narrow(table, width - look->width))
			break;
	}
}

/* Spaces are owed until a text follows them: none stand at a line's end. */
static void
cell_print(const struct table *table, const struct cell *cell, size_t column,
    size_t *owed, FILE *out)
{
	bool color = table->look.color && cell->style != STYLE_PLAIN;
	bool right = table->columns[column].right;
	size_t width = table->widths[column];
	const char *text = cell->text;
	size_t columns = cell->columns;
	char cut[TEXT_SIZE];
	size_t space;

	if (table->look.width > 0 && columns > width) {
		text = text_cut(text, width, cut);
		columns = text_columns(text);
	}
	/* Without a limit a later row may be wider than the first ones. */
	space = columns < width ? width - columns : 0;
	if (right)
		*owed += space;
	if (text[0] != '\0') {
		fprintf(out, "%*s%s%s%s", (int)*owed, "",
		    table_paint(cell->style, color), text,
		    table_paint(STYLE_PLAIN, color));
		*owed = 0;
	}
	*owed += (right ? 0 : space) + GAP;
}

static void
row_print(const struct table *table, const struct cell *row, FILE *out)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		if (table->widths[i] > 0)
			cell_print(table, &row[i], i, &owed, out);
	}
	fputc('\n', out);
}

static void
titles_print(const struct table *table, FILE *out)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		char title[TEXT_SIZE];
		struct cell cell = {.text = title, .style = STYLE_TITLE};

		if (table->widths[i] == 0)
			continue;
		cell.columns =
		    text_columns(text_show(table->columns[i].title, title));
		cell_print(table, &cell, i, &owed, out);
	}
	fputc('\n', out);
}

void
table_flush(struct table *table, FILE *out)
{
	size_t count = table->columns_count;

	if (table->cells_count < count)
		return;
	if (table->widths == NULL) {
		table_fit(table);
		titles_print(table, out);
	}
	for (size_t i = 0; i + count <= table->cells_count; i += count)
		row_print(table, &table->cells[i], out);
	cells_drop(table);
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
