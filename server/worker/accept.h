/*
 * accept - the listening sockets, and clients taken from them.
 *
 * A listening socket that can't be accepted from just now (no slot, no
 * descriptor, a limit reached) leaves epoll's interest and is looked at again
 * by time and whenever a connection ends: its backlog holds meanwhile.
 *
 * Runs in: worker.  Never blocks.
 */
#ifndef SRVD_WORKER_ACCEPT_H
#define SRVD_WORKER_ACCEPT_H

#include "server/worker/worker.h"

/* Watch the listening sockets of the plan in use that are not watched yet;
 * also after a death. */
void accept_open(struct worker *w);

/* Another plan will be used: take what is queued on the sockets that it does
 * not have, and close those. */
void accept_leave(struct worker *w, const struct plan *next);

void accept_on_event(struct worker *w, uint32_t number);

/* Look again at sockets that were paused, if it is time to. */
void accept_resume(struct worker *w);

/* Stand in no longer for seats that have a worker again. */
void accept_relieve(struct worker *w);

/* Take what is queued, and close each socket where nobody is any more.  True
 * if somebody has to wait, for a limit or descriptors: it is to be tried again
 * when accept_resume() has found that it may go on. */
bool accept_drain(struct worker *w);
/* Close them all, whoever is queued. */
void accept_close(struct worker *w);

/* The sweep: the claimed slot's client was accepted.  It is CONN_DIALING then,
 * and still to be dialed. */
void accept_adopt(struct worker *w, struct slot *slot);

#endif
