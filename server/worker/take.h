/*
 * take - connections that come from another body (transfer.h).
 *
 * A batch is taken in one go: its connections are written into slots in
 * CONN_ARRIVING, then one store says that they are ours, then the giver is
 * told, and they are gone on with.  What can't be taken is left to it whole.
 *
 * Runs in: worker.  Never blocks.
 *
 * Invariants
 *  A1  Before that store nothing is done to what the descriptors are of: a
 *      death closes our numbers, and nobody notices.
 *  A2  The channel is not left before the giver has been told what is ours.
 *  A3  Nothing is done with what is ours before the giver was told: should
 *      our body end, with bytes in a pipe that only it has, the giver must
 *      not go on as if they had never been read.
 */
#ifndef SRVD_WORKER_TAKE_H
#define SRVD_WORKER_TAKE_H

#include "server/worker/worker.h"

/* CHANNEL_TAKE: take what comes over fd.  False: it was said before, or can't
 * be now, and fd remains the caller's. */
must_check bool take_begin(struct worker *w, uint64_t transfer, int fd);

void take_on_event(struct worker *w);

/* Once a round: answer what could not be answered at once. */
void take_run(struct worker *w);
/* How long a round may wait, at most limit_ms. */
uint32_t take_wait(const struct worker *w, uint32_t limit_ms);
/* Is there an answer that the giver has not got? */
bool take_owes(const struct worker *w);

/* The sweep, before it looks at descriptors: make what arrived ours, and
 * forget what didn't and what is another body's. */
void take_sort(struct worker *w);
/* Still in it, before any connection is gone on with: tell the giver what is
 * ours (A3). */
void take_tell(struct worker *w);
/* After it: go on. */
void take_recover(struct worker *w);

#endif
