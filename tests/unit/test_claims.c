/*
 * test_claims - which descriptor numbers belong to something.
 */
#include <fcntl.h>

#include "server/state/body.h"
#include "server/worker/claims.h"
#include "tests/unit/child.h"

START_TEST(a_number_is_claimed_once)
{
	struct claims claims;

	ck_assert_int_eq(claims_init(&claims), 0);
	ck_assert(claims_add(&claims, BODY_FD_FREE));
	ck_assert(!claims_add(&claims, BODY_FD_FREE));
	ck_assert(claims_add(&claims, 64));
	ck_assert(claims_add(&claims, 63));
	ck_assert(!claims_add(&claims, 64));
	ck_assert(claims_add(&claims, 65));
	claims_release(&claims);
}
END_TEST

START_TEST(numbers_have_a_range)
{
	static const int wrong[] = {-1, INT32_MIN, CLAIMS_MAX, INT32_MAX};
	struct claims claims;

	ck_assert_int_eq(claims_init(&claims), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert(!claims_add(&claims, wrong[i]));
	for (int fixed = 0; fixed < BODY_FD_FREE; fixed++)
		ck_assert(!claims_add(&claims, fixed));
	ck_assert(claims_add(&claims, CLAIMS_MAX - 1));
	ck_assert(!claims_add(&claims, CLAIMS_MAX - 1));
	ck_assert_int_eq(claims_first_gap(&claims), BODY_FD_FREE);
	claims_release(&claims);
}
END_TEST

START_TEST(the_first_gap_is_found)
{
	struct claims claims;

	ck_assert_int_eq(claims_init(&claims), 0);
	for (int n = BODY_FD_FREE; n < 300; n++) {
		ck_assert_int_eq(claims_first_gap(&claims), n);
		ck_assert(claims_add(&claims, n));
	}
	ck_assert(claims_add(&claims, 301));
	ck_assert_int_eq(claims_first_gap(&claims), 300);
	ck_assert(claims_add(&claims, 300));
	ck_assert_int_eq(claims_first_gap(&claims), 302);
	claims_release(&claims);
}
END_TEST

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
close_all_but(const int *kept, size_t count)
{
	struct claims claims;

	/* Every number below 200 is open, and a few above. */
	for (int n = 0; n < 200; n++)
		CHILD_CHECK(is_open(n) || dup2(STDERR_FILENO, n) == n);
	CHILD_CHECK(dup2(STDERR_FILENO, 500) == 500);
	CHILD_CHECK(dup2(STDERR_FILENO, 900) == 900);

	CHILD_CHECK(claims_init(&claims) == 0);
	for (size_t i = 0; i < count; i++)
		CHILD_CHECK(claims_add(&claims, kept[i]));
	claims_close_gaps(&claims);
	for (int n = 0; n < 1000; n++) {
		bool is_kept = n < BODY_FD_FREE;

		for (size_t i = 0; i < count; i++)
			is_kept = is_kept || kept[i] == n;
		CHILD_CHECK(is_open(n) == is_kept);
	}
	claims_release(&claims);
}

static void
close_gaps(void *arg)
{
	static const int some[] = {8, 10, 11, 12, 63, 64, 127, 199, 500};

	(void)arg;
	close_all_but(some, ARRAY_LEN(some));
	/* Not the first, and not the last. */
	close_all_but(some + 1, 1);
	close_all_but(some, 0);
}

START_TEST(what_is_not_claimed_is_closed)
{
	child_passes(close_gaps, NULL);
}
END_TEST

UNIT_MAIN("claims", a_number_is_claimed_once, numbers_have_a_range,
    the_first_gap_is_found, what_is_not_claimed_is_closed)
