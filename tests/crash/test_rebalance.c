/*
 * Connections evened out over two workers, with the giver or the taker killed at
 * each system call: as many change their owner as without a death, and all go
 * on in the one worker and the other.
 *
 * There is one worker, which has them all; then two, and a rebalance.
 */
#include "harness.h"
#include "killer.h"
#include "points.h"
#include "stage.h"

#define QUICK_STOPS 16U

struct rebalance {
	struct stage *stage;
	unsigned victim; /* seat of the worker that is killed */
};

/* Half of them, whatever died; a stream may end before they are shared out. */
static void
expect_moved(json_t *reply)
{
	int64_t moved;

	gateway_expect_success(reply);
	moved = json_integer_value(gateway_find(reply, "parameters/moved"));
	ck_assert_int_le(moved, STAGE_ALL / 2);
	ck_assert_int_ge(moved, (STAGE_ALL - STAGE_STREAMS) / 2);
	json_decref(reply);
}

static struct killer_trial
try_rebalance(void *arg, unsigned point)
{
	const struct rebalance *r = arg;
	struct stage *s = r->stage;
	struct killer_trial trial;
	struct killer killer;
	pid_t victim;

	stage_set_workers(s, 1);
	stage_open(s);
	stage_set_workers(s, 2);
	ck_assert_int_eq(gateway_number(&s->gateway, "workers/0/connections"),
	    STAGE_ALL);
	victim = gateway_worker(&s->gateway, r->victim);
	killer_arm(&killer, victim, point);
	load_release(s->load);
	expect_moved(stage_call(s, "Rebalance"));
	trial = killer_disarm(&killer);
	if (trial.has_killed)
		gateway_expect_successor(&s->gateway, r->victim, victim);
	stage_end_all(s);
	for (unsigned seat = 0; seat < 2; seat++)
		stage_expect_empty(s, seat);
	stage_set_workers(s, 1);
	stage_expect_sound(s);
	return trial;
}

static void
enumerate(const char *name, unsigned victim)
{
	static struct stage stage;
	struct rebalance rebalance = {.stage = &stage, .victim = victim};

	if (!killer_can_trace())
		return;
	stage_begin(&stage);
	(void)points_try_all(name, try_rebalance, &rebalance, QUICK_STOPS, 0);
	stage_stop(&stage);
}

START_TEST(giver)
{
	enumerate("rebalance, giver", 0);
}
END_TEST

START_TEST(taker)
{
	enumerate("rebalance, taker", 1);
}
END_TEST

E2E_MAIN("crash.rebalance", giver, taker)
