/*
 * test_follow_seats - a worker that stands in for seats that are no more: it
 * accepts on their sockets beside its own.
 */
#include "server/worker/accept.h"
#include "server/worker/drain.h"
#include "server/worker/leave.h"
#include "server/worker/poller.h"
#include "server/worker/sockets.h"
#include "tests/unit/plan_kit.h"

#define EXTRA(i) (BODY_LISTENERS_MAX + (i))

static int master_own;
static int master_one; /* the master's descriptors of seats 1 and 2 */
static int master_two;

/* Worker 0 of three, about to be the only one. */
static void
prepare(void)
{
	plans_workers = 3;
	(void)plans_begin(&master_own);
	plans_workers = 1;
	plans_extras = 2;
	send_plan(2, PLAN_OLD);
	CHILD_CHECK(judge(2) == FOLLOW_INCOMPLETE);
	CHILD_CHECK(send_member(2, KIT_LISTENER_OLD, 1,
	    make_listener(&master_one)));
	CHILD_CHECK(judge(2) == FOLLOW_INCOMPLETE);
	CHILD_CHECK(send_member(2, KIT_LISTENER_OLD, 2,
	    make_listener(&master_two)));
	CHILD_CHECK(judge(2) == FOLLOW_READY);
}

static void
follow(uint64_t generation)
{
	commit(generation);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(kit.w.generation == generation);
}

/* The worker of seat 1 has the sockets of a generation open. */
static void
serve_seat_one(uint64_t generation)
{
	board_set_live(kit.board_head, 1, true);
	atomic_store(&kit.row_one->accepts, generation);
	kit.w.relieve_ms = 0;
	leave_relieved(&kit.w);
}

/* Whoever comes to socket n is accepted, by the service of its group. */
static void
expect_accepted(int master, uint32_t n)
{
	uint32_t before = count_slots(KIT_OLD);
	struct epoll_event events[16];
	bool is_told = false;
	int count;

	CHILD_CHECK(connect_to(master) >= 0);
	count = epoll_wait(BODY_FD_EPOLL, events, ARRAY_LEN(events), 1000);
	for (int i = 0; i < count; i++)
		is_told |= events[i].data.u64 == poller_key_listener(n);
	CHILD_CHECK(is_told);
	accept_on_event(&kit.w, n);
	CHILD_CHECK(count_slots(KIT_OLD) == before + 1);
}

static void
stands_in(void *arg)
{
	(void)arg;
	prepare();
	/* Not before the plan is in force; what comes twice is not kept. */
	CHILD_CHECK(!kit.w.listening[EXTRA(0)].is_open);
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, 1, dup(BODY_FD_NULL)));
	follow(2);
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, 2, dup(BODY_FD_NULL)));
	expect_accepted(master_one, EXTRA(0));
	expect_accepted(master_two, EXTRA(1));
	expect_accepted(master_own, KIT_SOCKET_OLD);
}

START_TEST(sockets_of_seats_that_are_no_more)
{
	plans_compile("");
	child_passes(stands_in, NULL);
}
END_TEST

/* Their worker accepts until the plan is in force. */
static void
waits(void *arg)
{
	(void)arg;
	prepare();
	serve_seat_one(1);
	CHILD_CHECK(judge(2) == FOLLOW_READY);
	plans_die();
	serve_seat_one(1);
	CHILD_CHECK(judge(2) == FOLLOW_READY);
	follow(2);
	expect_accepted(master_one, EXTRA(0));
	expect_accepted(master_two, EXTRA(1));
}

START_TEST(sockets_of_seats_that_are_about_to_go)
{
	plans_compile("");
	child_passes(waits, NULL);
}
END_TEST

/* Seats that another worker stands in for, that have one, of no listener, of
 * no plan. */
static void
refuses(void *arg)
{
	(void)arg;
	plans_workers = 2;
	(void)plans_begin(&master_own);
	send_plan(2, PLAN_OLD);
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, 1, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, 3, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, UINT32_MAX,
	    dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_member(2, KIT_LISTENER_NEW, 2, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_member(2, 4000, 2, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_member(3, KIT_LISTENER_OLD, 2, dup(BODY_FD_NULL)));
	CHILD_CHECK(send_member(2, KIT_LISTENER_OLD, 2, dup(BODY_FD_NULL)));
	/* Who is handing over needs none. */
	kit.w.head->is_retiring = 1;
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, 4, dup(BODY_FD_NULL)));
	plans_extras = 7;
	send_plan(3, PLAN_OLD);
	CHILD_CHECK(judge(3) == FOLLOW_READY);
}

START_TEST(sockets_of_other_seats_are_refused)
{
	plans_compile("");
	child_passes(refuses, NULL);
}
END_TEST

static void
is_full(void *arg)
{
	(void)arg;
	plans_workers = PLAN_WORKERS_MAX;
	(void)plans_begin(&master_own);
	plans_workers = 1;
	plans_extras = BODY_EXTRAS_MAX + 1;
	send_plan(2, PLAN_OLD);
	for (uint32_t i = 0; i < BODY_EXTRAS_MAX; i++)
		CHILD_CHECK(send_member(2, KIT_LISTENER_OLD, i + 1,
		    dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, BODY_EXTRAS_MAX + 1,
	    dup(BODY_FD_NULL)));
	CHILD_CHECK(judge(2) == FOLLOW_INCOMPLETE);
	/* Given up: that of a seat whose worker accepts is closed. */
	follow_abort(&kit.w, 2);
	serve_seat_one(1);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(0)] == 0);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(1)] != 0);
}

START_TEST(there_is_room_for_so_many)
{
	plans_compile("");
	child_passes(is_full, NULL);
}
END_TEST

/* Seat 1 is to have a worker again: when it has one its queue is that one's,
 * untouched; until then somebody has it, whatever becomes of the master. */
static void
gives_back(void *arg)
{
	int queued;

	(void)arg;
	prepare();
	follow(2);
	plans_workers = 2;
	plans_extras = 1;
	send_plan(3, PLAN_OLD);
	CHILD_CHECK(judge(3) == FOLLOW_READY);
	queued = connect_to(master_one);
	CHILD_CHECK(queued >= 0);
	follow(3);
	serve_seat_one(2);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(0)] != 0);
	serve_seat_one(3);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(0)] == 0);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(1)] != 0);
	CHILD_CHECK(count_slots(KIT_OLD) == 0);
	CHILD_CHECK(accept(master_one, NULL, NULL) >= 0);
	CHILD_CHECK(connect_to(master_one) >= 0);
	expect_accepted(master_two, EXTRA(1));
	/* And once more none: in the place that has become free. */
	plans_workers = 1;
	plans_extras = 2;
	send_plan(4, PLAN_OLD);
	CHILD_CHECK(judge(4) == FOLLOW_INCOMPLETE);
	CHILD_CHECK(send_member(4, KIT_LISTENER_OLD, 1, dup(master_one)));
	CHILD_CHECK(judge(4) == FOLLOW_READY);
	follow(4);
	/* The one that connected meanwhile comes first. */
	expect_accepted(master_one, EXTRA(0));
}

START_TEST(sockets_of_seats_that_are_there_again)
{
	plans_compile("");
	child_passes(gives_back, NULL);
}
END_TEST

/* The listener is removed: who is queued is served, nobody waits for ever. */
static void
removes(void *arg)
{
	int master_new;

	(void)arg;
	prepare();
	follow(2);
	plans_extras = 0;
	send_plan(3, PLAN_NEW);
	CHILD_CHECK(send_socket(3, KIT_LISTENER_NEW,
	    make_listener(&master_new)));
	CHILD_CHECK(judge(3) == FOLLOW_READY);
	CHILD_CHECK(connect_to(master_two) >= 0);
	follow(3);
	CHILD_CHECK(count_slots(KIT_OLD) == 1);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(0)] == 0);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(1)] == 0);
	CHILD_CHECK(connect_to(master_one) == -ECONNREFUSED);
	CHILD_CHECK(connect_to(master_two) == -ECONNREFUSED);
}

START_TEST(their_listener_is_removed)
{
	plans_compile("");
	child_passes(removes, NULL);
}
END_TEST

static void
dies(void *arg)
{
	int fd;

	(void)arg;
	prepare();
	plans_die();
	CHILD_CHECK(judge(2) == FOLLOW_READY);
	commit(2);
	plans_die();
	CHILD_CHECK(kit.w.generation == 2);
	expect_accepted(master_one, EXTRA(0));
	/* Its number was about to be forgotten. */
	fd = kit.w.head->listener_fd[EXTRA(1)];
	kit.w.head->listener_fd[EXTRA(1)] = 0;
	plans_die();
	CHILD_CHECK(!kit_is_open(fd));
	expect_accepted(master_one, EXTRA(0));
	/* The end of all. */
	drain_begin(&kit.w, kit.w.now_ms + 1000);
	CHILD_CHECK(kit.w.head->listener_fd[EXTRA(0)] == 0);
	CHILD_CHECK(!send_member(2, KIT_LISTENER_OLD, 2, dup(BODY_FD_NULL)));
}

START_TEST(they_outlive_the_worker)
{
	plans_compile("");
	child_passes(dies, NULL);
}
END_TEST

UNIT_MAIN("follow_seats", sockets_of_seats_that_are_no_more,
    sockets_of_seats_that_are_about_to_go, sockets_of_other_seats_are_refused,
    there_is_room_for_so_many, sockets_of_seats_that_are_there_again,
    their_listener_is_removed, they_outlive_the_worker)
