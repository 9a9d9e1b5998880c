/*
 * give - connections that go to another body (transfer.h).
 *
 * A batch is frozen (slot.h, S5), sent, and remains frozen until the taker
 * has said whose it is.  One batch is on its way at a time, and none before
 * the taker has answered for the first time: no connection waits for longer
 * than a question takes.
 *
 * Runs in: worker.  Never blocks.
 *
 * Invariants
 *  D1  What was sent is closed here, or gone on with, on an answer to a
 *      question that was asked after it, or at the end of the channel when
 *      all answers have been read; never by time.
 *  D2  A slot is frozen before it leaves epoll, and in epoll again before it
 *      is not worked on any more: a death in between is made good.
 *  D3  The last word to the master is said after the channel is closed, and
 *      before the transfer is forgotten.
 */
#ifndef SRVD_WORKER_GIVE_H
#define SRVD_WORKER_GIVE_H

#include "server/worker/worker.h"

/* Connections a batch, fewer than a message can have: the last is frozen until
 * all before it have been gone on with.  With 5,000 connections and two busy
 * processors none stood still for more than 16 ms, with 100 a batch for 23. */
#define GIVE_BATCH 24

/*
 * CHANNEL_GIVE: give count connections over fd, or all (CHANNEL_ALL).  False:
 * it was said before, or can't be now (give_is_refused()), and fd remains the
 * caller's.
 */
must_check bool give_begin(struct worker *w, uint64_t transfer, uint32_t count,
    int fd);

/* Is it one that will never begin here, since another has not ended? */
bool give_is_refused(const struct worker *w, uint64_t transfer);

void give_on_event(struct worker *w);

/* Once a round: the next batch, or the end. */
void give_run(struct worker *w);
/* How long a round may wait, at most limit_ms. */
uint32_t give_wait(const struct worker *w, uint32_t limit_ms);
/* Is there one that the master has not heard the end of? */
bool give_is_on(const struct worker *w);

/* After the sweep: go on. */
void give_recover(struct worker *w);

#endif
