/*
 * test_worker_closing - connections closed because somebody asked for it.
 */
#include "server/state/reason.h"
#include "server/worker/closing.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "tests/unit/plan_kit.h"

static int master_fd;
static struct relayed conns[4]; /* of old by a, old by b, new, old by a */

static void
put(uint32_t i, uint32_t service, uint32_t backend)
{
	conns[i] = put_relayed(i, CONN_RELAYING);
	conns[i].slot->service = service;
	conns[i].slot->backend = backend;
	kit.w.live++;
}

static void
put_all(void)
{
	(void)plans_begin(&master_fd);
	put(0, KIT_OLD, KIT_BACKEND_A);
	put(1, KIT_OLD, KIT_BACKEND_B);
	put(2, KIT_PARK, KIT_BACKEND_NEW + 1);
	put(3, KIT_OLD, KIT_BACKEND_A);
}

static void
ask(uint64_t request, const struct filter *filter, bool is_reset)
{
	channel_init(&sent, CHANNEL_CLOSE);
	sent.request = request;
	sent.filter = *filter;
	sent.is_reset = is_reset;
	closing_order(&kit.w, &sent);
}

/* Which are gone, a bit each. */
static unsigned
gone(void)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < ARRAY_LEN(conns); i++)
		bits |= (unsigned)(conns[i].slot->state == CONN_FREE) << i;
	return bits;
}

static void
by_filter(void *arg)
{
	struct filter filter = {.criteria = FILTER_SERVICE | FILTER_BACKEND,
	    .service = KIT_OLD,
	    .backend = KIT_BACKEND_A};
	char byte;

	(void)arg;
	put_all();
	CHILD_CHECK(!closing_run(&kit.w));
	ask(0, &filter, false);
	CHILD_CHECK(!closing_run(&kit.w));
	ask(5, &filter, false);
	CHILD_CHECK(closing_run(&kit.w));
	CHILD_CHECK(!closing_run(&kit.w));
	CHILD_CHECK(gone() == 9);
	CHILD_CHECK(kit.w.head->closing.request == 5);
	CHILD_CHECK(kit.w.head->closing.closed == 2);
	CHILD_CHECK(conns[0].slot->reason == REASON_CLOSED);
	CHILD_CHECK(recv(conns[0].client, &byte, 1, MSG_DONTWAIT) == 0);
	CHILD_CHECK(atomic_load(&kit.w.head->journal) == 0);
	/* Another request counts for itself. */
	filter.criteria = 0;
	ask(6, &filter, false);
	CHILD_CHECK(closing_run(&kit.w));
	CHILD_CHECK(gone() == 15 && kit.w.head->closing.closed == 2);
}

/* A worker died before it had read the order: its successor reads it, and has
 * answered when the master, who can't know, tells it once more. */
static void
told_twice(void *arg)
{
	const struct filter all = {0};

	(void)arg;
	kit.w.now_us = 1000;
	put_all();
	conns[1].slot->started_us = kit.w.now_us + 1;
	ask(5, &all, false);
	CHILD_CHECK(closing_run(&kit.w));
	CHILD_CHECK(gone() == 13);
	kit.w.now_us = 2000;
	ask(5, &all, false);
	CHILD_CHECK(closing_run(&kit.w));
	CHILD_CHECK(gone() == 13 && kit.w.head->closing.closed == 3);
	ask(6, &all, false);
	CHILD_CHECK(closing_run(&kit.w));
	CHILD_CHECK(gone() == 15);
}

START_TEST(those_that_match_are_closed)
{
	plans_compile("");
	child_passes(by_filter, NULL);
}
END_TEST

START_TEST(those_that_came_later_are_left)
{
	plans_compile("");
	child_passes(told_twice, NULL);
}
END_TEST

/* A TCP client sees a reset where one was asked for, or owed. */
struct end {
	enum conn_state state;
	bool is_reset;
	bool sees_reset;
};

static void
ends(void *arg)
{
	const struct end *end = arg;
	const struct filter all = {0};
	struct slot *slot;
	ssize_t n;
	int client;
	char byte;

	put_all();
	slot = conns[0].slot;
	client = connect_to(master_fd);
	(void)close(slot->fd[SIDE_CLIENT]);
	slot->fd[SIDE_CLIENT] = accept4(master_fd, NULL, NULL, SOCK_NONBLOCK);
	slot->client.kind = ADDR_TCP4;
	slot->state = (uint8_t)end->state;
	slot->dead_side = SIDE_BACKEND;
	ask(1, &all, end->is_reset);
	CHILD_CHECK(closing_run(&kit.w));
	n = recv(client, &byte, 1, 0);
	CHILD_CHECK(end->sees_reset ? n < 0 && errno == ECONNRESET : n == 0);
}

START_TEST(an_end_is_what_was_asked_for)
{
	static const struct end cases[] = {
	    {CONN_RELAYING, false, false},
	    {CONN_RELAYING, true, true},
	    {CONN_RESETTING, false, true},
	};

	plans_compile("");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		child_passes(ends, (void *)&cases[i]);
}
END_TEST

/* How far a worker got with closing one, when it died. */
enum got {
	GOT_REASON, /* it is marked, and not counted */
	GOT_RECORD, /* the counter's own store is missing */
	GOT_COUNTED,
	GOT_CLOSING,
	GOT_FREE,
};

static void
close_until(struct slot *slot, enum got got)
{
	slot->reason = REASON_CLOSED;
	if (got >= GOT_RECORD)
		count_closed(&kit.w, slot);
	if (got == GOT_RECORD)
		kit.w.head->closing.closed = 1;
	if (got >= GOT_CLOSING)
		slot->state = CONN_CLOSING;
	if (got >= GOT_FREE)
		conn_finish(&kit.w, slot);
}

/* The worker dies with one closed, one on the way and one not, and so does
 * its successor: the next one is told the same, and says what all did. */
static void
over_a_death(void *arg)
{
	const enum got *got = arg;
	const struct filter filter = {
	    .criteria = FILTER_SERVICE, .service = KIT_OLD};

	put_all();
	ask(7, &filter, false);
	CHILD_CHECK(kit.w.head->closing.request == 7);
	close_until(conns[0].slot, GOT_FREE);
	close_until(conns[1].slot, *got);
	plans_die();
	CHILD_CHECK(gone() == 3);
	CHILD_CHECK(kit.w.head->closing.closed == 2);
	plans_die();
	CHILD_CHECK(kit.w.head->closing.closed == 2);
	CHILD_CHECK(!closing_run(&kit.w));
	ask(7, &filter, false);
	CHILD_CHECK(closing_run(&kit.w));
	CHILD_CHECK(gone() == 11);
	CHILD_CHECK(kit.w.head->closing.closed == 3);
	/* Of the next request nothing is done yet. */
	ask(8, &filter, false);
	plans_die();
	CHILD_CHECK(kit.w.head->closing.closed == 0);
}

START_TEST(a_request_is_counted_over_a_death)
{
	plans_compile("");
	for (enum got got = GOT_REASON; got <= GOT_FREE; got++)
		child_passes(over_a_death, &got);
}
END_TEST

UNIT_MAIN("worker_closing", those_that_match_are_closed,
    those_that_came_later_are_left, an_end_is_what_was_asked_for,
    a_request_is_counted_over_a_death)
