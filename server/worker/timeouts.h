/*
 * timeouts - how long a relayed connection may go on as it is.
 *
 * What the plan in use says of a connection in CONN_RELAYING: a connection
 * does not remember what was said when it began.
 *
 * Runs in: worker.
 */
#ifndef SRVD_WORKER_TIMEOUTS_H
#define SRVD_WORKER_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/state/reason.h"
#include "server/worker/worker.h"

/* Has one direction ended? */
bool timeouts_is_half_closed(const struct slot *slot);

/* When it is to be looked at next; 0: when something happens. */
uint64_t timeouts_next(const struct worker *w, const struct slot *slot);

/* Why it has to end now; REASON_NONE while it need not. */
enum close_reason timeouts_reason(const struct worker *w,
    const struct slot *slot);

/* It has lasted: it gets keepalive probes, if it has none yet. */
void timeouts_keepalive(const struct worker *w, struct slot *slot);

#endif
