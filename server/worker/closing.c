/*
 * closing - connections closed because the master was asked to; closing.h.
 */
#include "server/worker/closing.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"

#define SLOTS_A_ROUND 512

/* An order comes to all workers at about the same time; a connection that was
 * on its way between two of them then was seen by neither. */
#define CATCH_UP_US 1000000

void
closing_order(struct worker *w, const struct channel_message *message)
{
	struct body_closing *count = &w->head->closing;
	struct closing *closing = &w->closing;

	if (message->request == 0)
		return;
	if (count->request != message->request) {
		/* In this order: a request never has another one's count. */
		count->request = 0;
		atomic_signal_fence(memory_order_seq_cst);
		count_closed_begin(w);
		count->since_us = w->now_us;
		atomic_signal_fence(memory_order_seq_cst);
		count->request = message->request;
	}
	closing->filter = message->filter;
	closing->is_reset = message->is_reset != 0;
	closing->next = 0;
	closing->is_on = true;
	closing->is_known = true;
}

/* Is it meant, and was it there when the request first came?  The order comes
 * twice when a worker dies before it has read it, and the second time its
 * answer may be out already: who connects after that is not meant. */
static bool
is_meant(const struct worker *w, const struct slot *slot)
{
	return !slot_is_frozen(slot) &&
	    slot->started_us <= w->head->closing.since_us &&
	    filter_matches(&w->closing.filter, slot, w->now_ms);
}

static void
close_one(struct worker *w, struct slot *slot)
{
	conn_close(w, slot, REASON_CLOSED,
	    w->closing.is_reset ? END_RESET : END_SHUTDOWN);
}

void
closing_catch_up(struct worker *w, struct slot *slot, uint64_t frozen_us)
{
	if (w->closing.is_known && w->head->closing.request != 0 &&
	    frozen_us <= w->head->closing.since_us + CATCH_UP_US &&
	    is_meant(w, slot))
		close_one(w, slot);
}

bool
closing_run(struct worker *w)
{
	struct closing *closing = &w->closing;

	if (!closing->is_on)
		return false;
	for (uint32_t n = 0; n < SLOTS_A_ROUND; n++) {
		struct slot *slot;

		if (closing->next >= w->head->slots_used) {
			closing->is_on = false;
			break;
		}
		slot = worker_slot(w, closing->next++);
		if (!is_meant(w, slot))
			continue;
		worker_journal(w, JOURNAL_CONN, worker_slot_number(w, slot));
		close_one(w, slot);
	}
	worker_journal(w, JOURNAL_NONE, 0);
	return !closing->is_on;
}
