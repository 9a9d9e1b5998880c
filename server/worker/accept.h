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

void accept_on_event(struct worker *w, uint32_t number);

/* Look again at sockets that were paused, if it is time to. */
void accept_resume(struct worker *w);

/* Take what is queued on a socket.  False if somebody may have to wait: it is
 * to be paused, and tried again later. */
bool accept_queued(struct worker *w, uint32_t number);
void accept_pause(struct worker *w, uint32_t number);

/* Was it made by a service manager, which has it as well? */
bool accept_is_passed(const struct worker *w, uint32_t number);

/* The sweep: the claimed slot's client was accepted.  It is CONN_DIALING then,
 * and still to be dialed. */
void accept_adopt(struct worker *w, struct slot *slot);

#endif
