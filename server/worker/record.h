/*
 * record - a connection as it travels from body to body, and as a slot.
 *
 * Runs in: worker.  Knows nothing of: whose it is, and when.
 */
#ifndef SRVD_WORKER_RECORD_H
#define SRVD_WORKER_RECORD_H

#include "server/state/transfer.h"
#include "server/worker/worker.h"

/* Add a connection with all of its descriptors to a batch, which has room. */
void record_pack(const struct worker *w, const struct slot *slot,
    struct transfer_message *message);

/* Has a batch room for any one more? */
bool record_has_room(const struct transfer_message *message);

/* Could this worker go on with it (its giver may be anybody)?  fds are its
 * own. */
must_check bool record_is_sound(const struct worker *w,
    const struct transfer_record *record, const int *fds);

/* Write it into an empty slot in CONN_ARRIVING, which owns the descriptors
 * then.  There must be room for its pipes. */
void record_unpack(struct worker *w, const struct transfer_record *record,
    const int *fds, struct slot *slot);

#endif
