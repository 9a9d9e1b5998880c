/*
 * test_reload_workers - a reload with workers that hang, refuse, die, lie or
 * stay behind.
 */
#include <errno.h>
#include <sys/syscall.h>

#include "tests/unit/master_kit.h"

START_TEST(a_worker_that_hangs_is_named)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	kit_workers[1].manner = KIT_SILENT;
	kit.bodies.refs[1].worker_pid = 4711;
	told = kit_reload(false);
	kit_expect_failure(&told, "prepare", "worker 1 (process 4711)");
	for (unsigned i = 0; i < KIT_WORKERS; i++)
		ck_assert_uint_eq(kit_workers[i].aborted, 2);
	/* What it says late is too late. */
	kit_tell(1, CHANNEL_READY, 2);
	(void)kit_run(20);
	kit_expect_unchanged();
	kit_workers[1].manner = KIT_OBEYS;
	told = kit_reload(false);
	ck_assert(told.ok);
	ck_assert_uint_eq(told.generation, 3);
}
END_TEST

START_TEST(a_worker_that_refuses_is_quoted)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	kit_workers[0].manner = KIT_REFUSES;
	told = kit_reload(false);
	kit_expect_failure(&told, "prepare", "worker 0: not?now");
}
END_TEST

START_TEST(a_body_that_is_missing_is_not_ready)
{
	struct kit_outcome told;
	int fd;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	fd = kit.bodies.refs[1].body_fd;
	kit.bodies.refs[1].body_fd = -1;
	told = kit_reload(false);
	kit.bodies.refs[1].body_fd = fd;
	kit_expect_failure(&told, "prepare", "worker 1 is not running");
}
END_TEST

/* A worker may say anything at any time. */
START_TEST(lies_are_no_answers)
{
	static struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	kit_workers[1].manner = KIT_SILENT;
	/* Before anything was sent for it. */
	kit_tell(1, CHANNEL_READY, 2);
	kit_tell(1, CHANNEL_FOLLOWS, 2);
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	(void)kit_run(300);
	ck_assert_uint_eq(kit_workers[1].plan, 2);
	for (unsigned i = 0; i < 20; i++) {
		kit_tell(1, CHANNEL_READY, i == 2 ? UINT64_MAX : i);
		kit_tell(0, CHANNEL_READY, 2);
		kit_refuse(1, i == 2 ? 0 : i, "no");
		kit_tell(1, CHANNEL_FOLLOWS, UINT64_MAX);
		kit_tell(1, CHANNEL_CLOSED, 0);
		kit_tell(1, CHANNEL_PLAN, 2);
	}
	(void)kit_run(300);
	ck_assert_uint_eq(told.count, 0);
	ck_assert_uint_eq(kit.plan->generation, 1);
	kit_tell(1, CHANNEL_READY, 2);
	ck_assert(!kit_run(300));
	/* Committed; but it follows something else. */
	ck_assert_uint_eq(kit.plan->generation, 2);
	ck_assert_uint_eq(told.count, 0);
	kit_tell(1, CHANNEL_FOLLOWS, 2);
	ck_assert(kit_run(5000));
	ck_assert(told.ok);
}
END_TEST

/* A successor gets what its predecessor may not have taken in. */
START_TEST(a_death_in_prepare_is_a_retry)
{
	static struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	kit_workers[1].manner = KIT_SILENT;
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	(void)kit_run(300);
	ck_assert_uint_eq(kit_workers[1].plans, 2);
	kit_workers[1].manner = KIT_OBEYS;
	kit_tell(1, CHANNEL_HELLO, 1);
	ck_assert(kit_run(5000));
	ck_assert(told.ok);
	/* The plan in force was acknowledged: only the other one came. */
	ck_assert_uint_eq(kit_workers[1].plans, 3);
	ck_assert_uint_eq(kit_workers[1].sockets, 2);
}
END_TEST

/* So does a body that is made anew: both plans, and all sockets. */
START_TEST(a_new_body_in_prepare_gets_both_plans)
{
	static struct kit_outcome told;
	struct body_ref *ref;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	kit_workers[1].manner = KIT_SILENT;
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	(void)kit_run(300);
	ref = &kit.bodies.refs[1];
	courier_close(ref);
	(void)close(kit_workers[1].fd);
	(void)close(ref->body_fd);
	kit_add_body(1);
	kit_tell(1, CHANNEL_HELLO, 0);
	ck_assert(kit_run(5000));
	ck_assert(told.ok);
	ck_assert_uint_eq(kit_workers[1].plans, 2);
	ck_assert_uint_eq(kit_workers[1].sockets, 2);
	ck_assert_uint_eq(kit_workers[1].aborted, 0);
}
END_TEST

/* One that stays behind is killed, and whoever comes after it is awaited. */
START_TEST(a_worker_that_does_not_follow_is_replaced)
{
	static struct kit_outcome told;
	struct body_ref *ref;
	uint16_t port;
	pid_t pid;

	kit_open(KIT_ONE KIT_TWO);
	kit_configure(KIT_ONE);
	port = kit_port(2);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	ref = &kit.bodies.refs[1];
	ref->worker_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ref->holder_pid = getpid();
	kit_workers[1].manner = KIT_STAYS;
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	(void)kit_run(4000);
	/* In force since long, and its listener waits for the last one. */
	ck_assert_uint_eq(kit.plan->generation, 2);
	ck_assert(kit_listens(port));
	ck_assert_int_eq(kill(pid, 0), 0);
	(void)kit_run(1500);
	ck_assert_int_lt(kill(pid, 0), 0);
	ck_assert_uint_eq(told.count, 0);
	kit_tell(1, CHANNEL_HELLO, 2);
	ck_assert(kit_run(1000));
	ck_assert(told.ok);
	ck_assert(!kit_listens(port));
}
END_TEST

/* A worker that does not read fills its channel: nothing is lost by it. */
START_TEST(a_full_channel_is_emptied_later)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_workers[1].manner = KIT_FROZEN;
	for (int i = 0; i < 2000; i++)
		master_set_level(&kit, i % 2 == 0 ? LEVEL_ERROR : LEVEL_WARN,
		    CHANNEL_ALL);
	kit_configure(KIT_ONE KIT_TWO);
	for (int i = 0; i < 2; i++) {
		told = kit_reload(false);
		kit_expect_failure(&told, "prepare", "worker 1");
	}
	kit_workers[1].manner = KIT_OBEYS;
	told = kit_reload(false);
	ck_assert(told.ok);
	ck_assert_uint_eq(kit_workers[1].sockets, 2);
	ck_assert_uint_eq(kit_workers[1].level, LEVEL_WARN);
}
END_TEST

UNIT_MAIN_PIDFDS("reload_workers", a_worker_that_hangs_is_named,
    a_worker_that_refuses_is_quoted, a_body_that_is_missing_is_not_ready,
    lies_are_no_answers, a_death_in_prepare_is_a_retry,
    a_new_body_in_prepare_gets_both_plans,
    a_worker_that_does_not_follow_is_replaced, a_full_channel_is_emptied_later)
