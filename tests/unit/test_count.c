/*
 * test_count - counters, and a death between any two of their stores.
 */
#include "server/worker/count.h"
#include "tests/unit/body_kit.h"

static struct kit kit;
static struct slot *slot;

static void
begin(void)
{
	kit_compile(&kit,
	    "user = nobody\nmax_connections = 16\n"
	    "service r { listen = 127.0.0.1:1 "
	    "backend x { address = builtin:echo } }\n"
	    "service s { listen = 127.0.0.1:2 "
	    "backend a { address = builtin:echo } "
	    "backend b { address = builtin:echo } }\n");
	kit_memory(&kit);
	slot = &kit.w.body.slots[3];
	slot->id = 129;
	slot->state = CONN_DIALING;
	slot->service = 1;
	slot->backend = 2;
	slot->tried_count = 1;
}

typedef void count_fn(struct worker *w, struct slot *counted);

struct counter {
	count_fn *count;
	_Atomic uint64_t *value;
	uint64_t step;
};

static struct counter counters[6];

/* A line of 200 bytes. */
static void
log_line(struct worker *w, struct slot *counted)
{
	count_logged(w, counted, atomic_load(&w->head->access_head) + 200);
}

static void
list_counters(void)
{
	struct board_row *row = kit.w.row;
	struct board_service *service = &row->services[1];
	struct board_backend *backend = &row->backends[2];
	const struct counter all[ARRAY_LEN(counters)] = {
	    {count_accepted, &service->accepted, 1},
	    {count_refused, &service->refused, 1},
	    {count_connected, &backend->accepted, 1},
	    {count_failed, &backend->failed, 1},
	    {count_unlogged, &row->log_dropped, 1},
	    {log_line, &kit.w.head->access_head, 200},
	};

	memcpy(counters, all, sizeof(all));
}

START_TEST(an_event_is_counted_once)
{
	begin();
	list_counters();
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		uint64_t next = 41 + counters[i].step;

		slot->tally = 0;
		atomic_store(counters[i].value, 41);
		counters[i].count(&kit.w, slot);
		ck_assert_uint_eq(atomic_load(counters[i].value), next);
		counters[i].count(&kit.w, slot);
		ck_assert_uint_eq(atomic_load(counters[i].value), next);
	}
	/* Each failed dial is one; so is none at all. */
	atomic_store(counters[3].value, 41);
	slot->tally = 0;
	for (uint8_t tried = 1; tried <= SLOT_TRIED_MAX; tried++) {
		slot->tried_count = tried;
		count_failed(&kit.w, slot);
		ck_assert_uint_eq(atomic_load(counters[3].value), 41 + tried);
	}
	slot->tried_count = 0;
	count_failed(&kit.w, slot);
	ck_assert_uint_eq(atomic_load(counters[3].value), 41 + SLOT_TRIED_MAX);
}
END_TEST

/* After n of the stores: the record, its id, the bit, the counter. */
static void
die_after(int stores, struct counter *c, uint64_t was)
{
	struct body_redo redo;
	uint16_t tally = slot->tally;

	memset(&redo, 0, sizeof(redo));
	c->count(&kit.w, slot);
	redo = kit.w.head->redo;
	if (stores < 2)
		redo.id = 0;
	if (stores < 1)
		memset(&redo, 0, sizeof(redo));
	kit.w.head->redo = redo;
	if (stores < 3)
		slot->tally = tally;
	if (stores < 4)
		atomic_store(c->value, was);
}

START_TEST(a_death_neither_loses_nor_doubles)
{
	begin();
	list_counters();
	for (size_t i = 0; i < 5 * ARRAY_LEN(counters); i++) {
		struct counter *c = &counters[i / 5];
		uint64_t was = 100 + i;

		slot->tally = 0;
		atomic_store(c->value, was);
		die_after((int)(i % 5), c, was);
		count_recover(&kit.w);
		/* What was not committed is met again with its slot. */
		c->count(&kit.w, slot);
		ck_assert_uint_eq(atomic_load(c->value), was + c->step);
		count_recover(&kit.w);
		count_recover(&kit.w);
		ck_assert_uint_eq(atomic_load(c->value), was + c->step);
	}
}
END_TEST

/* Lines of log that find no room are counted there too, without a record. */
START_TEST(a_counter_that_went_on_is_left_alone)
{
	begin();
	count_unlogged(&kit.w, slot);
	atomic_fetch_add(&kit.w.row->log_dropped, 5);
	count_recover(&kit.w);
	ck_assert_uint_eq(atomic_load(&kit.w.row->log_dropped), 6);
	/* Nor does a damaged record move the ring's end by more than a line. */
	count_logged(&kit.w, slot, 200);
	slot->tally = 0;
	count_logged(&kit.w, slot, 400);
	ck_assert_uint_eq(atomic_load(&kit.w.head->access_head), 400);
	kit.w.head->redo.value = 400 + BODY_ACCESS_LINE + 1;
	count_recover(&kit.w);
	ck_assert_uint_eq(atomic_load(&kit.w.head->access_head), 400);
	kit.w.head->redo.value = 399;
	count_recover(&kit.w);
	ck_assert_uint_eq(atomic_load(&kit.w.head->access_head), 400);
	kit.w.head->redo.value = 400 + BODY_ACCESS_LINE;
	count_recover(&kit.w);
	ck_assert_uint_eq(atomic_load(&kit.w.head->access_head),
	    400 + BODY_ACCESS_LINE);
}
END_TEST

START_TEST(a_record_of_another_connection_is_past)
{
	begin();
	list_counters();
	count_accepted(&kit.w, slot);
	atomic_store(counters[0].value, 1000);
	slot->id += PLAN_WORKERS_MAX;
	count_recover(&kit.w);
	ck_assert_uint_eq(atomic_load(counters[0].value), 1000);
}
END_TEST

START_TEST(a_damaged_record_reaches_nothing)
{
	static const struct body_redo bad[] = {
	    {129, KIT_SLOTS, 1, 16, 7},
	    {129, UINT32_MAX, 1, 16, 7},
	    {129, 3, 1, sizeof(struct board_row), 7},
	    {129, 3, 1, sizeof(struct board_row) - 4, 7},
	    {129, 3, 1, UINT64_MAX - 1, 7},
	    {129, 3, 1, 17, 7},
	    {129, 3, 0, 16, 7},
	    {129, 4, 1, 16, 7},
	};
	static char before[sizeof(struct board_row)];
	const char *row;

	begin();
	slot->tally = 1;
	count_recover(&kit.w);
	row = (const char *)kit.w.row;
	memcpy(before, row, sizeof(before));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		kit.w.head->redo = bad[i];
		count_recover(&kit.w);
		ck_assert(memcmp(before, row, sizeof(before)) == 0);
	}
}
END_TEST

START_TEST(live_counts_go_up_and_down_and_begin_anew)
{
	struct board_row *row;

	begin();
	row = kit.w.row;
	count_live_service(&kit.w, slot, 1);
	count_live_service(&kit.w, slot, 1);
	count_live_service(&kit.w, slot, -1);
	count_live_backend(&kit.w, slot, 1);
	ck_assert_uint_eq(atomic_load(&row->connections), 1);
	ck_assert_uint_eq(atomic_load(&row->services[1].connections), 1);
	ck_assert_uint_eq(atomic_load(&row->backends[2].connections), 1);
	ck_assert_uint_eq(atomic_load(&row->services[0].connections), 0);
	count_bytes(&kit.w, FLOW_DOWN, 5);
	count_bytes(&kit.w, FLOW_DOWN, 6);
	count_recover(&kit.w);
	ck_assert_uint_eq(atomic_load(&row->connections), 0);
	ck_assert_uint_eq(atomic_load(&row->services[1].connections), 0);
	ck_assert_uint_eq(atomic_load(&row->backends[2].connections), 0);
	ck_assert_uint_eq(atomic_load(&row->bytes[FLOW_DOWN]), 11);
	ck_assert_uint_eq(atomic_load(&row->bytes[FLOW_UP]), 0);
	kit.w.plan = NULL;
	count_recover(&kit.w);
}
END_TEST

UNIT_MAIN("count", an_event_is_counted_once, a_death_neither_loses_nor_doubles,
    a_counter_that_went_on_is_left_alone,
    a_record_of_another_connection_is_past, a_damaged_record_reaches_nothing,
    live_counts_go_up_and_down_and_begin_anew)
