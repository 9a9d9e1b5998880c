/*
 * drain - the end of a worker's service: no client is accepted any more, and
 * the connections have a while to end.
 *
 * The time it is over is a moment, not a span, and stands in the body: a
 * successor knows it before it hears from the master, or without one.  What
 * is left then is closed over CHANNEL_SPREAD_MS more, each connection at a
 * moment that follows from its id: no death makes it another one, and not all
 * clients come at once to whatever serves next.
 *
 * Runs in: worker.  Never blocks.
 */
#ifndef SRVD_WORKER_DRAIN_H
#define SRVD_WORKER_DRAIN_H

#include "server/worker/worker.h"

/* Until then (CLOCK_MONOTONIC), or DRAIN_AT_ONCE.  Said again it may be
 * sooner. */
#define DRAIN_AT_ONCE UINT64_C(1)
void drain_begin(struct worker *w, uint64_t until_ms);

/* CHANNEL_RETIRE: its listening sockets are others' now.  Whoever is queued is
 * theirs; it ends when all connections have been given away, or have ended. */
void drain_retire(struct worker *w);

/* Go on with what a dead worker was told. */
void drain_recover(struct worker *w);

/* Once a round: take clients that are still queued, close what has had its
 * time, and end when nothing is left. */
void drain_run(struct worker *w);

/* How long a round may wait, at most limit_ms. */
uint32_t drain_wait(const struct worker *w, uint32_t limit_ms);

/* How long after the end of the time this connection is closed. */
uint32_t drain_delay_ms(uint64_t id);

#endif
