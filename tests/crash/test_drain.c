/*
 * A stop with its worker killed at each system call: whoever is queued is
 * accepted, whoever is there goes on or is closed once, and nothing is left.
 *
 * A gateway stops once, so each run has one of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "census.h"
#include "counts.h"
#include "gateway.h"
#include "harness.h"
#include "killer.h"
#include "net.h"
#include "points.h"
#include "proc.h"

#define QUICK_STOPS 20U
#define CLIENTS     3

struct stopped {
	struct gateway gateway;
	char access[E2E_PATH_SIZE];
	char address[2][ADDR_TEXT_SIZE];
	int open[CLIENTS];   /* relaying when the stop begins */
	int queued[CLIENTS]; /* queued then, or -1 */
	pid_t holder;
};

static void
begin(struct stopped *s)
{
	char path[E2E_PATH_SIZE];

	(void)unlink(e2e_path(s->access, "access.log"));
	gateway_init(&s->gateway);
	s->gateway.workers = 1;
	s->gateway.globals = "watchdog = 0\ndrain_timeout = 100s\n";
	s->gateway.access = s->access;
	gateway_start(&s->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\", \"unix:%s\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    e2e_path(path, "in"));
	for (unsigned i = 0; i < 2; i++)
		gateway_address(&s->gateway, "s", i, s->address[i]);
	s->holder = gateway_holder(&s->gateway, 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		s->queued[i] = -1;
		s->open[i] = net_connect(s->address[i % 2]);
		net_say(s->open[i], "open");
		net_hear(s->open[i], "open");
	}
}

static bool
is_stopping(void *arg)
{
	json_t *status = gateway_status(arg);
	bool is = json_object_get(status, "stopping_ms") != NULL;

	json_decref(status);
	return is;
}

static void
finish(struct stopped *s, size_t connections)
{
	gateway_expect_ended(&s->gateway, 10000);
	access_log_expect(s->access, connections);
	ck_assert_int_ne(access(s->address[1] + strlen("unix:"), F_OK), 0);
}

static void
expect_served(int fd)
{
	net_hear(fd, "queued");
	net_say(fd, "and more");
	net_hear(fd, "and more");
	close(fd);
}

/* Those that were queued have left nothing, and the others are there. */
static void
expect_sound(const struct stopped *s)
{
	struct counts counts = {.count = 0};
	struct counts_of of = {CLIENTS, 2UL * CLIENTS, 0};

	counts_add_service(&counts, "s", of);
	counts_add_backend(&counts, "s", "b", of);
	counts_expect(&counts, &s->gateway);
	census_expect_body(s->holder, CLIENTS, 2 * CLIENTS + 1);
}

/* The worker finds the order and clients that came before it. */
static struct killer_trial
try_drain(void *arg, unsigned point)
{
	struct stopped *s = arg;
	struct killer_trial trial;
	struct killer killer;
	pid_t worker;

	begin(s);
	worker = gateway_signal_worker(&s->gateway, 0, SIGSTOP);
	for (unsigned i = 0; i < CLIENTS; i++) {
		s->queued[i] = net_connect(s->address[i % 2]);
		net_say(s->queued[i], "queued");
	}
	gateway_signal(&s->gateway, SIGTERM);
	ck_assert(e2e_wait(is_stopping, &s->gateway, 5000));
	killer_arm(&killer, worker, point);
	(void)kill(worker, SIGCONT);
	for (unsigned i = 0; i < CLIENTS; i++)
		expect_served(s->queued[i]);
	expect_sound(s);
	for (unsigned i = 0; i < CLIENTS; i++) {
		net_say(s->open[i], "still");
		net_hear(s->open[i], "still");
		close(s->open[i]);
	}
	trial = killer_disarm(&killer);
	finish(s, 2UL * CLIENTS);
	return trial;
}

/* The time is over, all are closed. */
static struct killer_trial
try_close(void *arg, unsigned point)
{
	struct stopped *s = arg;
	struct killer_trial trial;
	struct killer killer;

	begin(s);
	gateway_signal(&s->gateway, SIGTERM);
	ck_assert(e2e_wait(is_stopping, &s->gateway, 5000));
	killer_arm(&killer, gateway_worker(&s->gateway, 0), point);
	gateway_signal(&s->gateway, SIGTERM);
	for (unsigned i = 0; i < CLIENTS; i++) {
		net_expect_end(s->open[i], NET_CLOSED);
		close(s->open[i]);
	}
	trial = killer_disarm(&killer);
	finish(s, CLIENTS);
	return trial;
}

static void
enumerate(const char *name, points_try_fn *try)
{
	struct stopped stopped;

	if (!killer_can_trace())
		return;
	(void)points_try_all(name, try, &stopped, QUICK_STOPS, 0);
}

START_TEST(drain)
{
	enumerate("drain", try_drain);
}
END_TEST

START_TEST(forced)
{
	enumerate("forced stop", try_close);
}
END_TEST

E2E_MAIN("crash.drain", drain, forced)
