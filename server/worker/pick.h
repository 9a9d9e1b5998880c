/*
 * pick - which backend a connection is given.
 *
 * An algorithm is one row of the table in pick.c.  Backups are picked only
 * when no other backend is left to try; a weight of 0 takes no connections.
 *
 * Runs in: worker.
 */
#ifndef SRVD_WORKER_PICK_H
#define SRVD_WORKER_PICK_H

#include <stdbool.h>

#include "server/worker/worker.h"

/* Choose one that this connection has not tried yet; false if none is left,
 * or the service's retries are used up. */
must_check bool pick_backend(struct worker *w, const struct slot *slot,
    uint32_t *backend);

/*
 * Whose turn it is under another plan than the one in use, or the first: to be
 * put in the place of w->turns.  What goes on is kept.  NULL: no memory.
 */
must_check int32_t *pick_turns(const struct worker *w, const struct plan *plan);

#endif
