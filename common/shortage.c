/*
 * shortage - what a worker can run out of; see shortage.h.
 */
#include <string.h>

#include "common/shortage.h"

const char *
shortage_word(enum shortage shortage)
{
#define SHORTAGE_WORD(name, word, meaning) word,
	static const char *const words[] = {SHORTAGE_ROWS(SHORTAGE_WORD)};
#undef SHORTAGE_WORD

	return words[shortage];
}

const char *
shortage_meaning(enum shortage shortage)
{
#define SHORTAGE_MEANING(name, word, meaning) meaning,
	static const char *const meanings[] = {SHORTAGE_ROWS(SHORTAGE_MEANING)};
#undef SHORTAGE_MEANING

	return meanings[shortage];
}

enum shortage
shortage_find(const char *word)
{
	unsigned i = 0;

	while (i < SHORTAGES &&
	    strcmp(shortage_word((enum shortage)i), word) != 0)
		i++;
	return (enum shortage)i;
}
