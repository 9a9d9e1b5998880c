/*
 * A worker that has run out of descriptors, killed at each system call until
 * there are some again: who waits for a pipe, or for a backend's socket, gets
 * it then, whatever has died.
 *
 * Each run has a gateway of its own, whose body is left no number at all.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_log.h"
#include "census.h"
#include "counts.h"
#include "gateway.h"
#include "harness.h"
#include "killer.h"
#include "limit.h"
#include "net.h"
#include "pair.h"
#include "points.h"
#include "proc.h"
#include "shortages.h"

#define QUICK_STOPS 16U
#define SLOW        4 /* the pipes that a worker makes beforehand */
#define QUIET_MS    50
#define PIECE       65536U
#define BULK        (4 * PIECE)

struct shortage {
	struct gateway gateway;
	struct census census; /* while nobody is there */
	char access[E2E_PATH_SIZE];
	int listen_fd;
	char address[ADDR_TEXT_SIZE];
	int slow_fd; /* the same for the slow ones, whose sockets are local: */
	char slow_address[ADDR_TEXT_SIZE]; /* they hold fewer bytes */
	struct pair slow[SLOW];            /* whose backends do not read */
	size_t sent[SLOW];
};

static struct pair
open_pair(const char *address, int listen_fd)
{
	struct pair pair = {.client = net_connect(address)};

	pair.server = net_accept(listen_fd);
	return pair;
}

/* Whoever is served knows that the listening socket is in the body. */
static void
visit(const char *address, int listen_fd)
{
	struct pair pair = open_pair(address, listen_fd);

	pair_close(&pair);
}

static void
begin(struct shortage *s)
{
	char path[E2E_PATH_SIZE];
	char back[ADDR_TEXT_SIZE];
	char bound[2][ADDR_TEXT_SIZE];

	memset(s, 0, sizeof *s);
	s->listen_fd = net_listen("127.0.0.1:0", 16, bound[0]);
	(void)unlink(e2e_path(path, "back"));
	snprintf(back, sizeof back, "unix:%s", path);
	s->slow_fd = net_listen(back, 16, bound[1]);
	gateway_init(&s->gateway);
	s->gateway.workers = 1;
	s->gateway.globals = "watchdog = 0\n";
	s->gateway.access = e2e_path(s->access, "access.log");
	(void)unlink(s->access);
	gateway_start(&s->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service slow {\n	listen = {\"unix:%s\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    bound[0], e2e_path(path, "in"), bound[1]);
	gateway_address(&s->gateway, "s", 0, s->address);
	gateway_address(&s->gateway, "slow", 0, s->slow_address);
	visit(s->address, s->listen_fd);
	visit(s->slow_address, s->slow_fd);
	census_expect_body(gateway_holder(&s->gateway, 0), 0, 2);
	census_learn(&s->census, &s->gateway);
}

/* So many connections of either service have come and gone, and the first. */
static void
finish(struct shortage *s, unsigned made, unsigned slow)
{
	struct counts counts = {.count = 0};
	struct counts_of of = {.accepted = 1 + made};

	counts_add_service(&counts, "s", of);
	counts_add_backend(&counts, "s", "b", of);
	of.accepted = 1 + slow;
	counts_add_service(&counts, "slow", of);
	counts_add_backend(&counts, "slow", "b", of);
	counts_add(&counts, 0, "totals/connections");
	counts_expect(&counts, &s->gateway);
	/* Who can't be accepted has a slot for a moment. */
	census_expect_body(gateway_holder(&s->gateway, 0), 0, 2 + made + slow);
	census_expect(&s->census, &s->gateway);
	gateway_stop(&s->gateway);
	access_log_expect(s->access, 2 + made + slow);
	census_forget(&s->census);
	close(s->listen_fd);
	close(s->slow_fd);
}

static bool
has_number(pid_t pid, unsigned number)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/fd/%u", (int)pid, number);
	return lstat(path, &st) == 0;
}

/* Leave the body so many numbers that are free. */
static void
leave_numbers(const struct shortage *s, unsigned left)
{
	pid_t holder = gateway_holder(&s->gateway, 0);
	int taken = proc_fds(holder);
	unsigned limit = 0;
	unsigned found = 0;

	ck_assert_int_gt(taken, 0);
	while (limit - found < (unsigned)taken || found < left) {
		found += !has_number(holder, limit);
		limit++;
	}
	ck_assert_msg(found == left, "%u numbers are free below %u", found,
	    limit);
	limit_descriptors(&s->gateway, 0, limit);
}

/* Slow readers */

static void
send_piece(struct shortage *s, int i)
{
	static char data[PIECE];
	ssize_t n;

	e2e_bytes((uint64_t)i, s->sent[i], data, sizeof data);
	n = send(s->slow[i].client, data, sizeof data,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
	s->sent[i] += n > 0 ? (size_t)n : 0;
}

/* Open them, and send to each until all on the way is full: each holds a
 * pipe with bytes then. */
static void
open_slow(struct shortage *s)
{
	struct pollfd pfds[SLOW];

	for (int i = 0; i < SLOW; i++) {
		s->slow[i] = open_pair(s->slow_address, s->slow_fd);
		s->sent[i] = 0;
		pfds[i] =
		    (struct pollfd){.fd = s->slow[i].client, .events = POLLOUT};
	}
	while (poll(pfds, SLOW, QUIET_MS) > 0) {
		for (int i = 0; i < SLOW; i++) {
			if (pfds[i].revents != 0)
				send_piece(s, i);
		}
	}
}

/* It reads all, and its pipe is free. */
static void
read_slow(struct shortage *s, int i)
{
	static char data[PIECE];
	static char wanted[PIECE];

	for (size_t at = 0; at < s->sent[i];) {
		size_t left = s->sent[i] - at;
		size_t length = left < PIECE ? left : PIECE;

		net_receive(s->slow[i].server, data, length);
		e2e_bytes((uint64_t)i, at, wanted, length);
		ck_assert_msg(memcmp(data, wanted, length) == 0,
		    "a byte after %zu is wrong", at);
		at += length;
	}
}

static void
send_bulk(int from, int to)
{
	static char sent[BULK];
	static char heard[BULK];

	e2e_bytes(77, 0, sent, sizeof sent);
	net_send(from, sent, sizeof sent);
	net_receive(to, heard, sizeof heard);
	ck_assert_mem_eq(heard, sent, sizeof heard);
}

/* No pipe can be had until one of the slow readers reads. */
static struct killer_trial
try_pipes(void *arg, unsigned point)
{
	struct shortage *s = arg;
	struct killer_trial trial;
	struct killer killer;
	struct pair pair;

	begin(s);
	pair = open_pair(s->address, s->listen_fd);
	open_slow(s);
	leave_numbers(s, 0);
	killer_arm(&killer, gateway_worker(&s->gateway, 0), point);
	net_say(pair.client, "is there a pipe?");
	ck_assert(net_is_silent(pair.server, 20));
	read_slow(s, 0);
	net_hear(pair.server, "is there a pipe?");
	send_bulk(pair.server, pair.client);
	trial = killer_disarm(&killer);
	pair_close(&pair);
	for (int i = 0; i < SLOW; i++) {
		if (i > 0)
			read_slow(s, i);
		pair_close(&s->slow[i]);
	}
	finish(s, 1, SLOW);
	return trial;
}

/* The same, and nothing but one death: it is told once. */
START_TEST(pipes_are_told_once)
{
	struct shortage s;
	struct pair pair;
	pid_t old;

	if (!killer_can_trace())
		return;
	begin(&s);
	pair = open_pair(s.address, s.listen_fd);
	open_slow(&s);
	ck_assert(!shortage_is_shown(&s.gateway, 0, "pipes"));
	leave_numbers(&s, 0);
	net_say(pair.client, "is there a pipe?");
	shortage_expect(&s.gateway, 0, "pipes", true);
	old = gateway_signal_worker(&s.gateway, 0, SIGKILL);
	gateway_expect_successor(&s.gateway, 0, old);
	ck_assert(net_is_silent(pair.server, 20));
	shortage_expect(&s.gateway, 0, "pipes", true);
	shortage_expect_said_once(&s.gateway, "out of pipes: bytes wait");
	read_slow(&s, 0);
	net_hear(pair.server, "is there a pipe?");
	shortage_expect(&s.gateway, 0, "pipes", false);
	shortage_expect_said_once(&s.gateway, "no longer out of pipes");
	shortage_expect_said_once(&s.gateway, "out of pipes: bytes wait");
	pair_close(&pair);
	for (int i = 0; i < SLOW; i++) {
		if (i > 0)
			read_slow(&s, i);
		pair_close(&s.slow[i]);
	}
	finish(&s, 1, SLOW);
}
END_TEST

/* A client is accepted, and no socket can be had for its backend until
 * another connection ends. */
static struct killer_trial
try_dial(void *arg, unsigned point)
{
	struct shortage *s = arg;
	struct killer_trial trial;
	struct killer killer;
	struct pair idle;
	struct pair pair;

	begin(s);
	idle = open_pair(s->address, s->listen_fd);
	send_bulk(idle.client, idle.server);
	leave_numbers(s, 1);
	killer_arm(&killer, gateway_worker(&s->gateway, 0), point);
	pair.client = net_connect(s->address);
	net_say(pair.client, "is anybody there?");
	ck_assert_int_eq(net_accept_within(s->listen_fd, 20), -1);
	send_bulk(idle.server, idle.client);
	pair_close(&idle);
	pair.server = net_accept(s->listen_fd);
	net_hear(pair.server, "is anybody there?");
	send_bulk(pair.server, pair.client);
	trial = killer_disarm(&killer);
	pair_close(&pair);
	finish(s, 2, 0);
	return trial;
}

static void
enumerate(const char *name, points_try_fn *try)
{
	struct shortage shortage;

	if (!killer_can_trace())
		return;
	(void)points_try_all(name, try, &shortage, QUICK_STOPS, 0);
}

START_TEST(pipes)
{
	enumerate("pipe shortage", try_pipes);
}
END_TEST

START_TEST(dials)
{
	enumerate("descriptor shortage", try_dial);
}
END_TEST

E2E_MAIN("crash.shortage", pipes, pipes_are_told_once, dials)
