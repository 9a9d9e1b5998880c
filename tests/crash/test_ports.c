/*
 * A worker whose dials do not get what local port they like, killed at each
 * system call: one that finds none in the upper part and asks again for the
 * lower (server/worker/local_ports.h), and one that is given the very port it
 * dials, and is connected to itself.
 *
 * Each run has a gateway of its own, in a network of its own.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "backend.h"
#include "census.h"
#include "counts.h"
#include "gateway.h"
#include "harness.h"
#include "killer.h"
#include "net.h"
#include "network.h"
#include "pair.h"
#include "points.h"

#define QUICK_STOPS 16U

/* The lower quarter of them is dialed from when the rest is used up. */
#define PORTS       "40000 40019"
#define FIRST       40000
#define FIRST_UPPER 40005
#define LAST        40019
#define BACKEND     "127.0.0.1:9000"
/* Nobody listens there. */
#define NOBODY      "127.0.0.1:40010"
#define NOBODY_PORT 40010

struct ports {
	struct gateway gateway;
	struct census census; /* while nobody is there */
	char access[E2E_PATH_SIZE];
	char served[ADDR_TEXT_SIZE];
	char unserved[ADDR_TEXT_SIZE];
	int listen_fd;
	int held[LAST - FIRST + 1];
	size_t held_count;
};

/* A backend's reset leaves no TIME_WAIT, where the port could not be held. */
static void
end(struct pair *pair)
{
	net_reset(pair->server);
	ck_assert_int_ne(net_end_within(pair->client, 2000), NET_OPEN);
	close(pair->client);
}

static void
begin(struct ports *p)
{
	char bound[ADDR_TEXT_SIZE];
	struct pair visit;

	memset(p, 0, sizeof *p);
	p->listen_fd = net_listen(BACKEND, 16, bound);
	gateway_init(&p->gateway);
	p->gateway.workers = 1;
	p->gateway.globals = "watchdog = 0\n";
	p->gateway.access = e2e_path(p->access, "access.log");
	(void)unlink(p->access);
	gateway_start(&p->gateway,
	    "service served {\n	listen = {\"unix:%s/served\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service unserved {\n	listen = {\"unix:%s/unserved\"}\n"
	    "	backend b { address = \"" NOBODY "\" }\n}\n",
	    e2e_dir(), bound, e2e_dir());
	gateway_address(&p->gateway, "served", 0, p->served);
	gateway_address(&p->gateway, "unserved", 0, p->unserved);
	visit.client = net_connect(p->served);
	visit.server = net_accept(p->listen_fd);
	backend_check_pair(visit.client, visit.server);
	end(&visit);
	census_expect_body(gateway_holder(&p->gateway, 0), 0, 1);
	census_learn(&p->census, &p->gateway);
}

/* From here on nobody is given one of them, but for one. */
static void
hold(struct ports *p, uint16_t first, uint16_t but)
{
	for (uint16_t port = first; port <= LAST; port++) {
		if (port != but)
			p->held[p->held_count++] = network_hold_port(port);
	}
}

/* So many have been served after the first, and so many have not. */
static void
finish(struct ports *p, unsigned served, unsigned unserved)
{
	struct counts counts = {.count = 0};
	struct counts_of of = {.accepted = 1 + served};

	counts_add_service(&counts, "served", of);
	counts_add_backend(&counts, "served", "b", of);
	of = (struct counts_of){.accepted = unserved, .missed = unserved};
	counts_add_service(&counts, "unserved", of);
	of.accepted = 0;
	counts_add_backend(&counts, "unserved", "b", of);
	counts_add(&counts, 0, "totals/connections");
	counts_expect(&counts, &p->gateway);
	census_expect_body(gateway_holder(&p->gateway, 0), 0,
	    1 + served + unserved);
	census_expect(&p->census, &p->gateway);
	gateway_stop(&p->gateway);
	access_log_expect(p->access, 1 + served + unserved);
	census_forget(&p->census);
	while (p->held_count > 0)
		close(p->held[--p->held_count]);
	close(p->listen_fd);
}

static struct killer_trial
try_lower(void *arg, unsigned point)
{
	struct ports *p = arg;
	struct killer_trial trial;
	struct killer killer;
	struct pair pair;

	begin(p);
	hold(p, FIRST_UPPER, 0);
	killer_arm(&killer, gateway_worker(&p->gateway, 0), point);
	pair.client = net_connect(p->served);
	net_say(pair.client, "question");
	pair.server = net_accept(p->listen_fd);
	net_hear(pair.server, "question");
	net_say(pair.server, "answer");
	net_hear(pair.client, "answer");
	trial = killer_disarm(&killer);
	end(&pair);
	finish(p, 1, 0);
	return trial;
}

static struct killer_trial
try_itself(void *arg, unsigned point)
{
	struct ports *p = arg;
	struct killer_trial trial;
	struct killer killer;

	begin(p);
	hold(p, FIRST, NOBODY_PORT);
	killer_arm(&killer, gateway_worker(&p->gateway, 0), point);
	net_expect_turned_away(p->unserved, NET_CLOSED);
	trial = killer_disarm(&killer);
	/* It leaves no TIME_WAIT: a backend may come. */
	p->held[p->held_count++] = network_hold_port(NOBODY_PORT);
	finish(p, 0, 1);
	return trial;
}

static void
enumerate(const char *name, points_try_fn *try)
{
	struct ports ports;

	if (killer_can_trace() && network_make(PORTS))
		(void)points_try_all(name, try, &ports, QUICK_STOPS, 0);
}

START_TEST(lower)
{
	enumerate("the lower part", try_lower);
}
END_TEST

START_TEST(itself)
{
	enumerate("a dial to itself", try_itself);
}
END_TEST

E2E_MAIN("crash.ports", lower, itself)
