/*
 * control_client - those who have connected to the control socket.
 *
 * Runs in: master.  Knows nothing of: the listening socket, what methods do.
 *
 * Invariants
 *  N1  A client has at most one call open: the next is taken from its buffer
 *      only when the last answer of the one before has been taken by the
 *      client.  So answers keep their order, and no more than one waits: the
 *      next part of a stream is made when the one before has been taken.
 *  N2  One round of the loop handles at most one call, or makes one part of a
 *      stream, of each client.
 *  N3  Nothing a client does or leaves undone outlasts the limits below.  What
 *      the gateway does for it has no limit here: a deferred call ends when it
 *      is answered or its client has gone, whichever comes first.
 */
#ifndef SRVD_MASTER_CONTROL_CLIENT_H
#define SRVD_MASTER_CONTROL_CLIENT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/attr.h"
#include "server/master/control.h"

struct call;
struct control_client;
struct loop;
TAILQ_HEAD(control_clients_list, control_client);

struct control_clients {
	struct master *m;
	struct loop *loop;
	struct control_limits limits;
	struct control_clients_list list;
	uint32_t count;
	uint32_t ordinary; /* of them neither root nor the master's user */
	bool refused;      /* somebody was, since there was last a place */
};

void control_clients_init(struct control_clients *clients, struct master *m,
    const struct control_limits *limits);
/* Drop them all. */
void control_clients_release(struct control_clients *clients);

/* Take over the connected socket fd, or close it if there is no place. */
void control_clients_admit(struct control_clients *clients, int fd);

/* See control_adopt(). */
must_check struct call *control_clients_adopt(struct control_clients *clients,
    int fd, bool is_last);

/* The descriptor of a call's client; *is_last: calls behind it were read
 * already, and would be lost with this process. */
must_check int control_client_fd(const struct call *call, bool *is_last);

#endif
