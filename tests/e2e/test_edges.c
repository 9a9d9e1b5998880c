/*
 * What is there to relay with runs out: connections, descriptors.
 * Clients wait or are refused, it is said once in log and status, and when it
 * is there again everything goes on by itself.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "limit.h"
#include "load.h"
#include "net.h"
#include "reloads.h"
#include "shortages.h"

/* Connections */

#define MOST 2 /* max_connections of either */

struct limited {
	struct gateway gateway;
	int clients[2][MOST + 1]; /* the last one waits */
};

static void
ask(int fd)
{
	net_say(fd, "question");
	net_hear(fd, "question");
}

static void
fill_service(struct limited *l, int *clients, const char *service)
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&l->gateway, service, 0, address);
	for (int i = 0; i < MOST; i++) {
		clients[i] = net_connect(address);
		ask(clients[i]);
	}
	clients[MOST] = net_connect(address);
	net_say(clients[MOST], "question");
}

/* Each limit is told once, however long it lasts and whoever dies meanwhile. */
START_TEST(limits_are_told_once)
{
	static const char *const services[] = {"first", "second"};
	struct limited l;
	char words[64];
	pid_t old;

	gateway_init(&l.gateway);
	l.gateway.workers = 1;
	gateway_start(&l.gateway,
	    "service first {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = %d\n"
	    "	backend e { address = builtin:echo }\n}\n"
	    "service second {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = %d\n"
	    "	backend e { address = builtin:echo }\n}\n",
	    MOST, MOST);
	for (int i = 0; i < 2; i++)
		fill_service(&l, l.clients[i], services[i]);
	shortage_expect(&l.gateway, 0, "connections", true);
	old = gateway_signal_worker(&l.gateway, 0, SIGKILL);
	gateway_expect_successor(&l.gateway, 0, old);
	ck_assert(net_is_silent(l.clients[0][MOST], 300));
	shortage_expect(&l.gateway, 0, "connections", true);
	for (int i = 0; i < 2; i++) {
		snprintf(words, sizeof words,
		    "service=%s max_connections=", services[i]);
		/* A successor has its own mind of services. */
		ck_assert_uint_ge(shortage_lines(&l.gateway, words), 1);
		ck_assert_uint_le(shortage_lines(&l.gateway, words), 2);
		for (int k = 0; k < MOST; k++)
			close(l.clients[i][k]);
		net_hear(l.clients[i][MOST], "question");
	}
	shortage_expect(&l.gateway, 0, "connections", false);
	shortage_expect_said_once(&l.gateway, "no longer out of connections");
	for (int i = 0; i < 2; i++) {
		ask(l.clients[i][MOST]);
		close(l.clients[i][MOST]);
	}
	gateway_stop(&l.gateway);
}
END_TEST

/* Descriptors */

#define FEW_DESCRIPTORS 120
#define TOO_MANY        100 /* connections for that */

#define SERVICE_S                                    \
	"service s {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend b { address = \"%s\" }\n}\n"
#define SERVICE_MORE                                    \
	"service more {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend e { address = builtin:echo }\n}\n"

static void
start_without_descriptors(struct gateway *g, struct load *load,
    char backend[ADDR_TEXT_SIZE])
{
	static const struct load_spec held = {
	    "held", LOAD_BOTH, .up = 1000, .down = 100000, .hold = true};
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	char address[ADDR_TEXT_SIZE];

	load_listen(load, "127.0.0.1:0", backend);
	gateway_init(g);
	g->workers = 1;
	gateway_start(g, SERVICE_S, backend);
	limit_descriptors(g, 0, FEW_DESCRIPTORS);
	load_add(load, gateway_address(g, "s", 0, address), &held, TOO_MANY,
	    TOO_MANY);
	while (!shortage_is_shown(g, 0, "descriptors")) {
		ck_assert_msg(e2e_now_ms() < end,
		    "%d connections with %d descriptors", TOO_MANY,
		    FEW_DESCRIPTORS);
		load_run(load, 20);
	}
	load_run(load, 300);
}

/* A worker without descriptors can't be sent a plan.  What broke: it said
 * nothing to it, and the reload failed later, with the advice to wait for the
 * watchdog. */
START_TEST(descriptors_for_a_reload)
{
	struct load *load = load_new();
	struct gateway g;
	char backend[ADDR_TEXT_SIZE];

	start_without_descriptors(&g, load, backend);
	gateway_configure(&g, SERVICE_S SERVICE_MORE, backend);
	reload_expect_refused(&g, "ReloadFailed", "out of descriptors");
	shortage_expect_said_once(&g, "out of descriptors: new");
	load_release(load); /* as those end, the others get in */
	load_finish(load, 20000);
	load_expect_exact(load);
	ck_assert_uint_eq(load_counts(load)->done, TOO_MANY);
	reload_expect_done(&g);
	shortage_expect(&g, 0, "descriptors", false);
	shortage_expect_said_once(&g, "no longer out of descriptors");
	load_free(load);
	gateway_stop(&g);
}
END_TEST

E2E_MAIN("edges", limits_are_told_once, descriptors_for_a_reload)
