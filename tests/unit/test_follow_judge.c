/*
 * test_follow_judge - which plans a worker says it could follow, and orders
 * that make no sense.
 */
#include "server/worker/accept.h"
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

struct homeless {
	enum conn_state state;
	uint32_t service;
	uint32_t backend;
	bool has_backend;
	enum follow_answer answer;
};

static void
judges(void *arg)
{
	const struct homeless *h = arg;
	struct slot *slot;

	prepare(PLAN_NEW);
	commit(2);
	CHILD_CHECK(follow_next(&kit.w));
	slot = put_slot(7, h->state);
	slot->service = h->service;
	slot->backend = h->backend;
	slot->has_backend = h->has_backend;
	send_plan(3, PLAN_NEW_ALONE);
	/* new was born in generation 2. */
	kit.w.head->listener_born[NEW] = 3;
	CHILD_CHECK(judge(3) == h->answer);
	if (h->answer == FOLLOW_REFUSED)
		CHILD_CHECK(strstr(kit_why, "service old") != NULL);
	slot->state = CONN_FREE;
	CHILD_CHECK(judge(3) == FOLLOW_READY);
}

START_TEST(no_connection_loses_its_row)
{
	static const struct homeless cases[] = {
	    {CONN_RELAYING, KIT_OLD, KIT_BACKEND_A, true, FOLLOW_REFUSED},
	    {CONN_DIALING, KIT_OLD, 0, false, FOLLOW_REFUSED},
	    {CONN_RESETTING, KIT_OLD, KIT_BACKEND_B, true, FOLLOW_REFUSED},
	    {CONN_RELAYING, KIT_NEW, KIT_BACKEND_NEW, true, FOLLOW_READY},
	    /* It was tried once, and is not used. */
	    {CONN_DIALING, KIT_NEW, KIT_BACKEND_A, false, FOLLOW_READY},
	};

	plans_compile("");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		child_passes(judges, (void *)&cases[i]);
}
END_TEST

static void
backend_homeless(void *arg)
{
	struct slot *slot;

	(void)arg;
	(void)plans_begin(&master_old);
	slot = put_slot(7, CONN_RELAYING);
	slot->has_backend = 1;
	slot->service = KIT_OLD;
	slot->backend = KIT_BACKEND_NEW;
	send_plan(2, PLAN_LESS);
	CHILD_CHECK(judge(2) == FOLLOW_REFUSED);
	CHILD_CHECK(strstr(kit_why, "of service old") != NULL);
}

START_TEST(nor_its_backend)
{
	plans_compile("");
	child_passes(backend_homeless, NULL);
}
END_TEST

/* Bad orders */

static void
nonsense(void *arg)
{
	int32_t before[BODY_LISTENERS_MAX];

	(void)arg;
	prepare(PLAN_BOTH);
	memcpy(before, kit.w.head->listener_fd, sizeof(before));
	/* Of a plan that isn't here, of rows that no plan has. */
	CHILD_CHECK(!send_socket(9, KIT_LISTENER_NEW, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_socket(2, 4000, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_socket(2, BODY_LISTENERS_MAX / 2, dup(BODY_FD_NULL)));
	CHILD_CHECK(!send_socket(2, UINT32_MAX / 2, dup(BODY_FD_NULL)));
	CHILD_CHECK(memcmp(before, kit.w.head->listener_fd, sizeof(before)) ==
	    0);
	/* Both places are needed: 2 is in force and not followed yet. */
	commit(2);
	send_plan(3, PLAN_BOTH);
	CHILD_CHECK(judge(3) == FOLLOW_REFUSED);
	CHILD_CHECK(strstr(kit_why, "no place") != NULL);
	follow_abort(&kit.w, 9);
	CHILD_CHECK(follow_next(&kit.w));
	/* Not a plan, not that generation's, without a descriptor. */
	channel_init(&sent, CHANNEL_PLAN);
	sent.generation = 4;
	follow_take_plan(&kit.w, &sent, &passed);
	CHILD_CHECK(judge(4) == FOLLOW_REFUSED);
	passed.fds[0] = dup(BODY_FD_NULL);
	passed.fds_count = 1;
	follow_take_plan(&kit.w, &sent, &passed);
	CHILD_CHECK(judge(4) == FOLLOW_REFUSED);
	follow_abort(&kit.w, 4);
	sent.generation = 5;
	passed.fds[0] = plans_make(6, PLAN_BOTH);
	passed.fds_count = 1;
	follow_take_plan(&kit.w, &sent, &passed);
	CHILD_CHECK(judge(5) == FOLLOW_REFUSED);
	/* Nor does it follow such a one. */
	commit(5);
	CHILD_CHECK(!follow_next(&kit.w));
	CHILD_CHECK(kit.w.generation == 2);
}

START_TEST(bad_orders_change_nothing)
{
	plans_compile("");
	child_passes(nonsense, NULL);
}
END_TEST

/* Where the worker had no plan before: the next one is sent with all sockets
 * of it, those that were born earlier as well. */
static void
begins_late(void *arg)
{
	(void)arg;
	kit_table(&kit);
	memset(kit.w.head->plans, 0, sizeof(kit.w.head->plans));
	(void)close(kit.plan_fd);
	atomic_store(&kit.w.row->connections, 99);
	fill_places();
	commit(5);
	CHILD_CHECK(!follow_next(&kit.w));
	send_plan(5, PLAN_BOTH);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(live_in_row() == 0);
	CHILD_CHECK(judge(5) == FOLLOW_INCOMPLETE);
	CHILD_CHECK(send_socket(5, KIT_LISTENER_OLD,
	    make_listener(&master_old)));
	CHILD_CHECK(kit.w.head->listener_born[OLD] == 1);
	CHILD_CHECK(send_socket(5, KIT_LISTENER_NEW,
	    make_listener(&master_new)));
	CHILD_CHECK(kit.w.head->listener_born[NEW] == 5);
	CHILD_CHECK(connect_to(master_new) >= 0);
	accept_on_event(&kit.w, NEW);
	CHILD_CHECK(count_slots(KIT_NEW) == 1);
}

START_TEST(a_late_body_takes_all_sockets)
{
	plans_compile("");
	child_passes(begins_late, NULL);
}
END_TEST

UNIT_MAIN("follow_judge", no_connection_loses_its_row, nor_its_backend,
    bad_orders_change_nothing, a_late_body_takes_all_sockets)
