/*
 * review - a walk over all connections after the plan has changed.
 *
 * What the new plan says of a connection that lives already is applied to it:
 * other timeouts, and what becomes of it when its service or backend left the
 * configuration.  A portion a round, so that relaying doesn't notice.
 *
 * Runs in: worker.  A successor begins it anew: once more does no harm.
 */
#ifndef SRVD_WORKER_REVIEW_H
#define SRVD_WORKER_REVIEW_H

#include "server/worker/worker.h"

void review_begin(struct worker *w);

/* The next portion, if there is one. */
void review_run(struct worker *w);

#endif
