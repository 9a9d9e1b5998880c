/*
 * rebalance - live connections evened out over the workers; see rebalance.h.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "common/log.h"
#include "server/master/handover.h"
#include "server/master/master.h"
#include "server/master/rebalance.h"
#include "server/master/upgrade.h"
#include "server/state/channel.h"

#define REBALANCE_MS 30000

/* How many are too many */

static bool
takes_part(const struct body_ref *ref)
{
	return ref->is_current && ref->body_fd >= 0 && ref->leaves == NULL;
}

/* Its worker wrote it. */
static uint32_t
live_of(const struct body_ref *ref)
{
	uint32_t live =
	    atomic_load(&board_row(&ref->master->board, ref->row)->connections);

	return live <= BODY_SLOTS_MAX ? live : BODY_SLOTS_MAX;
}

/* One more for some, as long as there are any over: those that have them
 * anyway first. */
static void
give_rest(struct bodies *bodies, uint32_t mean, uint32_t rest, bool to_rich)
{
	BODIES_EACH(bodies, ref)
	{
		if (rest > 0 && takes_part(ref) &&
		    (live_of(ref) > mean) == to_rich)
			ref->excess--, rest--;
	}
}

static void
share_out(struct bodies *bodies)
{
	uint32_t rich = 0;
	uint32_t count = 0;
	uint64_t total = 0;
	uint32_t mean;
	uint32_t rest;

	BODIES_EACH(bodies, ref)
	{
		ref->excess = 0;
		count += takes_part(ref);
		total += takes_part(ref) ? live_of(ref) : 0;
	}
	if (count == 0)
		return;
	mean = (uint32_t)(total / count);
	rest = (uint32_t)(total % count);
	BODIES_EACH(bodies, ref)
	{
		if (!takes_part(ref))
			continue;
		ref->excess = (int32_t)live_of(ref) - (int32_t)mean;
		rich += ref->excess > 0;
	}
	give_rest(bodies, mean, rest, true);
	if (rest > rich)
		give_rest(bodies, mean, rest - rich, false);
}

/* Moving them */

static void
finish(struct master *m, const char *why)
{
	struct rebalance *rebalance = &m->rebalance;
	rebalance_done_fn *done = rebalance->done;

	rebalance->is_open = false;
	rebalance->done = NULL;
	loop_timer_cancel(m->loop, &rebalance->timer);
	if (why == NULL)
		log_info("connections are evened out over the workers "
			 "moved=%llu",
		    (unsigned long long)rebalance->moved);
	else
		log_warn("connections are not evened out over the workers: %s "
			 "moved=%llu",
		    why, (unsigned long long)rebalance->moved);
	if (done != NULL)
		done(rebalance->arg, rebalance->moved, why);
}

static void
on_timer(struct loop_timer *timer)
{
	finish(timer->arg, "it took too long; what is being moved goes on");
}

/* *waits: there is one, but it is busy. */
static struct body_ref *
find_taker(const struct bodies *bodies, bool *waits)
{
	BODIES_EACH(bodies, ref)
	{
		if (!takes_part(ref) || ref->excess >= 0)
			continue;
		if (handover_may_take(ref))
			return ref;
		*waits = true;
	}
	return NULL;
}

/* Is it at it, or waits for somebody to give to? */
static bool
is_giving(struct body_ref *ref)
{
	bool waits = false;
	struct body_ref *taker;
	int32_t count;

	if (ref->give.transfer != 0)
		return ref->give.count != CHANNEL_ALL;
	if (!takes_part(ref) || ref->excess <= 0)
		return false;
	taker = find_taker(&ref->master->bodies, &waits);
	if (taker == NULL)
		return waits;
	count = ref->excess < -taker->excess ? ref->excess : -taker->excess;
	/* What can't be had now is tried again in a second. */
	if (handover_begin(ref, taker, (uint32_t)count) < 0)
		return true;
	ref->excess -= count;
	taker->excess += count;
	return true;
}

void
rebalance_look(struct master *m)
{
	bool is_done = true;

	if (!m->rebalance.is_open)
		return;
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->body_fd >= 0 && is_giving(ref))
			is_done = false;
	}
	if (is_done)
		finish(m,
		    m->rebalance.is_broken ? "a hand-over failed: try again"
					   : NULL);
}

const char *
rebalance_hindrance(const struct master *m)
{
	const char *why = upgrade_hindrance(m);

	return why == NULL && m->rebalance.is_open ? REBALANCE_IS_BUSY : why;
}

int
rebalance_begin(struct master *m, rebalance_done_fn *done, void *arg)
{
	struct rebalance *rebalance = &m->rebalance;

	if (rebalance_hindrance(m) != NULL)
		return -EBUSY;
	*rebalance = (struct rebalance){
	    .is_open = true,
	    .done = done,
	    .arg = arg,
	    .timer = {.due = on_timer, .arg = m},
	};
	loop_timer_set(m->loop, &rebalance->timer, REBALANCE_MS);
	share_out(&m->bodies);
	/* From the loop: the answer comes later. */
	handover_wake(m);
	return 0;
}

void
rebalance_forget(struct master *m, const void *arg)
{
	if (m->rebalance.arg == arg)
		m->rebalance.done = NULL;
}

void
rebalance_on_given(struct body_ref *ref, uint32_t count, bool is_broken)
{
	struct rebalance *rebalance = &ref->master->rebalance;

	if (!rebalance->is_open || ref->give.count == CHANNEL_ALL)
		return;
	/* It may say anything, but not more than it was asked for. */
	if (count <= ref->give.count)
		rebalance->moved += count;
	rebalance->is_broken = rebalance->is_broken || is_broken;
}

void
rebalance_stop(struct master *m)
{
	if (m->rebalance.is_open)
		finish(m, "the gateway is stopping");
}
