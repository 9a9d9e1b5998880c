/*
 * interest - what epoll is asked to tell of a connection's sockets.
 *
 * Runs in: worker.
 *
 * Invariants
 *  N1  Interest is asked for only while it can be acted on: what is
 *      level-triggered and not acted on would spin.
 *  N2  What a flow waits for follows from its slot alone, so that it can be
 *      asked for again after a death.
 */
#ifndef SRVD_WORKER_INTEREST_H
#define SRVD_WORKER_INTEREST_H

#include <sys/epoll.h>

#include "server/worker/worker.h"

/* A source that is read. */
#define INTEREST_READ (EPOLLIN | EPOLLPRI | EPOLLRDHUP)

/* Ask for what the flows wait for now, where that has changed.  Returns 0 or
 * -errno. */
must_check int interest_update(struct worker *w, struct slot *slot);

/* The same for a slot that a dead worker was at: it may have got anywhere
 * between its calls. */
must_check int interest_recover(struct worker *w, struct slot *slot);

#endif
