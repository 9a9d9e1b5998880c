/*
 * claims - which descriptor numbers belong to something; see claims.h.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/state/body.h"
#include "server/worker/claims.h"

#define CLAIMS_BYTES (CLAIMS_MAX / 8)

int
claims_init(struct claims *claims)
{
	void *words = mmap(NULL, CLAIMS_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (words == MAP_FAILED)
		return -errno;
	claims->words = words;
	/* The fixed numbers are nobody's to claim, and no gap. */
	claims->words[0] = (UINT64_C(1) << BODY_FD_FREE) - 1;
	claims->highest = BODY_FD_FREE - 1;
	return 0;
}

void
claims_release(struct claims *claims)
{
	munmap(claims->words, CLAIMS_BYTES);
	claims->words = NULL;
}

static bool
is_claimed(const struct claims *claims, int number)
{
	return (claims->words[number / 64] >> (number % 64) & 1) != 0;
}

bool
claims_add(struct claims *claims, int number)
{
	if (number < BODY_FD_FREE || number >= CLAIMS_MAX ||
	    is_claimed(claims, number))
		return false;
	claims->words[number / 64] |= UINT64_C(1) << (number % 64);
	if (number > claims->highest)
		claims->highest = number;
	return true;
}

void
claims_remove(struct claims *claims, int number)
{
	claims->words[number / 64] &= ~(UINT64_C(1) << (number % 64));
}

int
claims_first_gap(const struct claims *claims)
{
	int number = BODY_FD_FREE;

	while (number <= claims->highest && is_claimed(claims, number))
		number++;
	return number;
}

void
claims_close_gaps(const struct claims *claims)
{
	int first = BODY_FD_FREE;

	for (int number = first; number <= claims->highest; number++) {
		if (!is_claimed(claims, number))
			continue;
		if (number > first)
			(void)close_range((unsigned)first, (unsigned)number - 1,
			    0);
		first = number + 1;
	}
	(void)close_range((unsigned)first, ~0U, 0);
}
