/*
 * leave - listening sockets that are accepted on no longer: of a plan that is
 * followed by another, of seats that have a worker again, and all of them when
 * the worker stops or retires.
 *
 * Whoever is queued is accepted first, where nobody else would do it.
 *
 * Runs in: worker.  Never blocks.
 */
#ifndef SRVD_WORKER_LEAVE_H
#define SRVD_WORKER_LEAVE_H

#include <stdbool.h>

#include "server/worker/worker.h"

/* Another plan will be used: take what is queued on the sockets that it does
 * not have, and close those. */
void leave_removed(struct worker *w, const struct plan *next);

/* Stand in no longer for seats that have a worker again. */
void leave_relieved(struct worker *w);

/* Take what is queued, and close each socket where nobody is any more.  True
 * if somebody has to wait, for a limit or descriptors: it is to be tried again
 * when accept_resume() has found that it may go on. */
bool leave_drained(struct worker *w);
/* Close them all, whoever is queued. */
void leave_all(struct worker *w);

#endif
