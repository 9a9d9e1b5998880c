/*
 * test_loop - the master's event loop: order, removal, timers.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "server/master/loop.h"

#define MANY 300

static struct loop *loop;
static char order[64];

static void
note(const void *arg)
{
	size_t length = strlen(order);

	ck_assert_uint_lt(length, sizeof(order) - 1);
	order[length] = *(const char *)arg;
	order[length + 1] = '\0';
}

static void
timer_notes(struct loop_timer *timer)
{
	note(timer->arg);
}

static void
timer_stops(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void
begin(void)
{
	order[0] = '\0';
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void
run_for(uint64_t ms)
{
	struct loop_timer end = {.due = timer_stops};

	loop_timer_set(loop, &end, ms);
	ck_assert_int_eq(loop_run(loop), 0);
}

START_TEST(timers_fire_in_order_of_time_then_of_setting)
{
	static char names[] = "abcdef";
	static const uint64_t after[] = {5, 0, 5, 2, 0, 5};
	struct loop_timer timers[6];

	begin();
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		timers[i] =
		    (struct loop_timer){.due = timer_notes, .arg = &names[i]};
		loop_timer_set(loop, &timers[i], after[i] * 20);
	}
	run_for(200);
	ck_assert_str_eq(order, "bedacf");
	loop_free(loop);
}
END_TEST

START_TEST(setting_moves_and_cancelling_forgets)
{
	static char names[] = "abc";
	struct loop_timer timers[3];

	begin();
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		timers[i] =
		    (struct loop_timer){.due = timer_notes, .arg = &names[i]};
		loop_timer_set(loop, &timers[i], 0);
	}
	loop_timer_set(loop, &timers[0], 30);
	loop_timer_cancel(loop, &timers[1]);
	loop_timer_cancel(loop, &timers[1]);
	run_for(60);
	ck_assert_str_eq(order, "ca");
	ck_assert(!timers[0].armed && !timers[1].armed && !timers[2].armed);
	loop_free(loop);
}
END_TEST

START_TEST(timers_take_the_time_they_were_given)
{
	struct timespec before;
	struct timespec after;
	int64_t took_ms;

	begin();
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	run_for(50);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	took_ms = (after.tv_sec - before.tv_sec) * 1000 +
	    (after.tv_nsec - before.tv_nsec) / 1000000;
	ck_assert_int_ge(took_ms, 48);
	ck_assert_int_lt(took_ms, 2000);
	loop_free(loop);
}
END_TEST

START_TEST(a_timer_far_away_does_not_wrap)
{
	static char name[] = "x";
	struct loop_timer far = {.due = timer_notes, .arg = name};

	begin();
	loop_timer_set(loop, &far, UINT64_MAX);
	run_for(10);
	ck_assert_str_eq(order, "");
	ck_assert(far.armed);
	loop_free(loop);
}
END_TEST

static void
timer_again(struct loop_timer *timer)
{
	note(timer->arg);
	if (strlen(order) < 50)
		loop_timer_set(loop, timer, 0);
	else
		loop_stop(loop);
}

static void
ready_notes_and_drains(struct loop_watch *watch, uint32_t events)
{
	char byte;

	ck_assert(events & EPOLLIN);
	ck_assert_int_eq(read(watch->fd, &byte, 1), 1);
	note(watch->arg);
}

START_TEST(a_timer_that_is_always_due_does_not_starve_descriptors)
{
	static char names[] = "tr";
	struct loop_timer timer = {.due = timer_again, .arg = &names[0]};
	struct loop_watch watch = {.events = EPOLLIN,
	    .ready = ready_notes_and_drains,
	    .arg = &names[1]};
	int fds[2];

	begin();
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "1", 1), 1);
	watch.fd = fds[0];
	ck_assert_int_eq(loop_add(loop, &watch), 0);
	loop_timer_set(loop, &timer, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_ptr_nonnull(strchr(order, 'r'));
	/* Served by the second round at the latest. */
	ck_assert_int_lt(strchr(order, 'r') - order, 2);
	loop_free(loop);
}
END_TEST

struct killer {
	struct loop_watch watches[2];
	struct loop_watch other;
	int other_fds[2];
	int called;
};

/* Whichever comes first removes the other, and puts one in its slot. */
static void
ready_kills(struct loop_watch *watch, uint32_t events)
{
	struct killer *killer = watch->arg;
	int me = watch == &killer->watches[1];

	(void)events;
	killer->called++;
	loop_remove(loop, &killer->watches[!me]);
	if (killer->other.slot == -1)
		ck_assert_int_eq(loop_add(loop, &killer->other), 0);
	loop_remove(loop, watch);
}

static void
ready_never(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	ck_abort_msg("called with %#x", events);
}

START_TEST(a_removed_watch_is_not_called_even_if_its_event_was_fetched)
{
	struct killer killer = {.called = 0};
	int fds[2][2];

	begin();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(fds[i]), 0);
		ck_assert_int_eq(write(fds[i][1], "1", 1), 1);
		killer.watches[i] = (struct loop_watch){.fd = fds[i][0],
		    .events = EPOLLIN,
		    .ready = ready_kills,
		    .arg = &killer};
		ck_assert_int_eq(loop_add(loop, &killer.watches[i]), 0);
	}
	ck_assert_int_eq(pipe(killer.other_fds), 0);
	killer.other = (struct loop_watch){.fd = killer.other_fds[0],
	    .events = EPOLLIN,
	    .ready = ready_never,
	    .slot = -1};
	run_for(50);
	ck_assert_int_eq(killer.called, 1);
	loop_free(loop);
}
END_TEST

START_TEST(changing_and_removing)
{
	static char name[] = "r";
	struct loop_watch watch = {
	    .events = EPOLLIN, .ready = ready_notes_and_drains, .arg = name};
	int fds[2];

	begin();
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "12", 2), 2);
	watch.fd = fds[0];
	ck_assert_int_eq(loop_change(loop, &watch, EPOLLIN), -ENOENT);
	loop_remove(loop, &watch);
	ck_assert_int_eq(loop_add(loop, &watch), 0);
	ck_assert_int_eq(loop_change(loop, &watch, 0), 0);
	run_for(20);
	ck_assert_str_eq(order, "");
	ck_assert_int_eq(loop_change(loop, &watch, EPOLLIN), 0);
	run_for(20);
	ck_assert_str_eq(order, "rr");
	loop_remove(loop, &watch);
	loop_remove(loop, &watch);
	ck_assert_int_eq(write(fds[1], "3", 1), 1);
	run_for(20);
	ck_assert_str_eq(order, "rr");
	loop_free(loop);
}
END_TEST

START_TEST(what_epoll_refuses_is_an_error_and_takes_no_slot)
{
	struct loop_watch watches[2];
	int fds[2];

	begin();
	ck_assert_int_eq(pipe(fds), 0);
	for (int i = 0; i < 2; i++)
		watches[i] = (struct loop_watch){
		    .fd = fds[0], .events = EPOLLIN, .ready = ready_never};
	ck_assert_int_eq(loop_add(loop, &watches[0]), 0);
	ck_assert_int_eq(loop_add(loop, &watches[1]), -EEXIST);
	ck_assert_int_eq(watches[1].slot, -1);
	watches[1].fd = -1;
	ck_assert_int_eq(loop_add(loop, &watches[1]), -EBADF);
	loop_free(loop);
}
END_TEST

static void
ready_counts(struct loop_watch *watch, uint32_t events)
{
	int *count = watch->arg;

	(void)events;
	loop_remove(loop, watch);
	if (++*count == MANY)
		loop_stop(loop);
}

START_TEST(many_watches_are_all_served)
{
	static struct loop_watch watches[MANY];
	int count = 0;
	int fds[2];

	begin();
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "1", 1), 1);
	for (int i = 0; i < MANY; i++) {
		watches[i] = (struct loop_watch){.fd = dup(fds[0]),
		    .events = EPOLLIN,
		    .ready = ready_counts,
		    .arg = &count};
		ck_assert_int_eq(loop_add(loop, &watches[i]), 0);
	}
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(count, MANY);
	loop_free(loop);
}
END_TEST

START_TEST(a_stop_before_the_run_holds_for_one_run)
{
	begin();
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	run_for(10);
	loop_free(loop);
}
END_TEST

UNIT_MAIN("loop", timers_fire_in_order_of_time_then_of_setting,
    setting_moves_and_cancelling_forgets, timers_take_the_time_they_were_given,
    a_timer_far_away_does_not_wrap,
    a_timer_that_is_always_due_does_not_starve_descriptors,
    a_removed_watch_is_not_called_even_if_its_event_was_fetched,
    changing_and_removing, what_epoll_refuses_is_an_error_and_takes_no_slot,
    many_watches_are_all_served, a_stop_before_the_run_holds_for_one_run)
