/*
 * bodies - the life of bodies: made, held, and replaced when lost.
 *
 * Runs in: master.
 *
 * Invariants
 *  M1  A process is signalled only through a pidfd, or as our own child that
 *      has not been reaped.
 *  M2  What a worker says costs a bounded amount of work a round.
 */
#ifndef SRVD_MASTER_BODIES_H
#define SRVD_MASTER_BODIES_H

#include <stdint.h>

#include "common/attr.h"
#include "server/master/body_ref.h"

/* Start count bodies; what can't be started now is tried again.  Returns 0 or
 * -ENOMEM. */
must_check int bodies_start(struct master *m, uint32_t count);
/* Start more, until there are count of them. */
void bodies_grow(struct master *m, uint32_t count);

/* Reap what has ended (SIGCHLD). */
void bodies_reap(struct master *m);

/* The master's phase has changed: tell all workers.  master_on_empty() is
 * called when the last body has ended. */
void bodies_tell(struct master *m);
/* They had their time. */
void bodies_kill(struct master *m);

void bodies_release(struct master *m);

#endif
