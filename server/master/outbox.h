/*
 * outbox - what is still to be said to a worker.
 *
 * Nothing is queued here: what to send follows from what the gateway is
 * (plans, sockets, levels, phase) and what this worker has been told and has
 * acknowledged.  So a successor is told what its predecessor can't have
 * finished, and orders that are overtaken are never sent.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_OUTBOX_H
#define SRVD_MASTER_OUTBOX_H

#include "common/attr.h"
#include "server/master/body_ref.h"

/* Send what the channel takes now.  Returns 0 when nothing is left, -EAGAIN
 * when it is full, or -errno. */
must_check int outbox_send(struct body_ref *ref);

/* It is retiring; it has an end of a transfer to get. */
void outbox_retire_changed(struct body_ref *ref);

/* There is a new worker: what was not acknowledged is to be said again. */
void outbox_repeat(struct body_ref *ref);
/* There is a new body. */
void outbox_clear(struct body_ref *ref);

/* The log level; the phase; the order to close connections is a new one. */
void outbox_level_changed(struct body_ref *ref);
void outbox_phase_changed(struct body_ref *ref);
void outbox_closing_changed(struct body_ref *ref);

/* The worker says that it has all of generation. */
void outbox_ready(struct body_ref *ref, uint64_t generation);
bool outbox_is_ready(const struct body_ref *ref, uint64_t generation);

/* m->next has come into force, or was given up. */
void outbox_commit(struct body_ref *ref);
void outbox_abort(struct body_ref *ref);

#endif
