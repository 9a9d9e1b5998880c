/*
 * table - rows of text in aligned columns, for a person.
 *
 * Runs in: srvctl.  Knows nothing of: what the cells mean.
 *
 * Invariants
 *  T1  Widths are those of the terminal, not bytes.
 *  T2  Nothing follows the last column's text.
 *  T3  With a limit no line is wider: columns that may be narrow are made so,
 *      others are left out by their rank, then texts are cut.  Numbers are not:
 *      one of a later row may make its line wider.  Without a limit nothing
 *      is left out or cut.
 */
#ifndef SRVD_CTL_TABLE_H
#define SRVD_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/attr.h"

enum table_style {
	STYLE_PLAIN,
	STYLE_TITLE,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
};

struct table_column {
	const char *title;
	bool right;    /* numbers stand on the right */
	bool extra;    /* only where there is room for it, or it is asked for */
	unsigned rank; /* the highest is left out first; 0: never */
	size_t least;  /* width at least: for rows to come */
	size_t narrow; /* width that will do before others are left out; 0:
			* all that its texts take */
};

/* How things are to be shown somewhere. */
struct table_look {
	bool terminal;
	bool color;
	bool extra;   /* extra columns are asked for */
	size_t width; /* 0: no limit */
};

struct table;

/* A terminal has its width, and colours if nobody said NO_COLOR. */
struct table_look table_look(FILE *out);

/* columns must outlive the table. */
struct table *table_new(const struct table_column *columns, size_t count,
    const struct table_look *look);
void table_free(struct table *table);
/* The next cell, row by row; text is copied and shown by text_show. */
void table_cell(struct table *table, enum table_style style, const char *text);
/* The whole rows since the last time; before the first of all the titles.
 * The first rows decide about columns and widths. */
void table_flush(struct table *table, FILE *out);
/* No row waits to be printed. */
bool table_is_empty(const struct table *table);

/* What switches style on, or all off with STYLE_PLAIN; "" without color. */
const char *table_paint(enum table_style style, bool color);

#endif
