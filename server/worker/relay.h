/*
 * relay - what happens to a connection once its backend is there.
 *
 * Runs in: worker.  Drives the two flows of a connection and passes resets on.
 *
 * Invariants
 *  R1  A reset is passed on as a reset, after all bytes that were received
 *      before it.
 */
#ifndef SRVD_WORKER_RELAY_H
#define SRVD_WORKER_RELAY_H

#include "server/worker/worker.h"

/* The backend is connected, or a builtin: begin. */
void relay_start(struct worker *w, struct slot *slot);

/* epoll's events for the socket of a side. */
void relay_on_event(struct worker *w, struct slot *slot, enum side side,
    uint32_t events);
void relay_on_timer(struct worker *w, struct slot *slot);

/* The plan has changed: what it says now of a connection in CONN_RELAYING. */
void relay_review(struct worker *w, struct slot *slot);

/* Go on with flows that waited for a pipe, as far as there are some now. */
void relay_feed(struct worker *w);

/* The sweep: what a connection that was being worked on has moved counts,
 * though it won't go on. */
void relay_settle(struct worker *w, struct slot *slot);

/* The sweep: a connection in CONN_RELAYING or CONN_RESETTING lives on;
 * was_worked_on: the dead worker's journal names it. */
void relay_recover(struct worker *w, struct slot *slot, bool was_worked_on);

/* A connection that has just come from another body, or was frozen and remains
 * ours: like one that was being worked on, and what was ordered meanwhile is
 * carried out. */
void relay_resume(struct worker *w, struct slot *slot);

#endif
