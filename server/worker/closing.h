/*
 * closing - connections closed because the master was asked to.
 *
 * A portion a round.  How many there were is counted in the body, by
 * conn_close() and before they are gone, so that the same request told again
 * to a successor goes on; it looks at all slots once more, and finds those
 * that are left.  Connections that came after the request are not its.
 *
 * Runs in: worker.
 */
#ifndef SRVD_WORKER_CLOSING_H
#define SRVD_WORKER_CLOSING_H

#include <stdbool.h>

#include "server/state/channel.h"
#include "server/worker/worker.h"

/* Begin, or begin again, what the message asks for. */
void closing_order(struct worker *w, const struct channel_message *message);

/* The next portion; true when it was the last one of a request. */
must_check bool closing_run(struct worker *w);

/* A connection that was frozen from then on is here: close it if it was meant
 * by an order that came about then. */
void closing_catch_up(struct worker *w, struct slot *slot, uint64_t frozen_us);

#endif
