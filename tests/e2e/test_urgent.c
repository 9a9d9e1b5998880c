/*
 * Urgent bytes: wherever one stands, the stream arrives whole and in order.
 * splice(2) stops at TCP's urgent mark and, after a FIN, calls what is behind
 * it an end.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "pair.h"
#include "proc.h"

#define SEED  7
#define PIECE 4096

/* A stream with every byte at a multiple of each sent as urgent, and those at
 * first and last. */
struct urgent {
	size_t total;
	size_t first; /* NONE: not this way */
	size_t last;
	size_t each;
};

#define NONE SIZE_MAX

static bool
is_urgent(const struct urgent *u, size_t at)
{
	return at == u->first || at == u->last ||
	    (u->each != NONE && at % u->each == u->each - 1);
}

/* Send the next piece, up to an urgent byte or that byte alone. */
static size_t
send_piece(int fd, const struct urgent *u, size_t at)
{
	char data[PIECE];
	size_t length = 1;
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
	ssize_t n;

	if (is_urgent(u, at))
		flags |= MSG_OOB;
	else
		while (length < PIECE && at + length < u->total &&
		    !is_urgent(u, at + length))
			length++;
	e2e_bytes(SEED, at, data, length);
	n = send(fd, data, length, flags);
	ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
	return n > 0 ? (size_t)n : 0;
}

/* Receive what there is and check it; false at the end of the stream. */
static bool
receive_piece(int fd, size_t *at)
{
	char data[PIECE];
	char wanted[PIECE];
	ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return true;
	ck_assert_msg(n >= 0, "after %zu bytes: %s", *at, strerror(errno));
	e2e_bytes(SEED, *at, wanted, (size_t)n);
	ck_assert_msg(memcmp(data, wanted, (size_t)n) == 0,
	    "a byte between %zu and %zu is wrong", *at, *at + (size_t)n);
	*at += (size_t)n;
	return n > 0;
}

static void
run_stream(int from, int to, const struct urgent *u)
{
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	size_t sent = 0;
	size_t received = 0;
	bool more = true;

	while (more) {
		struct pollfd pfds[] = {
		    {.fd = to, .events = POLLIN},
		    {.fd = sent < u->total ? from : -1, .events = POLLOUT},
		};

		ck_assert_msg(e2e_now_ms() < end,
		    "stuck after %zu of %zu bytes, urgent at %zu", received,
		    u->total, u->first);
		(void)poll(pfds, ARRAY_LEN(pfds), 100);
		if (pfds[1].revents != 0) {
			sent += send_piece(from, u, sent);
			if (sent == u->total)
				shutdown(from, SHUT_WR);
		}
		if (pfds[0].revents != 0)
			more = receive_piece(to, &received);
	}
	ck_assert_msg(received == u->total, "%zu of %zu bytes, urgent at %zu",
	    received, u->total, u->first);
}

/* Each way in turn, on one connection. */
static void
run_both_ways(struct pair_fixture *f, enum pair_side backend,
    const struct urgent *u)
{
	for (int i = 0; i < 5; i++) {
		struct pair p = pair_open(f, SIDE_TCP, backend);

		run_stream(p.client, p.server, u);
		if (backend == SIDE_TCP)
			run_stream(p.server, p.client, u);
		else
			shutdown(p.server, SHUT_WR);
		net_expect_end(p.client, NET_CLOSED);
		pair_close(&p);
	}
}

static void
run_backends(struct urgent u)
{
	struct pair_fixture f;

	pair_start(&f, "");
	run_both_ways(&f, SIDE_TCP, &u);
	run_both_ways(&f, SIDE_UNIX, &u);
	pair_stop(&f);
}

START_TEST(first)
{
	run_backends((struct urgent){300000, 0, NONE, NONE});
}
END_TEST

START_TEST(middle)
{
	run_backends((struct urgent){300000, 150000, NONE, NONE});
}
END_TEST

START_TEST(last_before_fin)
{
	run_backends((struct urgent){300000, NONE, 299999, NONE});
}
END_TEST

START_TEST(last_but_one)
{
	run_backends((struct urgent){300000, NONE, 299998, NONE});
}
END_TEST

START_TEST(nothing_else)
{
	run_backends((struct urgent){1, 0, NONE, NONE});
}
END_TEST

START_TEST(many)
{
	run_backends((struct urgent){300000, 0, 299999, 1000});
}
END_TEST

START_TEST(all_of_them)
{
	run_backends((struct urgent){2000, NONE, NONE, 1});
}
END_TEST

/* With the connection left open and silent behind it: no later byte and no
 * end helps the urgent one along. */
START_TEST(nothing_follows)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	for (int i = 0; i < 20; i++) {
		net_say(p.client, "abc");
		ck_assert_int_eq(send(p.client, "!", 1, MSG_OOB), 1);
		net_hear(p.server, "abc!");
		ck_assert_int_eq(send(p.server, "?", 1, MSG_OOB), 1);
		net_hear(p.client, "?");
		net_say(p.server, "def");
		net_hear(p.client, "def");
	}
	pair_close(&p);
	pair_stop(&f);
}
END_TEST

/* All of it, the end too, is there before the other side reads. */
START_TEST(late_reader)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	net_say(p.client, "before");
	ck_assert_int_eq(send(p.client, "U", 1, MSG_OOB), 1);
	net_say(p.client, "after");
	ck_assert_int_eq(send(p.client, "V", 1, MSG_OOB), 1);
	shutdown(p.client, SHUT_WR);
	e2e_pause(50);
	net_hear(p.server, "beforeUafterV");
	net_expect_end(p.server, NET_CLOSED);
	pair_close(&p);
	pair_stop(&f);
}
END_TEST

/* Between Unix-domain sockets */

static void
expect_idle_workers(const struct gateway *g)
{
	pid_t pids[] = {gateway_worker(g, 0), gateway_worker(g, 1)};
	uint64_t cpu = proc_cpu_ms(pids[0]) + proc_cpu_ms(pids[1]);

	e2e_pause(1000);
	cpu = proc_cpu_ms(pids[0]) + proc_cpu_ms(pids[1]) - cpu;
	ck_assert_msg(cpu < 300, "the workers took %llu ms of an idle second",
	    (unsigned long long)cpu);
}

/* An urgent byte may come in the stream or not at all. */
static void
hear_in_band(int fd, const char *words, char urgent)
{
	while (*words != '\0') {
		char byte;

		net_receive(fd, &byte, 1);
		if (byte != urgent)
			ck_assert_int_eq(byte, *words++);
	}
}

/* False if there is no such thing here. */
static bool
urgent_one_way(const struct gateway *g, int from, int to)
{
	net_say(from, "before ");
	if (send(from, "!", 1, MSG_OOB | MSG_NOSIGNAL) != 1) {
		e2e_skip("no MSG_OOB on Unix-domain sockets: %s",
		    strerror(errno));
		return false;
	}
	expect_idle_workers(g);
	net_say(from, "after");
	hear_in_band(to, "before after", '!');
	expect_idle_workers(g);
	return true;
}

/*
 * What broke: at an urgent byte of a Unix-domain socket splice(2) says EAGAIN
 * and epoll says readable, again and again.
 */
START_TEST(urgent_bytes_over_unix)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_UNIX, SIDE_UNIX);
	if (urgent_one_way(&f.gateway, p.client, p.server) &&
	    urgent_one_way(&f.gateway, p.server, p.client)) {
		shutdown(p.client, SHUT_WR);
		net_expect_end(p.server, NET_CLOSED);
	}
	pair_close(&p);
	pair_stop(&f);
}
END_TEST

E2E_MAIN("urgent", first, middle, last_before_fin, last_but_one, nothing_else,
    many, all_of_them, nothing_follows, late_reader, urgent_bytes_over_unix)
