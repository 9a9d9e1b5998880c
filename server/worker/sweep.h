/*
 * sweep - a new worker's first act: make the body right again.
 *
 * Runs in: worker, before it opens anything.
 *
 * Invariants
 *  W1  Until the gaps are closed nothing is opened, so that every number that
 *      stands nowhere is the dead worker's last act.
 *  W2  Nothing in the body is used before it has been checked: a slot that
 *      does not hold together costs one connection, not the worker.
 */
#ifndef SRVD_WORKER_SWEEP_H
#define SRVD_WORKER_SWEEP_H

#include "server/worker/worker.h"

/* Returns 0, or -EINVAL if the body is beyond use. */
must_check int sweep(struct worker *w);

#endif
