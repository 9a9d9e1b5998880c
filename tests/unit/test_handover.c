/*
 * test_handover - what the master does about bodies that are to go; their
 * workers, and holders, are played.
 */
#include <sys/socket.h>

#include "server/master/deaths.h"
#include "server/master/handover.h"
#include "server/master/status.h"
#include "tests/unit/handover_kit.h"

/* Are these the two ends of one channel? */
static bool
are_joined(int a, int b)
{
	char byte = 'x';

	return send(a, &byte, 1, MSG_NOSIGNAL) == 1 &&
	    recv(b, &byte, 1, MSG_DONTWAIT) == 1;
}

START_TEST(a_lost_holders_body_hands_over_to_a_fresh_one)
{
	struct worker_status status;
	struct gateway_status gateway;

	open_gateway();
	lose_holder(1, true);
	/* The fresh one is started; the old one accepts until that does. */
	ck_assert(ref_of(3)->is_current);
	ck_assert(!ref_of(1)->is_current);
	ck_assert_uint_eq(kit_workers[1].retires, 0);
	greet(3);
	ck_assert_uint_eq(kit_workers[1].retires, 1);
	ck_assert_uint_eq(kit_workers[1].give.count, CHANNEL_ALL);
	ck_assert_uint_eq(kit_workers[1].give.request,
	    kit_workers[3].take.request);
	ck_assert_uint_eq(kit_workers[1].give.request,
	    atomic_load(&kit.board.head->transfer));
	ck_assert(are_joined(kit_workers[1].give_fd, kit_workers[3].take_fd));
	/* Acknowledged: nobody else has them. */
	(void)close(kit_workers[3].take_fd);
	ck_assert(!are_joined(kit_workers[1].give_fd, kit_workers[1].give_fd));

	status_gateway(&kit, &gateway);
	ck_assert_uint_eq(gateway.workers, 2);
	ck_assert_uint_eq(gateway.retiring, 1);
	status_worker(&kit, 2, &status);
	ck_assert_uint_eq(status.index, 1);
	ck_assert_str_eq(status.state, "retiring");
	ck_assert_uint_eq(status.connections, 3);
	ck_assert_ptr_nonnull(status.fault);
	status_worker(&kit, 1, &status);
	ck_assert_str_eq(status.state, "running");
	ck_assert_ptr_null(status.fault);

	say_given(1, kit_workers[1].give.request, 3, false);
	end_worker(1);
	ck_assert_int_lt(ref_of(1)->body_fd, 0);
	ck_assert(!ref_of(1)->is_current);
	status_gateway(&kit, &gateway);
	ck_assert_uint_eq(gateway.retiring, 0);
	/* None was lost. */
	ck_assert_uint_eq(deaths_count(ref_of(1)), 0);
	/* Nor is it begun anew. */
	(void)kit_run(1200);
	ck_assert_int_lt(ref_of(1)->body_fd, 0);
}
END_TEST

START_TEST(an_end_that_nobody_has_is_sent_again)
{
	uint64_t transfer;

	open_gateway();
	lose_holder(0, true);
	kit_workers[0].joins = false;
	kit_workers[2].joins = false;
	greet(2);
	transfer = kit_workers[0].give.request;
	ck_assert_uint_ne(transfer, 0);
	/* The giver's worker dies, and later the taker's. */
	kit_workers[0].joins = true;
	kit_workers[0].give.request = 0;
	kit_tell(0, CHANNEL_HELLO, 1);
	(void)kit_run(50);
	ck_assert_uint_eq(kit_workers[0].give.request, transfer);
	ck_assert_uint_eq(kit_workers[0].retires, 2);
	kit_workers[0].give.request = 0;
	kit_workers[2].take.request = 0;
	kit_workers[2].joins = true;
	/* It lives, but said nothing. */
	(void)kit_run(2500);
	ck_assert_uint_eq(kit_workers[2].take.request, transfer);
	ck_assert(are_joined(kit_workers[0].give_fd, kit_workers[2].take_fd));
	/* What is acknowledged is not sent again. */
	ck_assert_uint_eq(kit_workers[0].give.request, 0);
	kit_tell(0, CHANNEL_HELLO, 1);
	(void)kit_run(50);
	ck_assert_uint_eq(kit_workers[0].give.request, 0);
}
END_TEST

START_TEST(a_broken_hand_over_begins_again_with_another)
{
	uint64_t transfer;

	open_gateway();
	lose_holder(1, true);
	greet(3);
	transfer = kit_workers[1].give.request;
	/* Of another transfer, or twice: nothing. */
	say_given(1, transfer + 7, 3, true);
	say_given(1, 0, 3, true);
	say_given(0, transfer, 3, true);
	ck_assert_uint_eq(ref_of(1)->give.transfer, transfer);
	say_given(1, transfer, 1, true);
	say_given(1, transfer, 1, true);
	(void)kit_run(1200);
	ck_assert_uint_eq(kit_workers[1].give.request, transfer + 1);
	ck_assert_uint_eq(kit_workers[0].take.request, transfer + 1);
	ck_assert_uint_eq(ref_of(1)->given, 1);
}
END_TEST

START_TEST(a_taker_that_ends_is_the_end_of_its_channel)
{
	uint64_t transfer;
	char byte;

	open_gateway();
	lose_holder(1, true);
	greet(3);
	transfer = kit_workers[1].give.request;
	(void)close(kit_workers[3].take_fd);
	lose_holder(3, false);
	ck_assert_int_eq(recv(kit_workers[1].give_fd, &byte, 1, MSG_DONTWAIT),
	    0);
	/* Started again in its place: it is the current one. */
	ck_assert(ref_of(3)->is_current);
	(void)kit_run(100);
	ck_assert_int_ge(ref_of(3)->body_fd, 0);
	greet(3);
	/* Nothing new before the giver knows. */
	ck_assert_uint_eq(kit_workers[1].give.request, transfer);
	say_given(1, transfer, 0, true);
	(void)kit_run(1200);
	ck_assert_uint_gt(kit_workers[1].give.request, transfer);
}
END_TEST

START_TEST(a_giver_that_ends_frees_its_taker)
{
	open_gateway();
	lose_holder(1, true);
	greet(3);
	ck_assert_uint_ne(ref_of(3)->take.transfer, 0);
	end_worker(1);
	ck_assert_uint_eq(ref_of(3)->take.transfer, 0);
	ck_assert(handover_may_take(ref_of(3)));
}
END_TEST

START_TEST(an_empty_body_gives_nothing)
{
	open_gateway();
	set_live(1, 0);
	lose_holder(1, true);
	greet(3);
	ck_assert_uint_eq(kit_workers[1].retires, 1);
	ck_assert_uint_eq(kit_workers[1].give.request, 0);
}
END_TEST

START_TEST(a_body_without_successor_goes_on)
{
	open_gateway();
	is_spawning = false;
	lose_holder(0, true);
	(void)kit_run(300);
	is_spawning = true;
	ck_assert_uint_eq(kit_workers[0].retires, 0);
	(void)kit_run(1500);
	greet(2);
	ck_assert_uint_eq(kit_workers[0].retires, 1);
}
END_TEST

/* As the holder writes it down; where is the address that it crashed on. */
static void
crash(unsigned i, uint64_t where)
{
	struct body body;

	ck_assert_int_eq(body_map(ref_of(i)->body_fd, 1, &body), 0);
	body.head->death.cause = DEATH_SIGNAL;
	body.head->death.status = SIGSEGV;
	body.head->death.fault_address = where;
	atomic_fetch_add(&body.head->deaths, 1);
	body_unmap(&body);
	deaths_note(ref_of(i));
	handover_wake(&kit);
	(void)kit_run(50);
}

START_TEST(a_crash_costs_a_fresh_body_once_a_second)
{
	struct worker_status status;

	open_gateway();
	ref_of(0)->started_ms = 0;
	crash(0, 0);
	ck_assert(ref_of(2)->is_current);
	greet(2);
	ck_assert_uint_eq(kit_workers[0].retires, 1);
	status_worker(&kit, 0, &status);
	ck_assert(status.has_death);
	ck_assert_int_eq(status.death_signal, SIGSEGV);
	ck_assert_uint_eq(status.death_address, 0);
	ck_assert_uint_eq(status.respawns, 1);
	/* The fresh one crashes as well. */
	lose_holder(0, true);
	say_given(0, kit_workers[0].give.request, 3, false);
	end_worker(0);
	crash(2, BODY_NO_ADDRESS);
	status_worker(&kit, 0, &status);
	ck_assert_uint_eq(status.death_address, BODY_NO_ADDRESS);
	ck_assert_int_lt(ref_of(0)->body_fd, 0);
	ck_assert(ref_of(2)->is_current);
	(void)kit_run(2200);
	ck_assert(ref_of(0)->is_current);
}
END_TEST

static void
configure_workers(unsigned count, const char *services)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "workers = %u\nuser = nobody\nlog { level = warn }\n%s", count,
	    services);
	write_text("kit.conf", text);
}

static void
end_of_both(unsigned a, unsigned b)
{
	lose_holder(a, false);
	lose_holder(b, false);
	ck_assert_int_lt(ref_of(a)->body_fd, 0);
	ck_assert_int_lt(ref_of(b)->body_fd, 0);
}

START_TEST(fewer_workers_hand_over_to_those_that_stay)
{
	struct kit_outcome told;
	struct worker_status status;

	open_gateway();
	ck_assert_uint_eq(kit_workers[0].extras, 0);
	configure_workers(1, KIT_ONE);
	told = kit_reload(false);
	ck_assert_msg(told.ok, "%s", told.message);
	ck_assert_uint_eq(kit.bodies.count, 1);
	/* Its socket is the other one's before it retires. */
	ck_assert_uint_eq(kit_workers[0].extras, 1);
	(void)kit_run(50);
	ck_assert_uint_eq(kit_workers[1].retires, 1);
	ck_assert_uint_eq(kit_workers[1].give.request,
	    kit_workers[0].take.request);
	status_worker(&kit, 1, &status);
	ck_assert_uint_eq(status.index, 1);
	ck_assert_str_eq(status.state, "retiring");
	/* It follows plans, and has no sockets. */
	configure_workers(1, KIT_ONE KIT_TWO);
	ck_assert(kit_reload(false).ok);
	/* Grown again, while it hands over: in the row beside it. */
	kit_configure(KIT_ONE KIT_TWO);
	told = kit_reload(false);
	ck_assert_msg(told.ok, "%s", told.message);
	ck_assert_uint_eq(kit.bodies.count, 2);
	ck_assert(ref_of(3)->is_current);
	ck_assert(!ref_of(1)->is_current);
	greet(3);
	ck_assert_uint_eq(kit_workers[1].sockets, 0);
	ck_assert_uint_eq(kit_workers[3].sockets, 3);
	ck_assert_uint_eq(kit_workers[0].extras, 0);
	/* And fewer, and more: both rows are taken now. */
	configure_workers(1, KIT_ONE);
	ck_assert(kit_reload(false).ok);
	kit_configure(KIT_ONE);
	told = kit_reload(false);
	ck_assert(!told.ok);
	ck_assert_str_eq(told.stage, "check");
	ck_assert_ptr_nonnull(strstr(told.message, "try again"));
	set_live(3, 0);
	end_of_both(1, 3);
	told = kit_reload(false);
	ck_assert_msg(told.ok, "%s", told.message);
}
END_TEST

START_TEST(one_that_hangs_holds_up_no_reload)
{
	struct kit_outcome told;

	open_gateway();
	kit_workers[1].manner = KIT_FROZEN;
	lose_holder(1, true);
	greet(3);
	ck_assert(ref_of(1)->is_retiring);
	kit_configure(KIT_ONE KIT_TWO);
	told = kit_reload(false);
	ck_assert_msg(told.ok, "%s", told.message);
	ck_assert_uint_eq(ref_of(3)->follows, 2);
	ck_assert_uint_eq(ref_of(1)->follows, 1);
	/* It runs again: it gets there, and others are waited for as ever. */
	kit_workers[1].manner = KIT_OBEYS;
	(void)kit_run(50);
	ck_assert_uint_eq(ref_of(1)->follows, 2);
	kit_workers[0].manner = KIT_SILENT;
	kit_configure(KIT_ONE);
	told = kit_reload(false);
	ck_assert(!told.ok);
	ck_assert_str_eq(told.stage, "prepare");
}
END_TEST

static unsigned warnings;
static char warning[LOG_LINE_SIZE];

static void
keep_warning(enum log_level level, const char *line)
{
	if (level != LEVEL_WARN)
		return;
	warnings++;
	(void)snprintf(warning, sizeof(warning), "%s", line);
}

static void
look(void)
{
	handover_wake(&kit);
	(void)kit_run(20);
}

/* As if it had been so for as long already. */
static void
stand_still(unsigned i)
{
	look();
	ref_of(i)->stall.since_ms -= 10000;
	look();
}

START_TEST(one_that_gets_nowhere_is_told_once)
{
	open_gateway();
	lose_holder(1, true);
	log_open(keep_warning, LEVEL_WARN);
	greet(3);
	/* It takes its time. */
	look();
	ck_assert_uint_eq(ref_of(1)->stall.left, 3);
	ref_of(1)->stall.since_ms -= 10000;
	set_live(1, 2);
	look();
	ck_assert_uint_eq(warnings, 0);
	stand_still(1);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_msg(strstr(warning, "worker 1's connections") != NULL &&
		strstr(warning, "connections=2") != NULL,
	    "%s", warning);
	set_live(1, 1);
	stand_still(1);
	ck_assert_uint_eq(warnings, 1);
	/* One that does not retire has them for as long as it likes. */
	stand_still(0);
	ck_assert_uint_eq(warnings, 1);
	/* The next of the same row is another. */
	say_given(1, kit_workers[1].give.request, 1, false);
	end_worker(1);
	ck_assert(!ref_of(1)->stall.is_said);
}
END_TEST

START_TEST(nothing_begins_while_it_stops)
{
	open_gateway();
	kit.phase = MASTER_DRAINING;
	lose_holder(0, true);
	(void)kit_run(1200);
	ck_assert(ref_of(0)->is_current);
	ck_assert_int_lt(ref_of(2)->body_fd, 0);
}
END_TEST

UNIT_MAIN_PIDFDS("handover", a_lost_holders_body_hands_over_to_a_fresh_one,
    an_end_that_nobody_has_is_sent_again,
    a_broken_hand_over_begins_again_with_another,
    a_taker_that_ends_is_the_end_of_its_channel,
    a_giver_that_ends_frees_its_taker, an_empty_body_gives_nothing,
    a_body_without_successor_goes_on, a_crash_costs_a_fresh_body_once_a_second,
    fewer_workers_hand_over_to_those_that_stay,
    one_that_hangs_holds_up_no_reload, one_that_gets_nowhere_is_told_once,
    nothing_begins_while_it_stops)
