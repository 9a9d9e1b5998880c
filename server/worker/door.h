/*
 * door - where a new master comes to when ours has died.
 *
 * A listening socket of the body's table, beside the channel.  It is looked
 * at only while there is no master; whoever comes and may (the kernel says
 * who it is) becomes the channel's other end, and is told of all that the
 * body has.
 *
 * Runs in: worker.
 *
 * Invariants
 *  D1  A channel is given up only after its other end has been: there is one
 *      master at most.
 *  D2  What a master needs comes from one process, all of it, after its
 *      hello: that it is owed stands in the body, and a successor begins anew.
 *  D3  The channel's number is never free, or a connection could get it:
 *      without a channel /dev/null has it.
 */
#ifndef SRVD_WORKER_DOOR_H
#define SRVD_WORKER_DOOR_H

#include "server/worker/worker.h"

/* Before anything is opened: see to D3 if the dead worker could not. */
void door_recover(void);

/* The master has gone: look who comes. */
void door_watch(void);

/* Somebody has come. */
void door_on_event(struct worker *w);

/* Once a round: tell it more of what there is. */
void door_run(struct worker *w);

/* How long a round may wait, at most limit_ms. */
uint32_t door_wait(const struct worker *w, uint32_t limit_ms);

#endif
