/*
 * Everything a connection can go through, with its worker killed at each
 * system call.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "killer.h"
#include "net.h"
#include "points.h"

#define BULK  (1024UL * 1024) /* more than the buffers on the way hold */
#define PIECE 65536UL
/* Nothing more goes for so long: all on the way is full. */
#define QUIET_MS 50
/* Enumerations in which a death meets a certain stop, or the test fails. */
#define TOLD_TRIES 5U

/* One end of a stream each way, both being checked. */
struct end {
	int fd;
	uint64_t seed; /* of what it sends; the other's follows from it */
	size_t sent;
	size_t received;
};

static void
send_some(struct end *end, size_t total)
{
	static char data[PIECE];
	size_t length = total - end->sent < PIECE ? total - end->sent : PIECE;
	ssize_t n;

	e2e_bytes(end->seed, end->sent, data, length);
	n = send(end->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
	if (n > 0)
		end->sent += (size_t)n;
}

static void
receive_some(struct end *end, uint64_t seed)
{
	static char data[PIECE];
	static char wanted[PIECE];
	ssize_t n = recv(end->fd, data, sizeof data, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	ck_assert_msg(n > 0, "after %zu bytes: %s", end->received,
	    n == 0 ? "an end" : strerror(errno));
	e2e_bytes(seed, end->received, wanted, (size_t)n);
	ck_assert_msg(memcmp(data, wanted, (size_t)n) == 0,
	    "a byte between %zu and %zu is wrong", end->received,
	    end->received + (size_t)n);
	end->received += (size_t)n;
}

/* Send total bytes each way at the same time. */
static void
exchange(const struct pair *pair, size_t total)
{
	struct end ends[2] = {
	    {.fd = pair->client, .seed = 1},
	    {.fd = pair->server, .seed = 2},
	};
	uint64_t limit = e2e_now_ms() + NET_TIMEOUT_MS;

	while (ends[0].received < total || ends[1].received < total) {
		struct pollfd pfds[2];

		ck_assert_msg(e2e_now_ms() < limit, "stuck at %zu and %zu",
		    ends[0].received, ends[1].received);
		for (int i = 0; i < 2; i++) {
			pfds[i] =
			    (struct pollfd){.fd = ends[i].fd, .events = POLLIN};
			if (ends[i].sent < total)
				pfds[i].events |= POLLOUT;
		}
		(void)poll(pfds, 2, 100);
		for (int i = 0; i < 2; i++) {
			if ((pfds[i].revents & POLLOUT) != 0)
				send_some(&ends[i], total);
			if ((pfds[i].revents & (POLLIN | POLLHUP)) != 0)
				receive_some(&ends[i], ends[1 - i].seed);
		}
	}
}

/* Scenarios */

static void
request(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	net_say(pair.client, "request");
	net_hear(pair.server, "request");
	net_say(pair.server, "answer");
	net_hear(pair.client, "answer");
	close(pair.client);
	net_expect_end(pair.server, NET_CLOSED);
	close(pair.server);
}

static void
bulk(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	exchange(&pair, BULK);
	pair_close(&pair);
}

/* The client ends and goes on reading; then the other way. */
static void
client_ends_first(struct points *p, enum pair_side client,
    enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	net_say(pair.client, "that was all");
	shutdown(pair.client, SHUT_WR);
	net_hear(pair.server, "that was all");
	net_expect_end(pair.server, NET_CLOSED);
	net_say(pair.server, "late answer");
	net_hear(pair.client, "late answer");
	close(pair.server);
	net_expect_end(pair.client, NET_CLOSED);
	close(pair.client);
}

static void
backend_ends_first(struct points *p, enum pair_side client,
    enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	net_say(pair.server, "that was all");
	shutdown(pair.server, SHUT_WR);
	net_hear(pair.client, "that was all");
	net_expect_end(pair.client, NET_CLOSED);
	net_say(pair.client, "last words");
	net_hear(pair.server, "last words");
	close(pair.client);
	net_expect_end(pair.server, NET_CLOSED);
	close(pair.server);
}

/* A reset is passed on behind what came before it; a Unix-domain peer sees an
 * end. */
static void
reset(int from, int to, enum pair_side from_side, enum pair_side to_side)
{
	net_say(from, "before the reset");
	net_hear(to, "before the reset");
	if (from_side == SIDE_TCP) {
		net_reset(from);
		net_expect_end(to,
		    to_side == SIDE_TCP ? NET_RESET : NET_CLOSED);
	} else {
		close(from);
		net_expect_end(to, NET_CLOSED);
	}
	close(to);
}

static void
client_resets(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	reset(pair.client, pair.server, client, backend);
}

static void
backend_resets(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	reset(pair.server, pair.client, backend, client);
}

static void
say_urgent(int from, int to)
{
	net_say(from, "before");
	ck_assert_int_eq(send(from, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
	net_say(from, "behind");
	net_hear(to, "before!behind");
}

/* In the stream, where it stood; the pointer itself is not relayed. */
static void
urgent(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);

	if (client == SIDE_TCP)
		say_urgent(pair.client, pair.server);
	if (backend == SIDE_TCP)
		say_urgent(pair.server, pair.client);
	close(pair.client);
	net_expect_end(pair.server, NET_CLOSED);
	close(pair.server);
}

static void
echo(struct points *p, enum pair_side client, enum pair_side backend)
{
	int fd = points_connect(p, POINTS_ECHO);

	(void)client;
	(void)backend;
	net_say(fd, "there and back");
	net_hear(fd, "there and back");
	shutdown(fd, SHUT_WR);
	net_expect_end(fd, NET_CLOSED);
	close(fd);
}

/* Two backends that can't be reached, a third that can. */
static void
retry(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = {.client = points_connect(p, POINTS_RETRY)};

	(void)client;
	(void)backend;
	net_say(pair.client, "is anybody there?");
	pair.server = net_accept(p->listen_fd[SIDE_TCP]);
	net_hear(pair.server, "is anybody there?");
	pair_close(&pair);
}

static void
refused(struct points *p, enum pair_side client, enum pair_side backend)
{
	(void)client;
	(void)backend;
	points_count(p, POINTS_SHUT);
	net_expect_turned_away(p->single[POINTS_SHUT], NET_RESET);
}

/* All of the service whose connections come and go, so that no resident is
 * meant. */
static void
close_by_call(const struct points *p)
{
	json_t *reply = gateway_call(&p->gateway, "CloseConnections",
	    "{\"filter\":{\"service\":\"retry\"}}");

	ck_assert_int_eq(json_integer_value(gateway_find(reply,
			     "parameters/closed")),
	    1);
	json_decref(reply);
}

static void
closed_by_call(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = {.client = points_connect(p, POINTS_RETRY)};

	(void)client;
	(void)backend;
	pair.server = net_accept(p->listen_fd[SIDE_TCP]);
	backend_check_pair(pair.client, pair.server);
	close_by_call(p);
	net_expect_end(pair.client, NET_CLOSED);
	net_expect_end(pair.server, NET_CLOSED);
	pair_close(&pair);
}

/* A pipe goes with the bytes that wait in it. */
static void
closed_while_full(struct points *p, enum pair_side client,
    enum pair_side backend)
{
	struct pair pair = {.client = points_connect(p, POINTS_RETRY)};
	struct end end = {.fd = pair.client, .seed = 1};
	struct pollfd pfd = {.fd = pair.client, .events = POLLOUT};

	(void)client;
	(void)backend;
	pair.server = net_accept(p->listen_fd[SIDE_TCP]);
	while (poll(&pfd, 1, QUIET_MS) == 1)
		send_some(&end, SIZE_MAX);
	close_by_call(p);
	net_expect_end(pair.server, NET_RESET);
	ck_assert_int_ne(net_end_within(pair.client, NET_TIMEOUT_MS), NET_OPEN);
	pair_close(&pair);
	/* How many of the bytes have gone on is the kernel's choice. */
	p->bytes.are_known = false;
}

/* A Unix-domain peer that closes with bytes unread: its error is told once. */

struct told {
	struct points points;
	bool is_client;   /* or the backend */
	unsigned orderly; /* ends, of all that were to be resets */
};

/* It has said its last when the worker is first watched. */
static void
open_unread(struct told *t, int *from, int *to)
{
	struct pair pair =
	    points_open(&t->points, t->is_client ? SIDE_UNIX : SIDE_TCP,
		t->is_client ? SIDE_TCP : SIDE_UNIX);

	*from = t->is_client ? pair.client : pair.server;
	*to = t->is_client ? pair.server : pair.client;
	net_say(*to, "never read");
	ck_assert(!net_is_silent(*from, NET_TIMEOUT_MS));
	net_say(*from, "last words");
}

static struct killer_trial
try_unread(void *arg, unsigned point)
{
	struct told *t = arg;
	struct points *p = &t->points;
	pid_t worker = gateway_worker(&p->gateway, 0);
	struct killer_trial trial;
	struct killer killer;
	enum net_end end;
	int from;
	int to;

	open_unread(t, &from, &to);
	killer_arm(&killer, worker, point);
	close(from);
	net_hear(to, "last words");
	end = net_end_within(to, NET_TIMEOUT_MS);
	close(to);
	trial = killer_disarm(&killer);
	ck_assert_int_ne(end, NET_OPEN);
	ck_assert(end == NET_RESET || trial.has_killed);
	t->orderly += end == NET_CLOSED;
	if (trial.has_killed)
		gateway_expect_successor(&p->gateway, 0, worker);
	points_expect_sound(p);
	return trial;
}

/* Tests */

static void
enumerate_families(const char *name, points_play_fn *play)
{
	struct points p;

	if (!killer_can_trace())
		return;
	points_start(&p);
	for (unsigned client = 0; client < 2; client++) {
		for (unsigned backend = 0; backend < 2; backend++)
			points_enumerate(&p, name, play, (enum pair_side)client,
			    (enum pair_side)backend);
	}
	points_stop(&p);
}

#define OF_FAMILIES(name)                          \
	START_TEST(test_##name)                    \
	{                                          \
		enumerate_families(#name, (name)); \
	}                                          \
	END_TEST

#define OF_TCP(name)                        \
	START_TEST(test_##name)             \
	{                                   \
		points_test(#name, (name)); \
	}                                   \
	END_TEST

OF_FAMILIES(request)
OF_FAMILIES(bulk)
OF_FAMILIES(client_ends_first)
OF_FAMILIES(backend_ends_first)
OF_FAMILIES(client_resets)
OF_FAMILIES(backend_resets)
OF_FAMILIES(urgent)
OF_TCP(echo)
OF_TCP(retry)
OF_TCP(refused)
OF_TCP(closed_by_call)
OF_TCP(closed_while_full)

/* Who dies right after it was told takes the reset along: an end is passed on,
 * and what came before it. */
START_TEST(test_unix_reset)
{
	struct told t = {.orderly = 0};

	if (!killer_can_trace())
		return;
	points_start(&t.points);
	for (unsigned side = 0; side < 2; side++) {
		t.is_client = side == 1;
		t.orderly = 0;
		t.points.bytes.are_known = false;
		/* The stop at which it is told has not the same number in all
		 * runs, and may be missed. */
		for (unsigned i = 0; i < TOLD_TRIES && t.orderly == 0; i++)
			(void)points_try_all(t.is_client
				? "a Unix client resets"
				: "a Unix backend resets",
			    try_unread, &t, UINT_MAX, 0);
		ck_assert_uint_gt(t.orderly, 0);
	}
	points_stop(&t.points);
}
END_TEST

E2E_MAIN("crash.relay", test_request, test_bulk, test_client_ends_first,
    test_backend_ends_first, test_client_resets, test_backend_resets,
    test_urgent, test_echo, test_retry, test_refused, test_closed_by_call,
    test_closed_while_full, test_unix_reset)
