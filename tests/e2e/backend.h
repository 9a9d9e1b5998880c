/*
 * backend - plain listening sockets behind a gateway, for tests of which one
 * a connection comes to.  The gateway's service is called "s".
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_BACKEND_H
#define SRVD_TESTS_BACKEND_H

#include <stddef.h>

#include "common/addr.h"
#include "gateway.h"

struct backend {
	int listen_fd;
	char address[ADDR_TEXT_SIZE];
	unsigned came; /* connections accepted by backend_accept_any */
};

void backend_open(struct backend *b);
void backend_close_all(struct backend *backends, size_t count);

/* Connect to the gateway's first listener. */
int backend_connect_service(const struct gateway *g);
/* Accept the next connection, to whichever of the backends it comes. */
int backend_accept_any(struct backend *backends, size_t count, size_t *which);
/* A question and an answer go through. */
void backend_check_pair(int client, int server);
/* So many connections, one after the other, from connect to end. */
void backend_run_connections(const struct gateway *g, struct backend *backends,
    size_t count, unsigned connections);

#endif
