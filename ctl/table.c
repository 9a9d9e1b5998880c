/*
 * table - rows of text in aligned columns; see table.h.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define GAP         2
#define FIRST_CELLS 64

struct cell {
	char *text;
	size_t columns;
	enum table_style style;
};

struct table {
	const struct table_column *columns;
	size_t columns_count;
	struct cell *cells;
	size_t cells_count;
	size_t cells_size;
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
table_new(const struct table_column *columns, size_t count)
{
	struct table *table = need(calloc(1, sizeof(*table)));

	table->columns = columns;
	table->columns_count = count;
	return table;
}

void
table_free(struct table *table)
{
	for (size_t i = 0; i < table->cells_count; i++)
		free(table->cells[i].text);
	free(table->cells);
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
	size_t width = text_columns(table->columns[column].title);

	for (size_t i = column; i < table->cells_count;
	     i += table->columns_count) {
		if (table->cells[i].columns > width)
			width = table->cells[i].columns;
	}
	return width;
}

/* Spaces are owed until a text follows them: none stand at a line's end. */
static void
cell_print(const struct cell *cell, bool right, size_t width, size_t *owed,
    FILE *out)
{
	bool color = cell->style != STYLE_PLAIN;
	size_t space = width - cell->columns;

	if (right)
		*owed += space;
	if (cell->text[0] != '\0') {
		fprintf(out, "%*s%s%s%s", (int)*owed, "",
		    table_paint(cell->style, color), cell->text,
		    table_paint(STYLE_PLAIN, color));
		*owed = 0;
	}
	*owed += (right ? 0 : space) + GAP;
}

static void
row_print(const struct table *table, const struct cell *row,
    const size_t *widths, bool color, FILE *out)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		struct cell cell = row[i];

		if (!color)
			cell.style = STYLE_PLAIN;
		cell_print(&cell, table->columns[i].right, widths[i], &owed,
		    out);
	}
	fputc('\n', out);
}

void
table_print(const struct table *table, FILE *out, bool color)
{
	size_t count = table->columns_count;
	size_t *widths;
	struct cell *titles;

	if (table->cells_count < count)
		return;
	widths = need(calloc(count, sizeof(*widths)));
	titles = need(calloc(count, sizeof(*titles)));
	for (size_t i = 0; i < count; i++) {
		widths[i] = column_width(table, i);
		titles[i].text = need(strdup(table->columns[i].title));
		titles[i].columns = text_columns(titles[i].text);
		titles[i].style = STYLE_TITLE;
	}
	row_print(table, titles, widths, color, out);
	for (size_t i = 0; i + count <= table->cells_count; i += count)
		row_print(table, &table->cells[i], widths, color, out);
	for (size_t i = 0; i < count; i++)
		free(titles[i].text);
	free(titles);
	free(widths);
}

bool
table_color(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (no_color != NULL && no_color[0] != '\0')
		return false;
	if (term == NULL || strcmp(term, "dumb") == 0)
		return false;
	return isatty(fileno(out)) == 1;
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
