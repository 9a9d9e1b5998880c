/*
 * pair - a gateway between two sockets of the test; see pair.h.
 */
#include "pair.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"

/* Nothing moves for so long: buffers are full, or the stream is stuck. */
#define QUIET_MS 250
#define PIECE    65536

static const char *const names[] = {[SIDE_TCP] = "tcp", [SIDE_UNIX] = "unix"};

void
pair_start(struct pair_fixture *f, const char *settings)
{
	char path[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];
	char bound[2][ADDR_TEXT_SIZE];

	f->listen_fd[SIDE_TCP] = net_listen("127.0.0.1:0", 64, bound[SIDE_TCP]);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	f->listen_fd[SIDE_UNIX] = net_listen(address, 64, bound[SIDE_UNIX]);
	gateway_init(&f->gateway);
	gateway_start(&f->gateway,
	    "service tcp {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in-tcp\"}\n"
	    "	%s\n	backend b { address = \"%s\" }\n}\n"
	    "service unix {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in-unix\"}\n"
	    "	%s\n	backend b { address = \"%s\" }\n}\n",
	    e2e_dir(), settings, bound[SIDE_TCP], e2e_dir(), settings,
	    bound[SIDE_UNIX]);
	for (unsigned client = 0; client < 2; client++) {
		for (unsigned backend = 0; backend < 2; backend++)
			gateway_address(&f->gateway, names[backend], client,
			    f->address[client][backend]);
	}
}

void
pair_stop(struct pair_fixture *f)
{
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	ck_assert_int_eq(gateway_number(&f->gateway, "totals/deaths"), 0);
	gateway_stop(&f->gateway);
	close(f->listen_fd[SIDE_TCP]);
	close(f->listen_fd[SIDE_UNIX]);
}

struct pair
pair_open(struct pair_fixture *f, enum pair_side client, enum pair_side backend)
{
	struct pair pair;

	pair.client = net_connect(f->address[client][backend]);
	pair.server = net_accept(f->listen_fd[backend]);
	return pair;
}

void
pair_close(struct pair *pair)
{
	close(pair->client);
	close(pair->server);
}

size_t
pair_fill(int fd, uint64_t seed, size_t max, size_t *acked)
{
	static char data[PIECE];
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	size_t written = 0;

	while (written < max && poll(&pfd, 1, QUIET_MS) == 1) {
		size_t length = max - written < PIECE ? max - written : PIECE;
		ssize_t n;

		e2e_bytes(seed, written, data, length);
		n = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s",
		    strerror(errno));
		written += n > 0 ? (size_t)n : 0;
	}
	/* What is left now stays, unless all is gone. */
	for (int i = 0; i < 100 && net_unsent(fd) > 0; i++)
		e2e_pause(2);
	*acked = written - (size_t)net_unsent(fd);
	return written;
}

size_t
pair_drain(int fd, uint64_t seed, enum net_end *end)
{
	static char data[PIECE];
	static char wanted[PIECE];
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	size_t received = 0;

	*end = NET_OPEN;
	while (poll(&pfd, 1, NET_TIMEOUT_MS) == 1) {
		ssize_t n = recv(fd, data, sizeof data, 0);

		if (n <= 0) {
			*end = n == 0 ? NET_CLOSED : NET_RESET;
			break;
		}
		e2e_bytes(seed, received, wanted, (size_t)n);
		ck_assert_msg(memcmp(data, wanted, (size_t)n) == 0,
		    "a byte between %zu and %zu is wrong", received,
		    received + (size_t)n);
		received += (size_t)n;
	}
	return received;
}
