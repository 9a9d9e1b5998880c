/*
 * nearest - the known name that a misspelt one probably means.
 */
#include <string.h>

#include "server/config/key.h"

#define NAME_MAX_BYTES 40

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance of two names of at most NAME_MAX_BYTES. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_BYTES + 1];
	size_t columns = strlen(b);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			size_t above = row[j + 1];

			row[j + 1] = least(above + 1, row[j] + 1,
			    diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[columns];
}

struct search {
	const char *name;
	const char *best;
	size_t best_distance;
};

static void
consider(struct search *search, const char *candidate)
{
	size_t d = distance(search->name, candidate);

	if (d < search->best_distance) {
		search->best = candidate;
		search->best_distance = d;
	}
}

const char *
section_nearest(const struct section *section, const char *name)
{
	struct search search = {.name = name};
	size_t length = strlen(name);

	if (length > NAME_MAX_BYTES)
		return NULL;
	/* Every third letter may be wrong; of a short name, one. */
	search.best_distance = length < 5 ? 2 : length / 3 + 1;
	for (size_t i = 0; i < section->keys_count; i++)
		consider(&search, section->keys[i].name);
	for (size_t i = 0; i < SECTION_TOP; i++) {
		if (&sections[sections[i].parent] == section)
			consider(&search, sections[i].name);
	}
	if (section == &sections[SECTION_TOP])
		consider(&search, "include");
	return search.best;
}
