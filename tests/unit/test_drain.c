/*
 * test_drain - when a worker that drains closes what is left, and what its
 * successor knows of it.
 */
#include "server/state/reason.h"
#include "server/worker/drain.h"
#include "tests/unit/plan_kit.h"

#define CROWD 3
#define BEGUN 100000

static int master_fd;
static struct relayed conns[CROWD];

/* The ids of one worker, a thousand in a row: each tenth of the time has about
 * a tenth of them. */
START_TEST(ids_in_a_row_are_spread_evenly)
{
	for (uint64_t first = 1; first <= BOARD_ROWS; first++) {
		unsigned tenths[10] = {0};

		for (uint64_t i = 0; i < 1000; i++) {
			uint32_t delay = drain_delay_ms(first + i * BOARD_ROWS);

			ck_assert_uint_lt(delay, CHANNEL_SPREAD_MS);
			tenths[delay * 10 / CHANNEL_SPREAD_MS]++;
		}
		for (size_t i = 0; i < ARRAY_LEN(tenths); i++) {
			ck_assert_uint_ge(tenths[i], 80);
			ck_assert_uint_le(tenths[i], 120);
		}
	}
}
END_TEST

static void
begin(void)
{
	(void)plans_begin(&master_fd);
	kit.w.now_ms = BEGUN;
	for (uint32_t i = 0; i < CROWD; i++) {
		conns[i] = put_relayed(i, CONN_RELAYING);
		conns[i].slot->service = KIT_OLD;
		conns[i].slot->backend = KIT_BACKEND_A;
		kit.w.live++;
	}
}

/* At that time; are just those gone whose moment has come? */
static void
expect_closed_by_rule(uint64_t over_ms)
{
	kit.w.now_ms = BEGUN + 5000 + over_ms;
	drain_run(&kit.w);
	for (uint32_t i = 0; i < CROWD; i++) {
		const struct slot *slot = conns[i].slot;
		bool is_due = drain_delay_ms(slot->id) <= over_ms;

		CHILD_CHECK((slot->state == CONN_FREE) == is_due);
		CHILD_CHECK(!is_due || slot->reason == REASON_STOP);
	}
}

/* What a successor begins with; only the body remembers. */
static void
forget(void)
{
	kit.w.is_draining = false;
	kit.w.is_listening = false;
	kit.w.drain_until_ms = 0;
	kit.w.drain_look_ms = 0;
}

static void
by_rule(void *arg)
{
	(void)arg;
	begin();
	drain_recover(&kit.w);
	CHILD_CHECK(!kit.w.is_draining);
	CHILD_CHECK(drain_wait(&kit.w, 700) == 700);
	drain_begin(&kit.w, BEGUN + 5000);
	CHILD_CHECK(drain_wait(&kit.w, 700) == 700);
	CHILD_CHECK(drain_wait(&kit.w, 7000) == 5000);
	drain_run(&kit.w);
	CHILD_CHECK(!kit.w.is_done && kit.w.live == CROWD);
	for (uint32_t ms = 0; ms <= CHANNEL_SPREAD_MS; ms += 50) {
		expect_closed_by_rule(ms);
		CHILD_CHECK(drain_wait(&kit.w, 700) <= TIMERS_TICK_MS);
		forget();
		drain_recover(&kit.w);
		CHILD_CHECK(kit.w.is_draining);
	}
	drain_run(&kit.w);
	CHILD_CHECK(kit.w.is_done && kit.w.live == 0);
	CHILD_CHECK(atomic_load(&kit.w.head->journal) == 0);
}

START_TEST(each_is_closed_at_its_own_moment)
{
	plans_compile("");
	child_passes(by_rule, NULL);
}
END_TEST

static void
at_once(void *arg)
{
	(void)arg;
	begin();
	drain_begin(&kit.w, BEGUN + 5000);
	drain_run(&kit.w);
	CHILD_CHECK(!kit.w.is_done);
	drain_begin(&kit.w, DRAIN_AT_ONCE);
	CHILD_CHECK(drain_wait(&kit.w, 700) == 0);
	drain_run(&kit.w);
	CHILD_CHECK(kit.w.is_done && kit.w.live == 0);
}

START_TEST(a_second_order_hurries)
{
	plans_compile("");
	child_passes(at_once, NULL);
}
END_TEST

UNIT_MAIN("drain", ids_in_a_row_are_spread_evenly,
    each_is_closed_at_its_own_moment, a_second_order_hurries)
