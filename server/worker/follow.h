/*
 * follow - plans: kept, judged, followed and given up.
 *
 * A body keeps the plan that its worker works by and one beside it, each as a
 * memfd and a generation.  The master puts a plan in force by storing its
 * generation on the board; a worker goes over to it between two events.
 *
 * Runs in: worker.
 *
 * Invariants
 *  G1  An entry's generation is written after its descriptor, and forgotten
 *      before that is closed.
 *  G2  The plan that is followed leaves the body only when the next one is in
 *      use, and no connection has been touched in between.  So a successor
 *      that finds both begins by the older one and follows as its predecessor
 *      was about to.
 */
#ifndef SRVD_WORKER_FOLLOW_H
#define SRVD_WORKER_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/state/channel.h"
#include "server/worker/worker.h"

/* Could this worker go over to a plan? */
enum follow_answer {
	FOLLOW_READY,
	FOLLOW_INCOMPLETE, /* sockets are still to come */
	FOLLOW_REFUSED,
};

/* Keep what came with the message, or leave it in extra. */
void follow_take_plan(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra);
/* False: their plan is not here. */
must_check bool follow_take_sockets(struct worker *w,
    const struct channel_message *message, struct channel_extra *extra);

/* FOLLOW_REFUSED: why is a sentence for a person. */
enum follow_answer follow_judge(struct worker *w, uint64_t generation,
    char *why, size_t why_size);

/* Forget what was kept of a plan that will not come into force, and of any
 * before it. */
void follow_abort(struct worker *w, uint64_t generation);

/* Go over to the plan in force, if it is another one and is here (B2): what
 * is queued on sockets that it does not have is accepted, by the old one.
 * False if nothing has changed. */
bool follow_next(struct worker *w);

/* The sweep: map the plan that the dead worker worked by, if it had one.
 * Returns -ENOMEM if there is no memory just now, else 0. */
must_check int follow_recover_plan(struct worker *w);

/* After it: finish what the dead worker may have begun. */
void follow_recover(struct worker *w);

#endif
