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

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/body_ref.h"

#define BODIES_CHECK_MS 1000

/* Room for all there may ever be; adopt.h's go there.  Returns 0 or
 * -ENOMEM. */
must_check int bodies_open(struct master *m);
/* Start what is missing of count bodies; what can't be started now is tried
 * again.  Returns 0, or what bodies_open() returns if that was not called. */
must_check int bodies_start(struct master *m, uint32_t count);
/* Shared memory for a body of ref's row, as large as the limit of descriptors
 * allows.  Returns 0 or -errno. */
must_check int bodies_make(struct body_ref *ref);
/* Start the body of a row that has none, now or as soon as it can be. */
void bodies_begin(struct body_ref *ref);

/* From now on there are count seats: start what is missing; what is too much
 * is no current body any more.  Both rows of a seat may still be taken by
 * bodies that hand over: ask before. */
void bodies_resize(struct master *m, uint32_t count);
bool bodies_can_resize(const struct master *m, uint32_t count);
/* Start a fresh body in the row beside this one, which is its seat's current
 * one then. */
void bodies_replace(struct body_ref *ref);

/* Once a second: replace what is damaged (a timer's function). */
void bodies_check(struct loop_timer *timer);

/* A holder is dead. */
void bodies_on_holder_end(struct body_ref *ref);
/* Reap what has ended (SIGCHLD). */
void bodies_reap(struct master *m);

/* The master's phase has changed: tell all workers.  master_on_empty() is
 * called when the last body has ended. */
void bodies_tell(struct master *m);
/* They had their time. */
void bodies_kill(struct master *m);
void bodies_kill_holder(const struct body_ref *ref);

void bodies_release(struct master *m);

#endif
