/*
 * table - rows of text in aligned columns, for a person.
 *
 * Runs in: srvctl.  Knows nothing of: what the cells mean.  Widths are those
 * of the terminal, not bytes.  Nothing follows the last column's text.
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
	bool right; /* numbers stand on the right */
};

struct table;

/* columns must outlive the table. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);
/* The next cell, row by row; text is copied and shown by text_show. */
void table_cell(struct table *table, enum table_style style, const char *text);
/* Title and rows; nothing at all without rows. */
void table_print(const struct table *table, FILE *out, bool color);

/* Whether colours are wanted there: a terminal, and nobody said NO_COLOR. */
bool table_color(FILE *out);
/* What switches style on, or all off with STYLE_PLAIN; "" without color. */
const char *table_paint(enum table_style style, bool color);

#endif
