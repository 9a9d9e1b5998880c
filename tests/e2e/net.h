/*
 * net - plain sockets for tests: everything has a time limit and fails the
 * test with what it was doing.
 *
 * Addresses are text as the configuration writes them (common/addr.h).
 * Sockets block, at most NET_TIMEOUT_MS a call.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_NET_H
#define SRVD_TESTS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "common/addr.h"

#define NET_TIMEOUT_MS 10000

/* Is there a loopback with IPv6 here? */
bool net_has_ipv6(void);

socklen_t net_sockaddr(const char *address, struct sockaddr_storage *ss);
bool net_is_unix(const char *address);

/*
 * Bind to address (port 0: the kernel's choice) and write where to bound.
 * net_bind does not listen: connecting there is refused, and the port stays
 * taken.  The file of a Unix-domain socket is open to everybody.
 */
int net_bind(const char *address, char bound[ADDR_TEXT_SIZE]);
int net_listen(const char *address, int backlog, char bound[ADDR_TEXT_SIZE]);

int net_connect(const char *address);
/* Connected, or -errno: for what is expected to fail. */
int net_try_connect(const char *address);
/* Within timeout_ms, or -1. */
int net_accept_within(int listen_fd, int timeout_ms);
int net_accept(int listen_fd);

void net_send(int fd, const void *data, size_t length);
/* All of it or the test fails. */
void net_receive(int fd, void *data, size_t length);
/* Send and expect words; for short exchanges. */
void net_say(int fd, const char *words);
void net_hear(int fd, const char *words);
/* The whole life of a connection to an echo. */
void net_visit_echo(const char *address);

/* How a stream ended, with what came before it thrown away. */
enum net_end {
	NET_OPEN,
	NET_CLOSED,
	NET_RESET
};
/* NET_OPEN: not within timeout_ms. */
enum net_end net_end_within(int fd, int timeout_ms);
const char *net_end_word(enum net_end end);
void net_expect_end(int fd, enum net_end end);
/* Connect where nobody can be served: it ends so, a reset perhaps before
 * connect(2) has returned. */
void net_expect_turned_away(const char *address, enum net_end end);

/* Nothing to read and no end within ms. */
bool net_is_silent(int fd, int ms);

/* Bytes sent that the peer's kernel has not yet taken. */
int net_unsent(int fd);
/* Close so that a TCP peer gets a reset. */
void net_reset(int fd);
void net_set_blocking(int fd, bool blocking);

#endif
