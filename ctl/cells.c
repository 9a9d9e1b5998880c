/*
 * cells - members of an answer as cells of a table; see cells.h.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/cells.h"
#include "ctl/json.h"
#include "ctl/text.h"

void
cell_text(struct table *table, const json_t *object, const char *key)
{
	table_cell(table, STYLE_PLAIN, json_text_of(object, key));
}

void
cell_empty(struct table *table)
{
	table_cell(table, STYLE_PLAIN, "");
}

void
cell_number(struct table *table, const json_t *object, const char *key)
{
	char text[32];
	int64_t number = json_number_of(object, key);

	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	table_cell(table, STYLE_PLAIN, number == 0 ? "-" : text);
}

void
cell_count(struct table *table, const json_t *object, const char *key)
{
	char text[TEXT_SIZE];

	table_cell(table, STYLE_PLAIN,
	    text_count(json_number_of(object, key), text));
}

void
cell_bad_count(struct table *table, const json_t *object, const char *key)
{
	char text[TEXT_SIZE];
	int64_t count = json_number_of(object, key);

	table_cell(table, count == 0 ? STYLE_PLAIN : STYLE_WARN,
	    text_count(count, text));
}

void
cell_bytes(struct table *table, const json_t *object, const char *key)
{
	char text[TEXT_SIZE];

	table_cell(table, STYLE_PLAIN,
	    text_bytes(json_number_of(object, key), text));
}

void
cell_age(struct table *table, const json_t *object, const char *key)
{
	char text[TEXT_SIZE];

	table_cell(table, STYLE_PLAIN,
	    text_age(json_number_of(object, key) / 1000, text));
}

void
cell_state(struct table *table, const json_t *object, const char *key,
    const char *good, const char *bad)
{
	const char *word = json_text_of(object, key);
	enum table_style style = STYLE_WARN;

	if (strcmp(word, good) == 0)
		style = STYLE_GOOD;
	else if (strcmp(word, bad) == 0)
		style = STYLE_BAD;
	table_cell(table, style, word);
}
