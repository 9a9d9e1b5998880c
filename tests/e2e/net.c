/*
 * net - plain sockets for tests; see net.h.
 */
#include "net.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "harness.h"

bool
net_has_ipv6(void)
{
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good;

	if (fd < 0)
		return false;
	good = bind(fd, (struct sockaddr *)&sin6, sizeof sin6) == 0;
	close(fd);
	return good;
}

socklen_t
net_sockaddr(const char *address, struct sockaddr_storage *ss)
{
	struct addr addr;
	char why[256] = "";
	int length;

	ck_assert_msg(addr_parse(address, ADDR_FOR_LISTEN, &addr, why,
			  sizeof why) == 0,
	    "%s: %s", address, why);
	length = addr_to_sockaddr(&addr, ss);
	ck_assert_msg(length > 0, "%s: no socket address", address);
	return (socklen_t)length;
}

bool
net_is_unix(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

static int
net_socket(const struct sockaddr_storage *ss)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = NET_TIMEOUT_MS / 1000};
	int one = 1;

	ck_assert_msg(fd >= 0, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (ss->ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

int
net_bind(const char *address, char bound[ADDR_TEXT_SIZE])
{
	struct sockaddr_storage ss;
	socklen_t length = net_sockaddr(address, &ss);
	int fd = net_socket(&ss);
	struct addr addr;

	ck_assert_msg(bind(fd, (struct sockaddr *)&ss, length) == 0,
	    "bind %s: %s", address, strerror(errno));
	if (net_is_unix(address) && address[5] != '@')
		ck_assert_msg(chmod(address + 5, 0777) == 0, "chmod %s: %s",
		    address + 5, strerror(errno));
	length = sizeof ss;
	getsockname(fd, (struct sockaddr *)&ss, &length);
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss, length);
	addr_format(&addr, bound);
	return fd;
}

int
net_listen(const char *address, int backlog, char bound[ADDR_TEXT_SIZE])
{
	int fd = net_bind(address, bound);

	ck_assert_msg(listen(fd, backlog) == 0, "listen %s: %s", address,
	    strerror(errno));
	return fd;
}

int
net_try_connect(const char *address)
{
	struct sockaddr_storage ss;
	socklen_t length = net_sockaddr(address, &ss);
	int fd = net_socket(&ss);
	int error;

	if (connect(fd, (struct sockaddr *)&ss, length) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int
net_connect(const char *address)
{
	int fd = net_try_connect(address);

	ck_assert_msg(fd >= 0, "connect %s: %s", address, strerror(-fd));
	return fd;
}

int
net_accept_within(int listen_fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = listen_fd, .events = POLLIN};
	struct timeval limit = {.tv_sec = NET_TIMEOUT_MS / 1000};
	int fd;

	if (poll(&pfd, 1, timeout_ms) != 1)
		return -1;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_msg(fd >= 0, "accept: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	return fd;
}

int
net_accept(int listen_fd)
{
	int fd = net_accept_within(listen_fd, NET_TIMEOUT_MS);

	ck_assert_msg(fd >= 0, "no connection came");
	return fd;
}

void
net_send(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length > 0) {
		ssize_t n = send(fd, at, length, MSG_NOSIGNAL);

		ck_assert_msg(n > 0, "send: %s", strerror(errno));
		at += n;
		length -= (size_t)n;
	}
}

void
net_receive(int fd, void *data, size_t length)
{
	char *at = data;

	while (length > 0) {
		ssize_t n = recv(fd, at, length, 0);

		ck_assert_msg(n > 0, "%zu bytes still expected: %s", length,
		    n == 0 ? "end of stream" : strerror(errno));
		at += n;
		length -= (size_t)n;
	}
}

void
net_say(int fd, const char *words)
{
	net_send(fd, words, strlen(words));
}

void
net_hear(int fd, const char *words)
{
	char got[256] = "";

	ck_assert_uint_lt(strlen(words), sizeof got);
	net_receive(fd, got, strlen(words));
	ck_assert_str_eq(got, words);
}

enum net_end
net_end_within(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint64_t end = e2e_now_ms() + (uint64_t)timeout_ms;
	uint64_t now;
	char trash[16384];

	while ((now = e2e_now_ms()) < end) {
		ssize_t n;

		if (poll(&pfd, 1, (int)(end - now)) <= 0)
			continue;
		n = recv(fd, trash, sizeof trash, MSG_DONTWAIT);
		if (n == 0)
			return NET_CLOSED;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return NET_RESET;
	}
	return NET_OPEN;
}

const char *
net_end_word(enum net_end end)
{
	static const char *const words[] = {
	    [NET_OPEN] = "open",
	    [NET_CLOSED] = "closed",
	    [NET_RESET] = "reset",
	};

	return words[end];
}

void
net_expect_end(int fd, enum net_end end)
{
	enum net_end got = net_end_within(fd, NET_TIMEOUT_MS);

	ck_assert_msg(got == end, "the connection is %s, not %s",
	    net_end_word(got), net_end_word(end));
}

void
net_visit_echo(const char *address)
{
	int fd = net_connect(address);

	net_say(fd, "hello");
	net_hear(fd, "hello");
	shutdown(fd, SHUT_WR);
	net_expect_end(fd, NET_CLOSED);
	close(fd);
}

void
net_expect_turned_away(const char *address, enum net_end end)
{
	int fd = net_try_connect(address);

	if (fd == -ECONNRESET && end == NET_RESET)
		return;
	ck_assert_msg(fd >= 0, "connect %s: %s", address, strerror(-fd));
	net_expect_end(fd, end);
	close(fd);
}

bool
net_is_silent(int fd, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, ms) == 0;
}

int
net_unsent(int fd)
{
	int unsent = -1;

	ck_assert_msg(ioctl(fd, SIOCOUTQ, &unsent) == 0, "SIOCOUTQ: %s",
	    strerror(errno));
	return unsent;
}

void
net_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

void
net_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	ck_assert_msg(fcntl(fd, F_SETFL, flags) == 0, "fcntl: %s",
	    strerror(errno));
}
