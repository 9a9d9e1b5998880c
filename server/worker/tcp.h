/*
 * tcp - what the kernel knows of a TCP socket, for a worker that doesn't.
 *
 * Runs in: worker.  Never blocks.
 */
#ifndef SRVD_WORKER_TCP_H
#define SRVD_WORKER_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

/* From TCP_INFO and SIOCINQ (tcp(7)). */
struct tcp_facts {
	bool is_closed;    /* state CLOSE: reset, failed, or both ends done */
	bool is_dialing;   /* SYN sent, no answer yet */
	uint64_t received; /* bytes, and one for a FIN */
	uint64_t unread;   /* bytes of these, without the FIN */
};

/* False if fd is no TCP socket. */
must_check bool tcp_ask(int fd, struct tcp_facts *facts);

/* Bytes written and not yet acknowledged by the peer; 0 if it can't be told. */
uint32_t tcp_unacked(int fd);

#endif
