/*
 * test_timers - the wheel, against what is plainly right.
 */
#include <string.h>

#include "server/worker/timers.h"
#include "tests/unit/unit.h"

#define COUNT    200
#define START_MS 1000003
#define PAST_MS  4
#define ROTATION ((uint64_t)TIMERS_TICK_MS * TIMERS_BUCKETS)

static struct timers timers;
static uint32_t fired[COUNT * 4];
static uint32_t fired_count;

static void
note(void *arg, uint32_t number)
{
	(void)arg;
	ck_assert_uint_lt(fired_count, ARRAY_LEN(fired));
	fired[fired_count++] = number;
}

static void
begin(void)
{
	fired_count = 0;
	ck_assert_int_eq(timers_init(&timers, COUNT, START_MS), 0);
}

/* Run until that time as a worker does: waiting as long as it is told. */
static uint64_t
run_until(uint64_t from, uint64_t until, timers_due_fn *due)
{
	uint32_t wait;

	for (uint64_t now = from;; now += wait) {
		timers_run(&timers, now, due, &now);
		wait = timers_wait(&timers, now, 1000);
		if (now >= until)
			return now;
		if (wait == 0)
			wait = 1;
		if (now + wait > until)
			wait = (uint32_t)(until - now);
	}
}

START_TEST(fires_once_and_not_early)
{
	static const uint64_t after[] = {0, 1, 7, 8, 9, 100, 1000, ROTATION - 1,
	    ROTATION, ROTATION + 1, 3 * ROTATION + 5, 3600000};

	for (size_t i = 0; i < ARRAY_LEN(after); i++) {
		uint64_t due = START_MS + after[i];

		begin();
		timers_set(&timers, 7, due);
		(void)run_until(START_MS, due - 1, note);
		ck_assert_uint_eq(fired_count, 0);
		(void)run_until(due, due + TIMERS_TICK_MS, note);
		ck_assert_uint_eq(fired_count, 1);
		ck_assert_uint_eq(fired[0], 7);
		ck_assert_uint_eq(timers.set, 0);
		(void)run_until(due + 8, due + 2 * ROTATION, note);
		ck_assert_uint_eq(fired_count, 1);
		timers_release(&timers);
	}
}
END_TEST

START_TEST(what_is_past_fires_at_the_next_run)
{
	begin();
	timers_set(&timers, 1, 0);
	timers_set(&timers, 2, START_MS - 500000);
	ck_assert_uint_le(timers_wait(&timers, START_MS, 1000), TIMERS_TICK_MS);
	timers_run(&timers, START_MS + TIMERS_TICK_MS, note, NULL);
	ck_assert_uint_eq(fired_count, 2);
	timers_release(&timers);
}
END_TEST

START_TEST(earlier_ones_fire_first)
{
	begin();
	for (uint32_t i = 0; i < COUNT; i++)
		timers_set(&timers, i,
		    START_MS + 20 * (uint64_t)(i * 77 % COUNT));
	(void)run_until(START_MS, START_MS + 20 * COUNT + 20, note);
	ck_assert_uint_eq(fired_count, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		ck_assert_uint_eq(fired[i] * 77 % COUNT, i);
	timers_release(&timers);
}
END_TEST

START_TEST(set_again_moves_and_cancel_ends)
{
	begin();
	timers_set(&timers, 1, START_MS + 100);
	timers_set(&timers, 1, START_MS + 5000);
	timers_set(&timers, 2, START_MS + 5000);
	timers_set(&timers, 2, START_MS + 100);
	timers_set(&timers, 3, START_MS + 100);
	timers_cancel(&timers, 3);
	timers_cancel(&timers, 3);
	timers_cancel(&timers, 4);
	ck_assert_uint_eq(timers.set, 2);
	timers_run(&timers, START_MS + 200, note, NULL);
	ck_assert_uint_eq(fired_count, 1);
	ck_assert_uint_eq(fired[0], 2);
	timers_run(&timers, START_MS + 6000, note, NULL);
	ck_assert_uint_eq(fired_count, 2);
	ck_assert_uint_eq(fired[1], 1);
	timers_release(&timers);
}
END_TEST

/* A worker that was stopped for long. */
START_TEST(a_late_run_finds_all)
{
	begin();
	for (uint32_t i = 0; i < COUNT; i++)
		timers_set(&timers, i, START_MS + (uint64_t)i * 997);
	timers_run(&timers, START_MS + 100 * ROTATION, note, NULL);
	ck_assert_uint_eq(fired_count, COUNT);
	ck_assert_uint_eq(timers_wait(&timers, START_MS, 321), 321);
	timers_release(&timers);
}
END_TEST

/* Timers that act on others as they fire. */
static void
meddle(void *arg, uint32_t number)
{
	uint64_t now = *(uint64_t *)arg;

	note(arg, number);
	switch (number) {
	case 1: /* all three are due with it: of each pair one goes */
		timers_cancel(&timers, 2);
		break;
	case 2:
		timers_cancel(&timers, 1);
		break;
	case 10: /* sets itself anew, to at once and to later */
		if (fired_count < 20)
			timers_set(&timers, 10, now);
		break;
	case 20:
		timers_set(&timers, 21, now + 50);
		timers_set(&timers, 22, 0);
		timers_cancel(&timers, 22);
		break;
	default:
		break;
	}
}

static uint32_t
times_fired(uint32_t number)
{
	uint32_t times = 0;

	for (uint32_t i = 0; i < fired_count; i++)
		times += fired[i] == number;
	return times;
}

START_TEST(due_may_set_and_cancel)
{
	uint64_t now = START_MS + 200;

	begin();
	timers_set(&timers, 1, START_MS + 100);
	timers_set(&timers, 2, START_MS + 100);
	timers_set(&timers, 20, START_MS + 90);
	timers_set(&timers, 21, START_MS + 300000);
	timers_run(&timers, now, meddle, &now);
	ck_assert_uint_eq(times_fired(1) + times_fired(2), 1);
	ck_assert_uint_eq(times_fired(20), 1);
	ck_assert_uint_eq(times_fired(21), 0);
	now += 58;
	timers_run(&timers, now, meddle, &now);
	ck_assert_uint_eq(times_fired(21), 1);
	ck_assert_uint_eq(times_fired(22), 0);
	ck_assert_uint_eq(timers.set, 0);
	timers_release(&timers);
}
END_TEST

/* One that always sets itself to "now" doesn't keep a run from ending. */
START_TEST(a_run_ends)
{
	uint64_t now = START_MS;

	begin();
	timers_set(&timers, 10, now);
	for (uint32_t i = 0; i < 10; i++) {
		now += TIMERS_TICK_MS;
		timers_run(&timers, now, meddle, &now);
		ck_assert_uint_eq(fired_count, i + 1);
	}
	timers_release(&timers);
}
END_TEST

/* The model */

static uint64_t model_due[COUNT]; /* 0: not set */
static uint64_t model_now;

static uint32_t
draw(uint32_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 11) % below;
}

static uint64_t
draw_due(void)
{
	static const uint32_t spans[] = {10, 100, 2000, 9000, 40000, 4000000};

	return model_now + draw(spans[draw(ARRAY_LEN(spans))]) -
	    draw(PAST_MS + 1);
}

static void
model_fire(void *arg, uint32_t number)
{
	(void)arg;
	ck_assert_uint_ne(model_due[number], 0);
	ck_assert_uint_le(model_due[number], model_now);
	model_due[number] = 0;
	if (draw(4) == 0) {
		model_due[number] = draw_due();
		timers_set(&timers, number, model_due[number]);
	}
	if (draw(4) == 0) {
		uint32_t other = draw(COUNT);

		model_due[other] = 0;
		timers_cancel(&timers, other);
	}
}

/* When the first one is due; UINT64_MAX: none is set. */
static uint64_t
model_first(void)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < COUNT; i++) {
		if (model_due[i] != 0 && model_due[i] < first)
			first = model_due[i];
	}
	return first;
}

/* A run fires what is due, but for the part of a tick that is running. */
static void
model_check(void)
{
	uint32_t limit = 1 + draw(3000);
	uint32_t wait = timers_wait(&timers, model_now, limit);
	uint64_t first = model_first();
	uint32_t set = 0;

	for (uint32_t i = 0; i < COUNT; i++)
		set += model_due[i] != 0;
	ck_assert_uint_eq(timers.set, set);
	ck_assert_uint_le(wait, limit);
	if (first == UINT64_MAX) {
		ck_assert_uint_eq(wait, limit);
		return;
	}
	/* draw_due() goes back by up to PAST_MS. */
	ck_assert_uint_gt(first + PAST_MS + TIMERS_TICK_MS, model_now);
	/* In time: by the end of the tick in which it is due. */
	if (first <= model_now)
		ck_assert_uint_le(wait, TIMERS_TICK_MS);
	else
		ck_assert_uint_lt(model_now + wait, first + TIMERS_TICK_MS);
}

START_TEST(agrees_with_a_plain_model)
{
	begin();
	model_now = START_MS;
	for (int step = 0; step < 60000; step++) {
		uint32_t number = draw(COUNT);

		switch (draw(4)) {
		case 0:
			model_due[number] = 0;
			timers_cancel(&timers, number);
			break;
		case 1:
			model_now += draw(draw(200) == 0 ? 100000 : 30);
			timers_run(&timers, model_now, model_fire, NULL);
			model_check();
			break;
		default:
			model_due[number] = draw_due();
			timers_set(&timers, number, model_due[number]);
			break;
		}
	}
	timers_release(&timers);
}
END_TEST

/* A damaged slot can lead to any deadline. */
START_TEST(absurd_deadlines_do_no_harm)
{
	begin();
	timers_set(&timers, 1, UINT64_MAX);
	timers_set(&timers, 2, UINT64_MAX - 3);
	timers_set(&timers, 3, START_MS + 50);
	(void)run_until(START_MS, START_MS + 3 * ROTATION, note);
	ck_assert_uint_eq(fired_count, 1);
	ck_assert_uint_eq(fired[0], 3);
	timers_cancel(&timers, 1);
	timers_cancel(&timers, 2);
	ck_assert_uint_eq(timers.set, 0);
	timers_release(&timers);
}
END_TEST

UNIT_MAIN("timers", fires_once_and_not_early,
    what_is_past_fires_at_the_next_run, earlier_ones_fire_first,
    set_again_moves_and_cancel_ends, a_late_run_finds_all,
    due_may_set_and_cancel, a_run_ends, agrees_with_a_plain_model,
    absurd_deadlines_do_no_harm)
