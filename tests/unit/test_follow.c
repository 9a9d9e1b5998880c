/*
 * test_follow - a worker's part in a reload: every step, and a death at it.
 */
#include "server/worker/accept.h"
#include "server/worker/leave.h"
#include "server/worker/poller.h"
#include "server/worker/sockets.h"
#include "tests/unit/plan_kit.h"

#define NEW KIT_SOCKET_NEW
#define OLD KIT_SOCKET_OLD

static int master_old; /* the master's descriptors of the two listeners */
static int master_new;

static void
prepare(enum kit_content content)
{
	plans_prepare(content, &master_old, &master_new);
}

/* Does epoll tell of socket n now? */
static bool
is_told_of(uint32_t n)
{
	struct epoll_event events[16];
	int count = epoll_wait(BODY_FD_EPOLL, events, ARRAY_LEN(events), 0);
	bool found = false;

	for (int i = 0; i < count; i++)
		found |= events[i].data.u64 == poller_key_listener(n);
	return found;
}

/* It works by plan 2, the only one, and has what that wants. */
static void
expect_followed(void)
{
	const struct body_head *head = kit.w.head;

	CHILD_CHECK(kit.w.generation == 2 && kit.w.plan->generation == 2);
	CHILD_CHECK(kit.w.beside == NULL);
	CHILD_CHECK((head->plans[0].generation == 2) +
		(head->plans[1].generation == 2) ==
	    1);
	CHILD_CHECK(head->plans[0].generation + head->plans[1].generation == 2);
	CHILD_CHECK(head->watchdog_ms == 2000);
	CHILD_CHECK(head->listener_fd[OLD] == 0);
	CHILD_CHECK(sockets_has(head, kit.w.plan, NEW));
	CHILD_CHECK(!follow_next(&kit.w));
	CHILD_CHECK(judge(2) == FOLLOW_READY);
	CHILD_CHECK(kit.w.review.is_on);
	/* The old address refuses, though the master has it still. */
	CHILD_CHECK(connect_to(master_old) == -ECONNREFUSED);
	CHILD_CHECK(connect_to(master_new) >= 0);
	CHILD_CHECK(is_told_of(NEW) && !is_told_of(OLD));
	accept_on_event(&kit.w, NEW);
	CHILD_CHECK(count_slots(KIT_NEW) == 1);
}

static void
follows(void *arg)
{
	int client;

	(void)arg;
	prepare(PLAN_NEW);
	CHILD_CHECK(!follow_next(&kit.w));
	client = connect_to(master_old);
	CHILD_CHECK(client >= 0);
	commit(2);
	CHILD_CHECK(follow_next(&kit.w));
	/* Who was queued on the old address is served by the old service. */
	CHILD_CHECK(count_slots(KIT_OLD) == 1);
	CHILD_CHECK(kit.w.body.slots[0].state == CONN_RELAYING);
	expect_followed();
	CHILD_CHECK(send(client, "x", 1, MSG_NOSIGNAL) == 1);
}

START_TEST(a_plan_is_followed)
{
	plans_compile("");
	child_passes(follows, NULL);
}
END_TEST

/* Deaths */

enum moment {
	AT_COMMIT,    /* nothing done yet */
	AT_LEFT,      /* the old sockets are drained and closed */
	AT_FORGOTTEN, /* one's number is forgotten, but it is open */
	AT_UNWATCHED, /* it has left epoll, no more */
	AT_SWITCHED,  /* the new plan is in use */
	AT_OLD_PLAN,  /* the old one's entry is gone, not its descriptor */
	AT_END,
	MOMENTS
};

static void
die_at(enum moment moment)
{
	struct body_head *head = kit.w.head;
	struct plan *next;

	if (moment == AT_LEFT || moment == AT_SWITCHED) {
		next = (struct plan *)kit.w.beside;
		CHILD_CHECK(next != NULL && next->generation == 2);
		leave_removed(&kit.w, next);
	}
	if (moment == AT_FORGOTTEN) {
		accept_on_event(&kit.w, OLD);
		(void)shutdown(head->listener_fd[OLD], SHUT_RD);
	}
	if (moment == AT_FORGOTTEN || moment == AT_UNWATCHED)
		(void)epoll_ctl(BODY_FD_EPOLL, EPOLL_CTL_DEL,
		    head->listener_fd[OLD], NULL);
	if (moment == AT_FORGOTTEN)
		head->listener_fd[OLD] = 0;
	if (moment == AT_SWITCHED)
		head->watchdog_ms = 2000;
	if (moment == AT_OLD_PLAN || moment == AT_END)
		CHILD_CHECK(follow_next(&kit.w));
	if (moment == AT_OLD_PLAN) {
		CHILD_CHECK(head->plans[0].generation == 0);
		head->plans[0].fd = plans_make(1, PLAN_OLD);
	}
	plans_die();
}

static void
dies_following(void *arg)
{
	enum moment moment = *(const enum moment *)arg;
	int stray;

	prepare(PLAN_NEW);
	CHILD_CHECK(connect_to(master_old) >= 0);
	commit(2);
	die_at(moment);
	stray =
	    kit.w.head->plans[0].generation == 0 ? kit.w.head->plans[0].fd : 0;
	CHILD_CHECK(count_slots(KIT_OLD) == 1);
	CHILD_CHECK(stray == 0 || !kit_is_open(stray));
	expect_followed();
}

START_TEST(a_death_while_following_loses_nobody)
{
	plans_compile("");
	for (enum moment moment = 0; moment < MOMENTS; moment++)
		child_passes(dies_following, &moment);
}
END_TEST

static void
dies_preparing(void *arg)
{
	(void)arg;
	(void)plans_begin(&master_old);
	/* The descriptor came, and its number was not written. */
	(void)plans_make(2, PLAN_NEW);
	plans_die();
	CHILD_CHECK(kit.w.generation == 1);
	CHILD_CHECK(judge(2) == FOLLOW_REFUSED);
	/* Between plan and socket; the socket's generation alone is there. */
	send_plan(2, PLAN_NEW);
	kit.w.head->listener_born[NEW] = 2;
	plans_die();
	CHILD_CHECK(kit.w.generation == 1);
	CHILD_CHECK(judge(2) == FOLLOW_INCOMPLETE);
	CHILD_CHECK(send_socket(2, KIT_LISTENER_NEW,
	    make_listener(&master_new)));
	/* Sent again: what is there stays. */
	CHILD_CHECK(!send_socket(2, KIT_LISTENER_NEW, dup(master_new)));
	plans_die();
	CHILD_CHECK(judge(2) == FOLLOW_READY);
	CHILD_CHECK(kit.w.generation == 1);
	CHILD_CHECK(sockets_has(kit.w.head, kit.w.plan, OLD));
	commit(2);
	plans_die();
	expect_followed();
}

START_TEST(a_death_while_preparing_is_made_good)
{
	plans_compile("");
	child_passes(dies_preparing, NULL);
}
END_TEST

/* Giving up */

/* How a worker comes to know that plan 2 was given up. */
enum abort_way {
	ABORT_TOLD,
	ABORT_CUT_OFF,    /* it died when it had forgotten the plan */
	ABORT_UNTOLD,     /* the next plan comes without a word */
	ABORT_AFTER_PLAN, /* its socket stands there when the next one's comes */
	ABORT_WAYS
};

static void
give_up(enum abort_way way)
{
	if (way == ABORT_TOLD) {
		follow_abort(&kit.w, 2);
		CHILD_CHECK(kit.w.head->listener_fd[NEW] == 0);
		CHILD_CHECK(judge(2) == FOLLOW_REFUSED);
	} else if (way == ABORT_CUT_OFF) {
		kit.w.head->plans[1].generation = 0;
		plans_die();
		CHILD_CHECK(kit.w.head->listener_fd[NEW] == 0);
	}
	send_plan(3, PLAN_NEW);
	CHILD_CHECK(kit.w.head->listener_fd[NEW] == 0);
	CHILD_CHECK(judge(3) == FOLLOW_INCOMPLETE);
	if (way == ABORT_AFTER_PLAN)
		CHILD_CHECK(sockets_take(kit.w.head, kit.w.plan, NULL, OLD,
				-1) == false);
}

static void
aborts(void *arg)
{
	enum abort_way way = *(const enum abort_way *)arg;
	int other;
	int fd;

	prepare(PLAN_NEW);
	give_up(way);
	if (way == ABORT_AFTER_PLAN) {
		kit.w.head->listener_fd[NEW] = make_listener(&other);
		kit.w.head->listener_born[NEW] = 2;
	}
	/* An order that came late does not touch the one in force. */
	follow_abort(&kit.w, 1);
	CHILD_CHECK(kit.w.generation == 1);
	CHILD_CHECK(judge(3) == FOLLOW_INCOMPLETE);
	fd = make_listener(&other);
	CHILD_CHECK(send_socket(3, KIT_LISTENER_NEW, fd));
	CHILD_CHECK(kit.w.head->listener_fd[NEW] == fd);
	CHILD_CHECK(judge(3) == FOLLOW_READY);
	commit(3);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(connect_to(other) >= 0);
	accept_on_event(&kit.w, NEW);
	CHILD_CHECK(count_slots(KIT_NEW) == 1);
	follow_abort(&kit.w, 3);
	CHILD_CHECK(kit.w.head->listener_fd[NEW] == fd);
}

START_TEST(a_socket_of_a_reload_given_up_is_not_taken_for_another)
{
	plans_compile("");
	for (enum abort_way way = 0; way < ABORT_WAYS; way++)
		child_passes(aborts, &way);
}
END_TEST

/* Nothing of an aborted reload is left in the table. */
static void
aborts_without_a_trace(void *arg)
{
	int before[2];

	(void)arg;
	(void)plans_begin(&master_old);
	for (int i = 0; i < 2; i++) {
		uint32_t place;
		int master;

		before[i] = dup(BODY_FD_NULL);
		(void)close(before[i]);
		send_plan(2 + (uint64_t)i, PLAN_BOTH);
		CHILD_CHECK(send_socket(2 + (uint64_t)i, KIT_LISTENER_NEW,
		    make_listener(&master)));
		follow_abort(&kit.w, 2 + (uint64_t)i);
		(void)close(master);
		kept--;
		place = 2 * (keep_row + kept);
		kit.w.head->listener_fd[place] = 0;
	}
	CHILD_CHECK(before[0] == before[1]);
}

START_TEST(a_reload_given_up_leaves_no_descriptor)
{
	plans_compile("");
	child_passes(aborts_without_a_trace, NULL);
}
END_TEST

/* The turns of a service that goes on go on. */
static void
keeps_turns(void *arg)
{
	(void)arg;
	prepare(PLAN_BOTH);
	kit.w.turns[KIT_BACKEND_A] = 17;
	commit(2);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(kit.w.turns[KIT_BACKEND_A] == 17);
	CHILD_CHECK(kit.w.turns[KIT_BACKEND_NEW] == 1);
}

START_TEST(turns_are_kept)
{
	plans_compile("");
	child_passes(keeps_turns, NULL);
}
END_TEST

/* The row of the listener that it came by is gone: the kernel is asked. */
static void
adopts(void *arg)
{
	struct slot *slot;
	int pair[2];

	(void)arg;
	(void)plans_begin(&master_old);
	CHILD_CHECK(connect_to(master_old) >= 0);
	pair[0] = accept4(master_old, NULL, NULL, SOCK_NONBLOCK);
	CHILD_CHECK(pair[0] >= 0);
	slot = put_slot(1, CONN_ACCEPTING);
	slot->client.kind = ADDR_NONE;
	slot->server.kind = ADDR_NONE;
	slot->fd[SIDE_CLIENT] = pair[0];
	slot->listener = KIT_LISTENER_NEW; /* empty in plan 1 */
	plans_die();
	CHILD_CHECK(slot->state == CONN_RELAYING);
	CHILD_CHECK(slot->local.kind == ADDR_TCP4 && slot->local.port != 0);
	CHILD_CHECK(slot->client.kind == ADDR_TCP4);
}

START_TEST(an_empty_row_tells_no_address)
{
	plans_compile("");
	child_passes(adopts, NULL);
}
END_TEST

UNIT_MAIN("follow", a_plan_is_followed, a_death_while_following_loses_nobody,
    a_death_while_preparing_is_made_good,
    a_socket_of_a_reload_given_up_is_not_taken_for_another,
    a_reload_given_up_leaves_no_descriptor,

    turns_are_kept, an_empty_row_tells_no_address)
