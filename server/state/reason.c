/*
 * reason - why a connection ended; see reason.h.
 */
#include "server/state/reason.h"

const char *
reason_word(uint32_t reason)
{
#define REASON_WORD(name, word, meaning) word,
	static const char *const words[] = {CLOSE_REASONS(REASON_WORD)};
#undef REASON_WORD

	return reason < REASON_COUNT ? words[reason] : words[REASON_NONE];
}
