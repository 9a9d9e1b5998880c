/*
 * dial - from an accepted client to a connected backend.
 *
 * Runs in: worker.  Never blocks.  No byte of the client's has been read
 * when it goes on to another backend.
 */
#ifndef SRVD_WORKER_DIAL_H
#define SRVD_WORKER_DIAL_H

#include "server/worker/worker.h"

/* Dial one backend after the other until one is there, or none is left: then
 * the client is reset. */
void dial_start(struct worker *w, struct slot *slot);

void dial_on_event(struct worker *w, struct slot *slot, uint32_t events);
void dial_on_timer(struct worker *w, struct slot *slot);

/* The plan has changed: what it says now of a connection in CONN_DIALING.
 * One whose service was removed has its present attempt, and no other. */
void dial_review(struct worker *w, struct slot *slot);

/* The sweep: go on with a slot in CONN_DIALING; nothing is concluded from an
 * absent error. */
void dial_recover(struct worker *w, struct slot *slot, bool was_worked_on);

#endif
