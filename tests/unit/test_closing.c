/*
 * test_closing - connections closed on request: who is told, whose answers
 * count, and that it ends.
 */
#include <errno.h>

#include "tests/unit/master_kit.h"

static unsigned answers;
static uint64_t closed;

static void
on_done(void *arg, uint64_t count)
{
	ck_assert_ptr_eq(arg, &closed);
	answers++;
	closed = count;
	loop_stop(kit.loop);
}

static void
answer(unsigned i, uint64_t request, uint32_t count)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_CLOSED);
	message.request = request;
	message.count = count;
	kit_say(i, &message);
}

static void
begin(void)
{
	static const struct filter filter = {
	    .criteria = FILTER_ID,
	    .id = 77,
	};

	ck_assert_int_eq(closing_begin(&kit, &filter, true, on_done, &closed),
	    0);
	ck_assert_int_eq(closing_begin(&kit, &filter, true, on_done, &closed),
	    -EBUSY);
	ck_assert_str_eq(closing_hindrance(&kit), CLOSING_IS_BUSY);
	(void)kit_run(20);
	ck_assert_uint_eq(answers, 0);
}

START_TEST(all_workers_are_told_and_counted)
{
	kit_open(KIT_ONE);
	begin();
	for (unsigned i = 0; i < KIT_WORKERS; i++) {
		ck_assert_uint_eq(kit_workers[i].closes, 1);
		ck_assert_uint_eq(kit_workers[i].close.filter.id, 77);
		ck_assert_uint_eq(kit_workers[i].close.filter.criteria,
		    FILTER_ID);
		ck_assert_uint_eq(kit_workers[i].close.is_reset, 1);
		answer(i, kit_workers[i].close.request, 3 + i);
	}
	ck_assert(kit_run(1000));
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(closed, 7);
}
END_TEST

/* Of this master, or of the next one of the same bodies. */
START_TEST(each_is_another_request)
{
	uint64_t seen[3];

	kit_open(KIT_ONE);
	for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
		answers = 0;
		begin();
		seen[i] = kit_workers[0].close.request;
		for (unsigned n = 0; n < KIT_WORKERS; n++)
			answer(n, seen[i], 0);
		ck_assert(kit_run(1000));
		if (i == 1)
			memset(&kit.closing, 0, sizeof(kit.closing));
		for (unsigned before = 0; before < i; before++)
			ck_assert_uint_ne(seen[before], seen[i]);
	}
}
END_TEST

START_TEST(a_successor_is_told_again)
{
	kit_open(KIT_ONE);
	begin();
	kit_tell(0, CHANNEL_HELLO, 1);
	answer(1, kit_workers[1].close.request, 1);
	/* Has answered: not again. */
	kit_tell(1, CHANNEL_HELLO, 1);
	(void)kit_run(20);
	ck_assert_uint_eq(kit_workers[0].closes, 2);
	ck_assert_uint_eq(kit_workers[1].closes, 1);
	answer(0, kit_workers[0].close.request, 5);
	ck_assert(kit_run(1000));
	ck_assert_uint_eq(closed, 6);
}
END_TEST

START_TEST(only_one_answer_counts_and_no_other)
{
	kit_open(KIT_ONE);
	answer(0, 1, 100);
	answer(0, 0, 100);
	(void)kit_run(20);
	begin();
	answer(0, 1000, 100);
	answer(0, kit_workers[0].close.request, 2);
	answer(0, kit_workers[0].close.request, 100);
	(void)kit_run(20);
	ck_assert_uint_eq(answers, 0);
	/* More than there can be. */
	answer(1, kit_workers[1].close.request, UINT32_MAX);
	ck_assert(kit_run(1000));
	ck_assert_uint_eq(closed, 2);
}
END_TEST

START_TEST(who_does_not_answer_is_not_awaited_for_ever)
{
	kit_open(KIT_ONE);
	begin();
	answer(0, kit_workers[0].close.request, 2);
	ck_assert(!kit_run(4000));
	ck_assert(kit_run(2000));
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(closed, 2);
	answer(1, kit_workers[1].close.request, 2);
	(void)kit_run(20);
	ck_assert_uint_eq(answers, 1);
}
END_TEST

START_TEST(a_body_that_ends_owes_nothing)
{
	kit_open(KIT_ONE);
	begin();
	answer(0, kit_workers[0].close.request, 2);
	closing_on_body_end(&kit.bodies.refs[1]);
	ck_assert(kit_run(1000));
	ck_assert_uint_eq(closed, 2);
}
END_TEST

START_TEST(who_has_gone_is_not_told)
{
	kit_open(KIT_ONE);
	begin();
	closing_forget(&kit, &answers);
	closing_forget(&kit, &closed);
	for (unsigned i = 0; i < KIT_WORKERS; i++)
		answer(i, kit_workers[i].close.request, 1);
	(void)kit_run(50);
	ck_assert_uint_eq(answers, 0);
	begin();
	kit.phase = MASTER_DRAINING;
	ck_assert_int_eq(closing_begin(&kit, &kit.closing.filter, false,
			     on_done, &closed),
	    -EBUSY);
	ck_assert_str_eq(closing_hindrance(&kit), RELOAD_STOPS);
}
END_TEST

UNIT_MAIN("closing", all_workers_are_told_and_counted, each_is_another_request,
    a_successor_is_told_again, only_one_answer_counts_and_no_other,
    who_does_not_answer_is_not_awaited_for_ever, a_body_that_ends_owes_nothing,
    who_has_gone_is_not_told)
