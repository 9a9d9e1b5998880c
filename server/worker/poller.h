/*
 * poller - the body's epoll instance, which outlives the worker.
 *
 * Level-triggered throughout: what a dead worker was told and did not finish
 * the kernel tells its successor again, without a note of ours.  The price is
 * that interest must be withdrawn while it can't be acted on.
 *
 * Runs in: worker.  The only module that knows epoll.
 */
#ifndef SRVD_WORKER_POLLER_H
#define SRVD_WORKER_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/slot.h"

#define POLLER_EVENTS 128

/* What a key is about. */
enum poller_kind {
	POLLER_CONN,
	POLLER_LISTENER,
	POLLER_CHANNEL,
	POLLER_DOOR,
	POLLER_GIVE,
	POLLER_TAKE,
	POLLER_KINDS
};

struct poller_event {
	enum poller_kind kind;
	uint32_t number; /* of the slot or the listening socket */
	enum side side;
	uint64_t id;     /* low bits of the connection's id */
	uint32_t events; /* EPOLLIN, … */
};

/* Does the event mean this connection, not an earlier one of its slot? */
bool poller_is_for(const struct poller_event *event, uint64_t id);

uint64_t poller_key_conn(uint64_t id, uint32_t slot, enum side side);
uint64_t poller_key_listener(uint32_t number);
/* Of a kind that there is one of: no connection, no listening socket. */
uint64_t poller_key_single(enum poller_kind kind);

/*
 * Watch fd for events, whether or not it is watched already (a dead worker
 * may have got that far).  Returns 0 or -errno.
 */
must_check int poller_watch(int fd, uint64_t key, uint32_t events);
/* The same where it is known whether it is watched: one system call. */
must_check int poller_add(int fd, uint64_t key, uint32_t events);
must_check int poller_change(int fd, uint64_t key, uint32_t events);
/* It may not be watched. */
void poller_remove(int fd);

/*
 * Wait at most ms.  Returns the number of events, 0 also for a signal, or
 * -errno.  They stay valid until the next call.
 */
must_check int poller_wait(uint32_t ms);
struct poller_event poller_event(int i);

#endif
