/*
 * count - counters that a death neither loses from nor adds to.
 *
 * An event is counted in three stores: what counter becomes what (the redo
 * record in the body), the bit of the event in the connection's slot, the
 * counter.  A successor that finds the bit set stores the counter once more;
 * one that doesn't counts the event when it meets the slot.
 *
 * Runs in: worker.
 */
#ifndef SRVD_WORKER_COUNT_H
#define SRVD_WORKER_COUNT_H

#include <stdint.h>

#include "server/worker/worker.h"

/* Its client was accepted; its dial succeeded; it was turned away. */
void count_accepted(struct worker *w, struct slot *slot);
void count_connected(struct worker *w, struct slot *slot);
void count_refused(struct worker *w, struct slot *slot);
/* The dial of slot->backend failed, the tried_count'th of this connection. */
void count_failed(struct worker *w, struct slot *slot);

/* Its line stands in the body's access ring, which is full up to access_head
 * now; it found no room there. */
void count_logged(struct worker *w, struct slot *slot, uint64_t access_head);
void count_unlogged(struct worker *w, struct slot *slot);

/* It is being closed for the request in body_closing, which begins anew. */
void count_closed(struct worker *w, struct slot *slot);
void count_closed_begin(struct worker *w);

/* Live counts: a connection came to or left the service, the backend. */
void count_live_service(struct worker *w, const struct slot *slot, int by);
void count_live_backend(struct worker *w, const struct slot *slot, int by);

/* Bytes moved in a direction; may lag by one transfer a death. */
void count_bytes(struct worker *w, enum direction direction, uint64_t bytes);

/* The sweep: finish what was being counted; set all live counts to zero. */
void count_recover(struct worker *w);

#endif
