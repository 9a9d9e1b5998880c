/*
 * test_reload - the transaction: what is refused leaves nothing changed, what
 * is committed is in force.
 */
#include <errno.h>

#include "tests/unit/master_kit.h"

START_TEST(a_new_service_comes_into_force)
{
	struct kit_outcome told;
	uint16_t port;

	kit_open(KIT_ONE);
	port = kit_port(0);
	kit_configure(KIT_ONE KIT_TWO);
	told = kit_reload(false);
	ck_assert(told.ok);
	ck_assert_uint_eq(told.generation, 2);
	/* Service, two listeners, backend. */
	ck_assert_uint_eq(told.changes, 4);
	ck_assert_uint_eq(atomic_load(&kit.board.head->generation), 2);
	for (unsigned i = 0; i < KIT_WORKERS; i++) {
		/* Not those that it has. */
		ck_assert_uint_eq(kit_workers[i].sockets, 2);
		ck_assert_uint_eq(kit.bodies.refs[i].follows, 2);
	}
	ck_assert_uint_eq(kit_port(0), port);
	ck_assert(kit_listens(port));
	ck_assert(kit_listens(kit_port(2)));
	ck_assert(kit.reload_ok);
	ck_assert_uint_eq(kit.loaded_at_us, kit.reload_at_us);
}
END_TEST

START_TEST(a_removed_service_goes_when_all_follow)
{
	struct kit_outcome told;
	uint16_t port;

	kit_open(KIT_ONE KIT_TWO);
	port = kit_port(2);
	ck_assert(kit_listens(port));
	kit_configure(KIT_ONE);
	told = kit_reload(false);
	ck_assert(told.ok);
	ck_assert_str_eq(told.action, "keep");
	ck_assert(!kit_listens(port));
	ck_assert_int_eq(listeners_fd(&kit.listeners, 2, 0), -1);
	ck_assert_int_eq(plan_service(kit.plan, 1)->state, ROW_REMOVED);
	/* Its row is another's once it has been empty. */
	for (int i = 0; i < 2; i++) {
		kit_configure(i == 0 ? KIT_TWO : KIT_ONE);
		told = kit_reload(false);
		ck_assert(told.ok);
	}
	ck_assert_uint_eq(kit.plan->services.count, 2);
}
END_TEST

START_TEST(nothing_new_is_no_reload)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	told = kit_reload(false);
	ck_assert(told.ok);
	ck_assert_uint_eq(told.generation, 1);
	ck_assert_uint_eq(told.changes, 0);
	ck_assert_uint_eq(kit_workers[0].plans, 1);
	kit_expect_unchanged();
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	told = kit_reload(true);
	ck_assert(told.ok);
	ck_assert_uint_eq(told.generation, 1);
	ck_assert_uint_eq(told.changes, 4);
	for (unsigned i = 0; i < KIT_WORKERS; i++) {
		ck_assert_uint_eq(kit_workers[i].plan, 2);
		ck_assert_uint_eq(kit_workers[i].aborted, 2);
	}
	kit_expect_unchanged();
	ck_assert_uint_eq(kit.reload_at_us, 0);
	/* What was sent once is never used again. */
	told = kit_reload(false);
	ck_assert(told.ok);
	ck_assert_uint_eq(told.generation, 3);
}
END_TEST

START_TEST(errors_are_all_told)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure("nonsense = 1\nmore = 2\n" KIT_ONE);
	told = kit_reload(false);
	ck_assert_uint_eq(told.errors, 2);
	ck_assert(!told.ok);
	ck_assert_ptr_nonnull(strstr(kit.reload_message, "nonsense"));
	ck_assert_ptr_nonnull(strstr(kit.reload_message, "; and 1 more"));
	kit_expect_unchanged();
	(void)unlink(path_of("kit.conf"));
	told = kit_reload(false);
	ck_assert_uint_eq(told.errors, 1);
	ck_assert_ptr_null(strstr(kit.reload_message, " more"));
	kit_expect_unchanged();
}
END_TEST

START_TEST(what_needs_a_restart_is_refused)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure("control { path = /nowhere }\n" KIT_ONE);
	told = kit_reload(false);
	kit_expect_failure(&told, "check", "control.path");
	ck_assert_uint_eq(kit_workers[0].plans, 1);
}
END_TEST

START_TEST(an_address_in_use_is_refused)
{
	struct kit_outcome told;
	struct sockaddr_in sin;
	char text[512];
	int fd;

	kit_open(KIT_ONE);
	fd = tcp_listener(&sin);
	(void)snprintf(text, sizeof(text),
	    KIT_ONE "service two { listen = {127.0.0.1:0, 127.0.0.1:%u} "
		    "backend b { address = builtin:echo } }\n",
	    ntohs(sin.sin_port));
	kit_configure(text);
	told = kit_reload(false);
	kit_expect_failure(&told, "bind", "another socket of this process");
	(void)close(fd);
	told = kit_reload(false);
	ck_assert(told.ok);
}
END_TEST

START_TEST(a_log_that_cannot_be_opened_is_refused)
{
	struct kit_outcome told;

	kit_open(KIT_ONE);
	write_text("kit.conf",
	    "workers = 2\nuser = nobody\n"
	    "log { level = warn target = /nowhere/at/all }\n" KIT_ONE);
	told = kit_reload(false);
	kit_expect_failure(&told, "bind", "/nowhere/at/all");
}
END_TEST

START_TEST(one_at_a_time)
{
	static struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	ck_assert_int_eq(reload_begin(&kit, true, kit_on_done, &told), -EBUSY);
	/* SIGHUPs meanwhile are one more, after it. */
	reload_on_signal(&kit);
	reload_on_signal(&kit);
	ck_assert(kit_run(5000));
	ck_assert_uint_eq(told.generation, 2);
	kit_configure(KIT_ONE);
	(void)kit_run(500);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_uint_eq(kit.plan->generation, 3);
	(void)kit_run(300);
	ck_assert_uint_eq(kit.plan->generation, 3);
}
END_TEST

/* Whoever may only look can't keep others from changing something. */
START_TEST(a_dry_run_makes_way)
{
	static struct kit_outcome dry;
	static struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	for (unsigned i = 1; i <= 2; i++) {
		/* While files are read; while workers prepare. */
		kit_workers[0].manner =
		    i == 1 ? kit_workers[0].manner : KIT_SILENT;
		ck_assert_int_eq(reload_begin(&kit, true, kit_on_done, &dry),
		    0);
		if (i == 2)
			(void)kit_run(300);
		ck_assert_int_eq(kit.next != NULL, i == 2);
		ck_assert_int_eq(reload_begin(&kit, true, NULL, NULL), -EBUSY);
		ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told),
		    0);
		ck_assert_uint_eq(dry.count, i);
		ck_assert_str_eq(dry.stage, "superseded");
		kit_workers[0].manner = kit_workers[1].manner;
		/* The end of the dry run stops the loop, too. */
		for (int n = 0; n < 2 && told.count < i; n++)
			ck_assert(kit_run(5000));
		ck_assert_uint_eq(told.count, i);
		ck_assert(told.ok);
		kit_configure(KIT_ONE);
	}
	ck_assert_int_eq(plan_service(kit.plan, 1)->state, ROW_REMOVED);
}
END_TEST

START_TEST(who_has_gone_is_not_told)
{
	static struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	reload_forget(&kit, &kit);
	reload_forget(&kit, &told);
	(void)kit_run(500);
	ck_assert_uint_eq(told.count, 0);
	ck_assert_uint_eq(kit.plan->generation, 2);
}
END_TEST

START_TEST(a_stop_gives_it_up)
{
	static struct kit_outcome told;

	kit_open(KIT_ONE);
	kit_configure(KIT_ONE KIT_TWO);
	/* While the files are read. */
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	reload_stop(&kit);
	ck_assert_uint_eq(told.count, 1);
	kit_expect_failure(&told, "stop", "stopping");
	(void)kit_run(100);
	/* While workers prepare. */
	kit_workers[0].manner = KIT_SILENT;
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	(void)kit_run(300);
	ck_assert_ptr_nonnull(kit.next);
	reload_stop(&kit);
	ck_assert_uint_eq(told.count, 2);
	kit_expect_failure(&told, "stop", "stopping");
	(void)kit_run(100);
	/* After the commit it is done. */
	kit_workers[0].manner = KIT_STAYS;
	ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told), 0);
	(void)kit_run(300);
	reload_stop(&kit);
	ck_assert(told.ok);
	ck_assert_uint_eq(told.count, 3);
	kit.phase = MASTER_STOPPING;
	ck_assert_int_eq(reload_begin(&kit, false, NULL, NULL), -ESHUTDOWN);
}
END_TEST

static pid_t
child_of_ours(void)
{
	char path[64];
	char text[64] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    getpid());
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	(void)fclose(file);
	return (pid_t)strtol(text, NULL, 10);
}

/* The child that reads stops, then dies: the master goes on meanwhile. */
START_TEST(a_child_that_hangs_holds_nobody_up)
{
	static struct kit_outcome told;
	uint64_t began = 0;
	bool is_stopped = false;

	kit_open(KIT_ONE);
	kit_configure("nonsense = 1\n" KIT_ONE);
	/* It may be faster than we are. */
	for (int n = 0; n < 20 && !is_stopped; n++) {
		told.count = 0;
		ck_assert_int_eq(reload_begin(&kit, false, kit_on_done, &told),
		    0);
		ck_assert_int_eq(kill(child_of_ours(), SIGSTOP), 0);
		began = loop_now_ms(kit.loop);
		is_stopped = !kit_run(200);
	}
	ck_assert(is_stopped);
	ck_assert_uint_lt(loop_now_ms(kit.loop) - began, 400);
	ck_assert_uint_eq(told.count, 0);
	ck_assert_int_eq(kill(child_of_ours(), SIGKILL), 0);
	ck_assert(kit_run(5000));
	ck_assert_uint_eq(told.errors, 1);
	kit_expect_unchanged();
}
END_TEST

/* Counters of a row begin anew with its name; the gateway's totals go on. */
START_TEST(a_name_counts_from_where_its_row_stands)
{
	struct board_row *row;

	kit_open(KIT_ONE KIT_TWO);
	row = board_map_row(kit.board_fd, 1);
	ck_assert_ptr_nonnull(row);
	row->services[1].accepted = 100;
	row->backends[1].failed = 7;
	for (int i = 0; i < 2; i++) {
		kit_configure(i == 0 ? KIT_ONE : KIT_ONE KIT_ONE);
		if (i == 1)
			kit_configure(KIT_ONE
			    "service x { listen = 127.0.0.1:0 "
			    "backend y { address = "
			    "builtin:echo } }\n");
		ck_assert(kit_reload(false).ok);
	}
	/* It was REMOVED only once: x has got a row of its own. */
	ck_assert_uint_eq(kit.plan->services.count, 3);
	kit_configure(KIT_ONE "service z { listen = 127.0.0.1:0 "
			      "backend y { address = builtin:echo } }\n");
	row->services[1].accepted = 150;
	ck_assert(kit_reload(false).ok);
	ck_assert_str_eq(plan_string(kit.plan, plan_service(kit.plan, 1)->name),
	    "z");
	ck_assert_uint_eq(kit.board.head->services[1].accepted, 150);
	ck_assert_uint_eq(kit.board.head->backends[1].failed, 7);
	ck_assert_uint_eq(kit.board.head->services[0].accepted, 0);
}
END_TEST

/* A row with connections stays its name's, whatever the number of reloads. */
START_TEST(a_row_in_use_is_kept)
{
	struct kit_outcome told;
	struct board_row *row;

	kit_open(KIT_ONE KIT_TWO);
	row = board_map_row(kit.board_fd, 0);
	ck_assert_ptr_nonnull(row);
	row->services[1].connections = 3;
	row->backends[1].connections = 3;
	for (int i = 0; i < 4; i++) {
		char text[512];

		(void)snprintf(text, sizeof(text),
		    KIT_ONE "drain_timeout = %ds\n", i + 1);
		kit_configure(text);
		told = kit_reload(false);
		ck_assert(told.ok);
		ck_assert_int_eq(plan_service(kit.plan, 1)->state, ROW_REMOVED);
		ck_assert_int_eq(plan_backend(kit.plan, 1)->state, ROW_REMOVED);
	}
	ck_assert_uint_eq(kit.plan->drain_timeout_ms, 4000);
	row->services[1].connections = 0;
	row->backends[1].connections = 0;
	kit_configure(KIT_ONE);
	ck_assert(kit_reload(false).ok);
	ck_assert_int_eq(plan_service(kit.plan, 1)->state, ROW_EMPTY);
}
END_TEST

/* Levels that were set at run time stay, as long as the files say the same. */
START_TEST(levels_outlive_a_reload)
{
	kit_open(KIT_ONE KIT_TWO);
	master_set_level(&kit, LEVEL_DEBUG, 1);
	(void)kit_run(20);
	ck_assert_uint_eq(kit_workers[0].level_of, 1);
	ck_assert_uint_eq(kit_workers[0].level, LEVEL_DEBUG);
	ck_assert_int_eq(kit.level, LEVEL_WARN);
	ck_assert_int_eq(kit.worker_level, LEVEL_DEBUG);
	/* Again to a successor. */
	kit_workers[0].levels = 0;
	kit_tell(0, CHANNEL_HELLO, 1);
	(void)kit_run(20);
	ck_assert_uint_eq(kit_workers[0].levels, 2);
	kit_configure("drain_timeout = 9s\n" KIT_ONE KIT_TWO);
	ck_assert(kit_reload(false).ok);
	ck_assert_int_eq(kit.service_levels[1], LEVEL_DEBUG);
	/* Its service goes. */
	kit_configure(KIT_ONE);
	ck_assert(kit_reload(false).ok);
	ck_assert_int_eq(kit.service_levels[1], MASTER_NO_LEVEL);
	ck_assert_int_eq(kit.worker_level, LEVEL_WARN);
	ck_assert_uint_eq(kit_workers[0].level_of, CHANNEL_ALL);
	/* The files say something else. */
	master_set_level(&kit, LEVEL_ERROR, CHANNEL_ALL);
	write_text("kit.conf",
	    "workers = 2\nuser = nobody\nlog { level = info }\n" KIT_ONE);
	ck_assert(kit_reload(false).ok);
	ck_assert_int_eq(kit.level, LEVEL_INFO);
	ck_assert_uint_eq(kit_workers[1].level, LEVEL_INFO);
}
END_TEST

UNIT_MAIN_PIDFDS("reload", a_new_service_comes_into_force,
    a_removed_service_goes_when_all_follow, nothing_new_is_no_reload,
    a_dry_run_changes_nothing, errors_are_all_told,
    what_needs_a_restart_is_refused, an_address_in_use_is_refused,
    a_log_that_cannot_be_opened_is_refused, one_at_a_time, a_dry_run_makes_way,
    who_has_gone_is_not_told, a_stop_gives_it_up,
    a_child_that_hangs_holds_nobody_up, a_name_counts_from_where_its_row_stands,
    a_row_in_use_is_kept, levels_outlive_a_reload)
