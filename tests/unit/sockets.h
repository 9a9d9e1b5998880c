/*
 * sockets - connected pairs of sockets, and bytes that can be told apart.
 *
 * Everything is non-blocking; what is sent over loopback or a socket pair is
 * there when the call returns, or waited for with poll(2), never slept for.
 */
#ifndef SRVD_TESTS_SOCKETS_H
#define SRVD_TESTS_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/free_port.h"
#include "tests/unit/unit.h"

#define WAIT_MS 5000

static inline void
unix_pair(int fds[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     fds),
	    0);
}

/* A listening TCP socket on loopback, with its address; when it is closed no
 * dial gets its port. */
static inline int
tcp_listener(struct sockaddr_in *sin)
{
	int fd = free_port_bind(sin);

	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

static inline void
tcp_pair(int fds[2])
{
	struct sockaddr_in sin;
	int on = 1;
	int listener = tcp_listener(&sin);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&sin, sizeof(sin)),
	    0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(fds[1], 0);
	(void)close(listener);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(setsockopt(fds[i], SOL_SOCKET, SO_OOBINLINE,
				     &on, sizeof(on)),
		    0);
		ck_assert_int_eq(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY,
				     &on, sizeof(on)),
		    0);
	}
}

/* The byte at a place of a stream: not the same in every page or pipe. */
static inline char
pattern_at(uint64_t at)
{
	return (char)(at * 2654435761u >> 13 ^ at / 251);
}

/* Send the pattern from *at on, as much as goes, at most size; moves *at. */
static inline void
send_pattern(int fd, uint64_t *at, size_t size)
{
	char buffer[4096];
	size_t n;
	ssize_t sent = 0;

	while (size > 0 && sent >= 0) {
		n = size < sizeof(buffer) ? size : sizeof(buffer);
		for (size_t i = 0; i < n; i++)
			buffer[i] = pattern_at(*at + i);
		sent = send(fd, buffer, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			continue;
		*at += (uint64_t)sent;
		size -= (size_t)sent;
	}
	ck_assert_msg(sent >= 0 || errno == EAGAIN, "send: %s",
	    strerror(errno));
}

enum taken {
	TAKEN_ALL,   /* nothing more just now */
	TAKEN_END,   /* end of the stream */
	TAKEN_RESET, /* ECONNRESET */
};

/* Read all that is there and hold it against the pattern; moves *at. */
static inline enum taken
take_pattern(int fd, uint64_t *at)
{
	char buffer[65536];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			/* An assertion a byte would take seconds. */
			if (buffer[i] != pattern_at(*at + (uint64_t)i))
				ck_abort_msg("byte %llu is another",
				    (unsigned long long)(*at + (uint64_t)i));
		}
		*at += (uint64_t)n;
	}
	if (n == 0)
		return TAKEN_END;
	ck_assert_msg(errno == EAGAIN || errno == ECONNRESET, "recv: %s",
	    strerror(errno));
	return errno == EAGAIN ? TAKEN_ALL : TAKEN_RESET;
}

/* Wait until poll() says one of the events. */
static inline void
await(int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	ck_assert_int_eq(poll(&poll_fd, 1, WAIT_MS), 1);
}

/* Close it so that its peer gets a reset. */
static inline void
reset_peer(int fd)
{
	static const struct linger now = {.l_onoff = 1, .l_linger = 0};

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
			     sizeof(now)),
	    0);
	(void)close(fd);
}

#endif
