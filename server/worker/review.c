/*
 * review - a walk over all connections after the plan has changed; review.h.
 */
#include "server/worker/review.h"
#include "server/worker/conn.h"
#include "server/worker/dial.h"
#include "server/worker/relay.h"

#define SLOTS_A_ROUND 512

void
review_begin(struct worker *w)
{
	w->review.next = 0;
	w->review.is_on = true;
}

static void
review_slot(struct worker *w, struct slot *slot)
{
	/* A frozen one is looked at when it is whosever it will be. */
	if (slot_is_frozen(slot))
		return;
	switch (slot->state) {
	case CONN_DIALING:
		dial_review(w, slot);
		break;
	case CONN_RELAYING:
		relay_review(w, slot);
		break;
	default:
		/* One that is being reset ends by itself, and soon. */
		break;
	}
}

void
review_run(struct worker *w)
{
	struct review *review = &w->review;

	if (!review->is_on)
		return;
	for (uint32_t n = 0; n < SLOTS_A_ROUND; n++) {
		if (review->next >= w->head->slots_used) {
			review->is_on = false;
			break;
		}
		worker_journal(w, JOURNAL_CONN, review->next);
		review_slot(w, worker_slot(w, review->next));
		review->next++;
	}
	worker_journal(w, JOURNAL_NONE, 0);
}
