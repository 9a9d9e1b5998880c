/*
 * pair - a gateway between a client socket and a backend socket that the test
 * holds both: for tests of single connections.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_PAIR_H
#define SRVD_TESTS_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "gateway.h"
#include "net.h"

/* The services, one per kind of backend; each listens on TCP and on a
 * Unix-domain socket. */
enum pair_side {
	SIDE_TCP,
	SIDE_UNIX
};

struct pair_fixture {
	struct gateway gateway;
	int listen_fd[2];                   /* of the backends, by side */
	char address[2][2][ADDR_TEXT_SIZE]; /* [client's][backend's side] */
};

/* A connected client and the backend's end of the same connection. */
struct pair {
	int client;
	int server;
};

/* settings are lines for each service, or "". */
void pair_start(struct pair_fixture *f, const char *settings);
void pair_stop(struct pair_fixture *f);
/* Connect through the gateway and accept at the backend. */
struct pair pair_open(struct pair_fixture *f, enum pair_side client,
    enum pair_side backend);
void pair_close(struct pair *pair);

/* Write bytes of the stream seed until no more is taken for a while.  Returns
 * how many were written; *acked of them the peer's kernel has (only known of
 * TCP). */
size_t pair_fill(int fd, uint64_t seed, size_t max, size_t *acked);
/* Read bytes of the stream seed until it ends, or nothing comes for
 * NET_TIMEOUT_MS; returns how many and how it ended.  Fails the test on a
 * wrong byte. */
size_t pair_drain(int fd, uint64_t seed, enum net_end *end);

#endif
