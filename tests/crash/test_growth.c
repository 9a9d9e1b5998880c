/*
 * A worker's very first start, killed at each system call: it has taken in
 * plan and listeners or its successor does.
 *
 * Workers are added by a reload, so each run has a gateway of its own.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "brood.h"
#include "census.h"
#include "counts.h"
#include "gateway.h"
#include "harness.h"
#include "killer.h"
#include "net.h"
#include "points.h"
#include "proc.h"
#include "reloads.h"

#define QUICK_STARTS 16U
#define CLIENTS      24

static void
configure(const struct gateway *g)
{
	char path[E2E_PATH_SIZE];

	gateway_configure(g,
	    "service s {\n"
	    "	listen = {\"127.0.0.1:0\", \"*:0\", \"unix:%s\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    e2e_path(path, "in"));
}

static void
say_and_hear(int fd)
{
	net_say(fd, "served?");
	net_hear(fd, "served?");
}

static void
expect_counts(const struct gateway *g, int64_t connections)
{
	struct counts counts = {.count = 0};
	struct counts_of of = {connections, CLIENTS + 1, 0};

	counts_add_service(&counts, "s", of);
	counts_add_backend(&counts, "s", "b", of);
	counts_expect(&counts, g);
}

/* The kernel spreads them over the sockets of both workers. */
static void
expect_all_served(const struct gateway *g, const char *address)
{
	int clients[CLIENTS];

	for (size_t i = 0; i < CLIENTS; i++)
		clients[i] = net_connect(address);
	for (size_t i = 0; i < CLIENTS; i++)
		say_and_hear(clients[i]);
	expect_counts(g, CLIENTS + 1);
	for (size_t i = 0; i < CLIENTS; i++)
		close(clients[i]);
	expect_counts(g, 1);
}

/* Both bodies were sent the same, so they hold as many sockets. */
static bool
are_alike(void *arg)
{
	const struct gateway *g = arg;

	/* The first worker has one connection. */
	return proc_fds_named(gateway_holder(g, 0), "socket:") ==
	    proc_fds_named(gateway_holder(g, 1), "socket:") + 1;
}

static struct killer_trial
try_growth(void *arg, unsigned point)
{
	struct gateway g;
	struct brood brood;
	struct killer_trial trial;
	char address[ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	int client;

	(void)arg;
	gateway_init(&g);
	g.workers = 1;
	g.globals = "watchdog = 0\n";
	g.access = e2e_path(access, "access.log");
	(void)unlink(access);
	configure(&g);
	gateway_run(&g);
	gateway_address(&g, "s", 0, address);
	client = net_connect(address);
	say_and_hear(client);
	brood_arm(&brood, g.pid, BROOD_OF_MASTER, point);
	g.workers = 2;
	configure(&g);
	reload_expect_done(&g);
	gateway_expect_successor(&g, 1, 0);
	trial = brood_disarm(&brood);
	expect_all_served(&g, address);
	ck_assert(e2e_wait(are_alike, &g, 5000));
	for (unsigned i = 0; i < 2; i++)
		census_expect_body(gateway_holder(&g, i), i == 0, CLIENTS + 2);
	say_and_hear(client);
	close(client);
	gateway_stop(&g);
	access_log_expect(access, CLIENTS + 1);
	return trial;
}

START_TEST(growth)
{
	if (!killer_can_trace())
		return;
	(void)points_try_all("first start of a worker", try_growth, NULL,
	    QUICK_STARTS, 0);
}
END_TEST

E2E_MAIN("crash.growth", growth)
