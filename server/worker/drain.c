/*
 * drain - the end of a worker's service; see drain.h.
 */
#include "server/worker/drain.h"
#include "common/log.h"
#include "server/state/channel.h"
#include "server/worker/access.h"
#include "server/worker/conn.h"
#include "server/worker/give.h"
#include "server/worker/leave.h"
#include "server/worker/levels.h"
#include "server/worker/take.h"

/* So often it is looked whether a master has taken the last lines. */
#define ACCESS_MS 20

/* Ids are in rows with equal steps: a multiplication by 2^64 over the
 * golden ratio spreads any such row evenly. */
uint32_t
drain_delay_ms(uint64_t id)
{
	uint64_t mixed = id * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((mixed >> 32) * CHANNEL_SPREAD_MS >> 32);
}

static bool
is_over(const struct worker *w)
{
	return w->now_ms >= w->drain_until_ms;
}

void
drain_begin(struct worker *w, uint64_t until_ms)
{
	/* The master repeats itself to a successor. */
	if (w->is_draining && w->drain_until_ms == until_ms)
		return;
	/* Before anything is done of it: a successor does the rest. */
	w->head->drain_until_ms = until_ms;
	w->drain_until_ms = until_ms;
	w->drain_look_ms = 0;
	if (w->is_draining)
		return;
	w->is_draining = true;
	w->is_listening = is_over(w) || leave_drained(w);
}

void
drain_retire(struct worker *w)
{
	w->head->is_retiring = 1;
	atomic_store(&w->row->accepts, 0);
	leave_all(w);
	w->is_listening = false;
}

void
drain_recover(struct worker *w)
{
	if (w->head->is_retiring != 0)
		drain_retire(w);
	if (w->head->drain_until_ms != 0)
		drain_begin(w, w->head->drain_until_ms);
}

/* Those that were queued behind a limit follow as others end. */
static void
take_queued(struct worker *w)
{
	if (!w->is_listening)
		return;
	if (!is_over(w)) {
		if (w->paused == 0)
			w->is_listening = leave_drained(w);
		return;
	}
	if (w->drain_until_ms != DRAIN_AT_ONCE &&
	    levels_want(w, LEVELS_GENERAL, LEVEL_WARN))
		log_warn("clients that waited in the backlog are turned away: "
			 "the time to drain is over");
	leave_all(w);
	w->is_listening = false;
}

static bool
is_due(const struct worker *w, const struct slot *slot)
{
	return slot_is_connection(slot) && !slot_is_frozen(slot) &&
	    w->now_ms - w->drain_until_ms >= drain_delay_ms(slot->id);
}

static void
close_due(struct worker *w)
{
	for (uint32_t i = 0; i < w->head->slots_used; i++) {
		if (!is_due(w, worker_slot(w, i)))
			continue;
		worker_journal(w, JOURNAL_CONN, i);
		conn_close(w, worker_slot(w, i), REASON_STOP, END_SHUTDOWN);
	}
	worker_journal(w, JOURNAL_NONE, 0);
}

/* All slots are looked at, so not in every round. */
static void
close_left(struct worker *w)
{
	if (!is_over(w) || w->live == 0 || w->now_ms < w->drain_look_ms)
		return;
	if (w->drain_look_ms == 0 && levels_want(w, LEVELS_GENERAL, LEVEL_INFO))
		log_info("connections are closed by the stop connections=%u",
		    w->live);
	w->drain_look_ms = w->now_ms + TIMERS_TICK_MS;
	close_due(w);
}

/* One that others have the place of, and who has given all away.  With it its
 * access ring goes, so the lines in it must be a master's: there may be none
 * just now, and who is to be in command of us next takes them. */
static bool
has_retired(const struct worker *w)
{
	return w->head->is_retiring != 0 && !give_is_on(w) &&
	    access_is_taken(w);
}

void
drain_run(struct worker *w)
{
	if (w->is_draining) {
		take_queued(w);
		close_left(w);
	} else if (!has_retired(w)) {
		return;
	}
	w->is_done = w->live == 0 && !w->is_listening && !take_owes(w);
}

uint32_t
drain_wait(const struct worker *w, uint32_t limit_ms)
{
	uint64_t until = w->drain_until_ms;

	if (!w->is_draining && w->head->is_retiring != 0 && w->live == 0)
		return limit_ms < ACCESS_MS ? limit_ms : ACCESS_MS;
	if (!w->is_draining)
		return limit_ms;
	if (is_over(w))
		until = w->drain_look_ms;
	if (until <= w->now_ms)
		return 0;
	return until - w->now_ms < limit_ms ? (uint32_t)(until - w->now_ms)
					    : limit_ms;
}
