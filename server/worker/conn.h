/*
 * conn - the life of a connection's slot: claimed, and ended by one door.
 *
 * Runs in: worker.  Knows nothing of: how it is dialed or relayed.
 */
#ifndef SRVD_WORKER_CONN_H
#define SRVD_WORKER_CONN_H

#include "server/state/reason.h"
#include "server/worker/worker.h"

/* A free slot in CONN_ACCEPTING with an id of its own; NULL if none is. */
must_check struct slot *conn_claim(struct worker *w);
/* The same for a connection that has its id, and comes in CONN_ARRIVING with a
 * batch (slot.h). */
must_check struct slot *conn_place(struct worker *w, uint32_t batch);
/* The accept came to nothing. */
void conn_unclaim(struct worker *w, struct slot *slot);

/* Its client is here (slot->fd has it): count it, CONN_DIALING. */
void conn_accepted(struct worker *w, struct slot *slot);

/* The one door: every connection ends here, once, with its reason. */
void conn_close(struct worker *w, struct slot *slot, enum close_reason reason,
    enum conn_end end);

/* Finish a CONN_CLOSING slot: pipes, descriptors, the slot itself. */
void conn_finish(struct worker *w, struct slot *slot);

/* It is another body's: close our numbers, and nothing of what they are.
 * Frozen, or CONN_ARRIVING. */
void conn_leave(struct worker *w, struct slot *slot);

/* Close one side's descriptor and forget all about it. */
void conn_close_side(struct slot *slot, enum side side);
/* Let the close of a TCP side be a reset, which leaves no TIME_WAIT. */
void conn_reset_at_close(const struct slot *slot, enum side side);

/* Is the socket of this side a TCP one? */
bool conn_side_is_tcp(const struct slot *slot, enum side side);

/*
 * What is to become of a connection because its service or backend was removed
 * (on_remove); ON_REMOVE_KEEP also while both are in the configuration.
 */
enum plan_on_remove conn_on_remove(const struct worker *w,
    const struct slot *slot);

const struct plan_service *conn_service(const struct worker *w,
    const struct slot *slot);

#endif
