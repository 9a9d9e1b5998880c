/*
 * test_rebalance - what the master does to even out connections.
 */
#include "server/master/rebalance.h"
#include "tests/unit/handover_kit.h"

static struct {
	unsigned count;
	uint64_t moved;
	char why[128];
} evened;

static void
on_evened(void *arg, uint64_t moved, const char *why)
{
	ck_assert_ptr_eq(arg, &evened);
	evened.count++;
	evened.moved = moved;
	(void)snprintf(evened.why, sizeof(evened.why), "%s",
	    why == NULL ? "" : why);
}

static void
even_out(void)
{
	evened.count = 0;
	ck_assert_int_eq(rebalance_begin(&kit, on_evened, &evened), 0);
	ck_assert_int_eq(rebalance_begin(&kit, on_evened, &evened), -EBUSY);
	ck_assert_str_eq(rebalance_hindrance(&kit), REBALANCE_IS_BUSY);
	ck_assert_uint_eq(evened.count, 0);
	(void)kit_run(50);
}

START_TEST(connections_are_evened_out)
{
	open_gateway();
	/* They are, but for one. */
	set_live(0, 4);
	even_out();
	ck_assert_uint_eq(evened.count, 1);
	ck_assert_uint_eq(evened.moved, 0);
	ck_assert_str_eq(evened.why, "");
	set_live(0, 104);
	even_out();
	ck_assert_uint_eq(evened.count, 0);
	ck_assert_uint_eq(kit_workers[0].give.count, 50);
	ck_assert_uint_eq(kit_workers[0].give.request,
	    kit_workers[1].take.request);
	/* It says that it gave more than it should: none is believed. */
	say_given(0, kit_workers[0].give.request, 51, false);
	ck_assert_uint_eq(evened.count, 1);
	ck_assert_uint_eq(evened.moved, 0);
	even_out();
	say_given(0, kit_workers[0].give.request, 49, false);
	ck_assert_uint_eq(evened.count, 1);
	ck_assert_uint_eq(evened.moved, 49);
	ck_assert_str_eq(evened.why, "");
	even_out();
	say_given(0, kit_workers[0].give.request, 7, true);
	ck_assert_uint_eq(evened.moved, 7);
	ck_assert_ptr_nonnull(strstr(evened.why, "try again"));
	/* A stop; and whoever asked has gone. */
	even_out();
	rebalance_forget(&kit, &evened);
	evened.count = 0;
	rebalance_stop(&kit);
	ck_assert_uint_eq(evened.count, 0);
	kit.phase = MASTER_STOPPING;
	ck_assert_str_eq(rebalance_hindrance(&kit), RELOAD_STOPS);
	ck_assert_int_eq(rebalance_begin(&kit, on_evened, &evened), -EBUSY);
}
END_TEST

UNIT_MAIN("rebalance", connections_are_evened_out)
