/*
 * test_review - what becomes of connections when the plan has changed.
 */
#include "server/state/reason.h"
#include "server/worker/dial.h"
#include "server/worker/relay.h"
#include "server/worker/review.h"
#include "tests/unit/plan_kit.h"

static int master_fd;

static void
on_timer(void *arg, uint32_t number)
{
	struct slot *slot = worker_slot(&kit.w, number);

	(void)arg;
	if (slot->state == CONN_DIALING)
		dial_on_timer(&kit.w, slot);
	else
		relay_on_timer(&kit.w, slot);
}

static void
pass_time(uint64_t ms)
{
	kit.w.now_ms += ms;
	timers_run(&kit.w.timers, kit.w.now_ms, on_timer, NULL);
}

static void
follow(uint64_t generation, enum kit_content content)
{
	send_plan(generation, content);
	if (content == PLAN_BOTH || content == PLAN_NEW)
		kit.w.head->listener_fd[KIT_SOCKET_NEW] = 0;
	commit(generation);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(kit.w.review.is_on);
	review_run(&kit.w);
	CHILD_CHECK(!kit.w.review.is_on);
}

/* Relayed since a while ago, in slot i, by a backend of old. */
static struct relayed
put_old(uint32_t i, uint32_t backend)
{
	struct relayed r = put_relayed(i, CONN_RELAYING);

	r.slot->service = KIT_OLD;
	r.slot->backend = backend;
	kit.w.live++;
	atomic_fetch_add(&kit.w.row->connections, 1);
	atomic_fetch_add(&kit.w.row->services[KIT_OLD].connections, 1);
	atomic_fetch_add(&kit.w.row->backends[backend].connections, 1);
	return r;
}

static bool
is_gone(const struct relayed *r)
{
	return r->slot->state == CONN_FREE;
}

static void
expect_end(int fd)
{
	char byte;

	CHILD_CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == 0);
}

/* on_remove, of a service or a backend */

struct removal {
	const char *on_remove;
	enum kit_content content;
	bool b_stays; /* only backend a was removed */
};

static void
removed(void *arg)
{
	const struct removal *c = arg;
	bool closes = strcmp(c->on_remove, "close") == 0;
	bool drains = strcmp(c->on_remove, "drain") == 0;
	struct relayed a;
	struct relayed b;

	(void)plans_begin(&master_fd);
	a = put_old(0, KIT_BACKEND_A);
	b = put_old(1, KIT_BACKEND_B);
	follow(2, c->content);
	CHILD_CHECK(is_gone(&a) == closes);
	CHILD_CHECK(is_gone(&b) == (closes && !c->b_stays));
	pass_time(900);
	CHILD_CHECK(is_gone(&a) == closes);
	/* A byte moves: the second begins anew. */
	if (!closes) {
		CHILD_CHECK(send(a.client, "x", 1, MSG_NOSIGNAL) == 1);
		relay_on_event(&kit.w, a.slot, SIDE_CLIENT, EPOLLIN);
		expect_read(a.backend, "x");
	}
	pass_time(900);
	CHILD_CHECK(is_gone(&a) == closes);
	CHILD_CHECK(is_gone(&b) == ((closes || drains) && !c->b_stays));
	pass_time(900);
	CHILD_CHECK(is_gone(&a) == (closes || drains));
	if (is_gone(&a)) {
		CHILD_CHECK(a.slot->reason == REASON_REMOVED);
		expect_end(a.client);
		expect_end(a.backend);
	}
	CHILD_CHECK(live_in_row() ==
	    (uint32_t)!is_gone(&a) + (uint32_t)!is_gone(&b));
	CHILD_CHECK(atomic_load(&kit.w.row->services[KIT_OLD].connections) ==
	    live_in_row());
}

START_TEST(on_remove_is_kept_to)
{
	static const struct removal cases[] = {{"keep", PLAN_NEITHER, false},
	    {"drain", PLAN_NEITHER, false}, {"close", PLAN_NEITHER, false},
	    {"keep", PLAN_LESS, true}, {"drain", PLAN_LESS, true},
	    {"close", PLAN_LESS, true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "on_remove = %s",
		    cases[i].on_remove);
		plans_compile(text);
		child_passes(removed, (void *)&cases[i]);
		remove_directory();
	}
}
END_TEST

/* A slow reader is not idle: nothing of what it was sent is lost. */
static void
drains_slow_reader(void *arg)
{
	static char block[1 << 20];
	struct relayed a;
	ssize_t n;

	(void)arg;
	(void)plans_begin(&master_fd);
	a = put_old(0, KIT_BACKEND_A);
	while (a.slot->flows[FLOW_UP].pipe == 0) {
		n = send(a.client, block, sizeof(block), MSG_NOSIGNAL);
		CHILD_CHECK(n > 0);
		relay_on_event(&kit.w, a.slot, SIDE_CLIENT, EPOLLIN);
	}
	follow(2, PLAN_NEITHER);
	pass_time(5000);
	pass_time(5000);
	CHILD_CHECK(!is_gone(&a));
	while (a.slot->flows[FLOW_UP].pipe != 0) {
		CHILD_CHECK(recv(a.backend, block, sizeof(block),
				MSG_DONTWAIT) > 0);
		relay_on_event(&kit.w, a.slot, SIDE_BACKEND, EPOLLOUT);
	}
	pass_time(2000);
	pass_time(2000);
	CHILD_CHECK(is_gone(&a));
}

START_TEST(who_reads_slowly_is_not_idle)
{
	plans_compile("on_remove = drain");
	child_passes(drains_slow_reader, NULL);
}
END_TEST

/* A name that comes back gets its row again, and its connections live on. */
static void
comes_back(void *arg)
{
	struct relayed a;

	(void)arg;
	(void)plans_begin(&master_fd);
	a = put_old(0, KIT_BACKEND_A);
	follow(2, PLAN_NEITHER);
	pass_time(500);
	follow(3, PLAN_OLD);
	pass_time(1000);
	pass_time(5000);
	CHILD_CHECK(!is_gone(&a));
}

START_TEST(a_service_that_comes_back_keeps_its_connections)
{
	plans_compile("on_remove = drain");
	child_passes(comes_back, NULL);
}
END_TEST

/* Timeouts */

static void
shorter(void *arg)
{
	struct relayed a;

	(void)arg;
	(void)plans_begin(&master_fd);
	a = put_old(0, KIT_BACKEND_A);
	relay_review(&kit.w, a.slot);
	((struct plan *)kit_all)->generation = 1;
	edit_service((struct plan *)kit_all, KIT_OLD)->idle_timeout_ms = 3000;
	follow(2, PLAN_OLD);
	pass_time(2000);
	CHILD_CHECK(!is_gone(&a));
	pass_time(1100);
	CHILD_CHECK(is_gone(&a) && a.slot->reason == REASON_IDLE);
}

START_TEST(timeouts_are_those_of_the_new_plan)
{
	plans_compile("");
	/* In a copy that can be changed. */
	kit_all = memcpy(malloc(kit_all->length), kit_all, kit_all->length);
	child_passes(shorter, NULL);
	free((void *)kit_all);
}
END_TEST

/* Dialing */

struct dialing {
	const char *on_remove;
	enum kit_content content;
	bool has_backend;
	bool goes_on;   /* with its attempt */
	bool is_others; /* it was given another backend, a builtin */
};

static void
dials(void *arg)
{
	const struct dialing *c = arg;
	struct slot *slot;
	int client;

	(void)plans_begin(&master_fd);
	slot = put_slot(0, CONN_DIALING);
	client = give_socket(slot, SIDE_CLIENT);
	kit.w.live++;
	slot->service = KIT_OLD;
	if (c->has_backend) {
		(void)give_socket(slot, SIDE_BACKEND);
		slot->has_backend = 1;
		slot->tried_count = 1;
	} else {
		slot->is_postponed = 1;
		kit.w.postponed = 1;
		timers_set(&kit.w.timers, 0, kit.w.now_ms + 20);
	}
	follow(2, c->content);
	CHILD_CHECK((slot->state == CONN_RELAYING) == c->is_others);
	if (c->is_others)
		CHILD_CHECK(slot->backend == KIT_BACKEND_B);
	if (c->goes_on && c->has_backend) {
		dial_on_event(&kit.w, slot, EPOLLOUT);
		CHILD_CHECK(slot->state == CONN_RELAYING);
	} else if (!c->is_others) {
		pass_time(100);
		CHILD_CHECK(slot->state == CONN_FREE);
		CHILD_CHECK(slot->reason == REASON_REMOVED);
		expect_end(client);
		CHILD_CHECK(atomic_load(&kit.w.row->services[KIT_OLD]
					     .refused) == 0);
	}
	CHILD_CHECK(kit.w.postponed == 0);
}

START_TEST(who_is_dialing_has_one_attempt_left)
{
	static const struct dialing cases[] = {
	    {"keep", PLAN_NEITHER, true, true, false},
	    {"drain", PLAN_NEITHER, true, true, false},
	    {"close", PLAN_NEITHER, true, false, false},
	    {"keep", PLAN_NEITHER, false, false, false},
	    {"drain", PLAN_NEITHER, false, false, false},
	    {"close", PLAN_NEITHER, false, false, false},
	    {"keep", PLAN_LESS, true, true, false},
	    {"drain", PLAN_LESS, true, false, true},
	    {"close", PLAN_LESS, true, false, true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "on_remove = %s",
		    cases[i].on_remove);
		plans_compile(text);
		child_passes(dials, (void *)&cases[i]);
		remove_directory();
	}
}
END_TEST

static void
fails_after_removal(void *arg)
{
	struct slot *slot;

	(void)arg;
	(void)plans_begin(&master_fd);
	slot = put_slot(0, CONN_DIALING);
	(void)give_socket(slot, SIDE_CLIENT);
	(void)give_socket(slot, SIDE_BACKEND);
	kit.w.live++;
	slot->service = KIT_OLD;
	slot->has_backend = 1;
	slot->tried_count = 1;
	follow(2, PLAN_NEITHER);
	dial_on_event(&kit.w, slot, EPOLLERR);
	CHILD_CHECK(slot->state == CONN_FREE);
	CHILD_CHECK(slot->reason == REASON_REMOVED);
}

START_TEST(and_no_other)
{
	plans_compile("on_remove = keep\nbalance = leastconn");
	child_passes(fails_after_removal, NULL);
}
END_TEST

/* A successor looks at all of them again. */
static void
dies_in_review(void *arg)
{
	struct relayed a;
	struct relayed b;

	(void)arg;
	(void)plans_begin(&master_fd);
	a = put_old(0, KIT_BACKEND_A);
	b = put_old(1, KIT_BACKEND_B);
	send_plan(2, PLAN_NEITHER);
	commit(2);
	CHILD_CHECK(follow_next(&kit.w));
	/* The first is closed, the second was not looked at. */
	relay_review(&kit.w, a.slot);
	CHILD_CHECK(is_gone(&a) && !is_gone(&b));
	plans_die();
	CHILD_CHECK(!is_gone(&b));
	review_run(&kit.w);
	CHILD_CHECK(is_gone(&b) && b.slot->reason == REASON_REMOVED);
	CHILD_CHECK(live_in_row() == 0);
}

START_TEST(a_death_does_not_end_the_walk)
{
	plans_compile("on_remove = close");
	child_passes(dies_in_review, NULL);
}
END_TEST

UNIT_MAIN("review", on_remove_is_kept_to, who_reads_slowly_is_not_idle,
    a_service_that_comes_back_keeps_its_connections,
    timeouts_are_those_of_the_new_plan, who_is_dialing_has_one_attempt_left,
    and_no_other, a_death_does_not_end_the_walk)
