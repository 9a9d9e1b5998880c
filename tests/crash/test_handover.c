/*
 * Connections handed over to another worker, with the giver or the taker killed
 * at each system call: each connection has one owner at every instant, so none
 * is lost, and no byte, count or line of any.
 *
 * There are two workers, then one by a reload, and two again for the next run.
 */
#include <stdio.h>

#include "brood.h"
#include "harness.h"
#include "killer.h"
#include "points.h"
#include "stage.h"

#define QUICK_STOPS  20U
#define QUICK_SWEEPS 4U
#define DEATHS       3U /* that a sweep follows upon */

struct handover {
	struct stage *stage;
	unsigned victim; /* seat of the worker that is killed */
	unsigned first;  /* stop of its death, where its successor dies too */
};

static struct killer_trial
hand_over(const struct handover *h, unsigned point)
{
	struct stage *s = h->stage;
	struct killer_trial trial;
	struct killer killer;
	pid_t remains;

	gateway_expect_successor(&s->gateway, 1, 0);
	stage_open(s);
	remains = gateway_worker(&s->gateway, 0);
	killer_arm(&killer, gateway_worker(&s->gateway, h->victim), point);
	load_release(s->load);
	stage_set_workers(s, 1);
	trial = killer_disarm(&killer);
	if (trial.has_killed && h->victim == 0)
		gateway_expect_successor(&s->gateway, 0, remains);
	stage_end_all(s);
	stage_expect_sound(s);
	stage_set_workers(s, 2);
	return trial;
}

static struct killer_trial
try_handover(void *arg, unsigned point)
{
	return hand_over(arg, point);
}

/* The successor is killed before its sweep is over. */
static struct killer_trial
try_sweep(void *arg, unsigned point)
{
	const struct handover *h = arg;
	struct killer_trial trial;
	struct brood brood;

	brood_arm(&brood, gateway_holder(&h->stage->gateway, h->victim),
	    BROOD_OF_HOLDER, point);
	(void)hand_over(h, h->first);
	trial = brood_disarm(&brood);
	return trial;
}

static void
enumerate(const char *name, unsigned victim)
{
	static struct stage stage;
	struct handover handover = {.stage = &stage, .victim = victim};

	if (!killer_can_trace())
		return;
	stage_begin(&stage);
	(void)points_try_all(name, try_handover, &handover, QUICK_STOPS, 0);
	stage_stop(&stage);
}

static void
enumerate_sweeps(const char *name, unsigned victim)
{
	static struct stage stage;
	struct handover handover = {.stage = &stage, .victim = victim};
	unsigned killed = 0;
	unsigned stops;
	char text[96];

	if (!killer_can_trace())
		return;
	stage_begin(&stage);
	stops = hand_over(&handover, KILLER_NEVER).seen;
	for (unsigned i = 1; i <= DEATHS; i++) {
		handover.first = stops * i / (DEATHS + 2);
		snprintf(text, sizeof text, "%s, sweep after stop %u", name,
		    handover.first);
		killed +=
		    points_try_any(text, try_sweep, &handover, QUICK_SWEEPS, i);
	}
	ck_assert_uint_gt(killed, 0);
	stage_stop(&stage);
}

START_TEST(giver)
{
	enumerate("hand-over, giver", 1);
}
END_TEST

START_TEST(taker)
{
	enumerate("hand-over, taker", 0);
}
END_TEST

START_TEST(giver_twice)
{
	enumerate_sweeps("hand-over, giver", 1);
}
END_TEST

START_TEST(taker_twice)
{
	enumerate_sweeps("hand-over, taker", 0);
}
END_TEST

E2E_MAIN("crash.handover", giver, taker, giver_twice, taker_twice)
