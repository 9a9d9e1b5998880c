/*
 * What is there to relay with runs out: connections, descriptors, local ports.
 * Clients wait or are refused, it is said once in log and status, and when it
 * is there again everything goes on by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"
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

/* Local ports */

#define PORTS       20 /* to any one address of a backend */
#define PORTS_RANGE "40000 40019"
#define BACKEND     "127.0.0.1:9000"
#define TURNED_AWAY 5

/* From here on this process and its children have a network of their own,
 * with few local ports.  False if that can't be had. */
static bool
make_network(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int range_fd;
	int fd;
	bool made;

	if (unshare(CLONE_NEWNET) != 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	range_fd = open("/proc/sys/net/ipv4/ip_local_port_range",
	    O_WRONLY | O_CLOEXEC);
	made = ioctl(fd, SIOCSIFFLAGS, &loopback) == 0 &&
	    write(range_fd, PORTS_RANGE, strlen(PORTS_RANGE)) > 0;
	close(range_fd);
	close(fd);
	return made;
}

struct harbour {
	struct gateway gateway;
	int tcp_fd; /* the backend of ports */
	int unix_fd;
	int clients[PORTS];
	int servers[PORTS];
};

static void
harbour_start(struct harbour *h)
{
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];
	char bound[ADDR_TEXT_SIZE];

	h->tcp_fd = net_listen(BACKEND, 64, bound);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	h->unix_fd = net_listen(address, 64, bound);
	gateway_init(&h->gateway);
	h->gateway.workers = 1;
	gateway_start(&h->gateway,
	    "service alone {\n	listen = {\"unix:%s/alone\"}\n"
	    "	backend a { address = \"" BACKEND "\" }\n}\n"
	    "service helped {\n	listen = {\"unix:%s/helped\"}\n"
	    "	backend a { address = \"" BACKEND "\" }\n"
	    "	backend b { address = \"%s\"  backup = true }\n}\n"
	    "service other {\n	listen = {\"unix:%s/other\"}\n"
	    "	backend e { address = builtin:echo }\n}\n",
	    e2e_dir(), e2e_dir(), bound, e2e_dir());
}

static int
harbour_client(const struct harbour *h, const char *service)
{
	char address[ADDR_TEXT_SIZE];

	return net_connect(gateway_address(&h->gateway, service, 0, address));
}

static void
harbour_check(const struct harbour *h)
{
	for (int i = 0; i < PORTS; i++)
		backend_check_pair(h->clients[i], h->servers[i]);
}

static void
harbour_fill(struct harbour *h)
{
	for (int i = 0; i < PORTS; i++) {
		h->clients[i] = harbour_client(h, "alone");
		h->servers[i] = net_accept(h->tcp_fd);
	}
	harbour_check(h);
}

/* Those of one backend are turned away at once, those of two go to the other,
 * and to those of none of it nothing happens. */
static void
harbour_turn_away(struct harbour *h)
{
	int client;
	int server;

	for (int i = 0; i < TURNED_AWAY; i++) {
		client = harbour_client(h, "alone");
		ck_assert_int_ne(net_end_within(client, 2000), NET_OPEN);
		close(client);
		client = harbour_client(h, "helped");
		server = net_accept(h->unix_fd);
		backend_check_pair(client, server);
		close(client);
		close(server);
		client = harbour_client(h, "other");
		ask(client);
		close(client);
	}
}

/* A backend's reset leaves no TIME_WAIT. */
static void
harbour_make_room(struct harbour *h)
{
	for (int i = 0; i < PORTS / 2; i++) {
		net_reset(h->servers[i]);
		ck_assert_int_ne(net_end_within(h->clients[i], 2000), NET_OPEN);
		close(h->clients[i]);
	}
	for (int i = 0; i < PORTS / 2; i++) {
		h->clients[i] = harbour_client(h, "alone");
		h->servers[i] = net_accept(h->tcp_fd);
	}
	harbour_check(h);
}

START_TEST(local_ports)
{
	static const char words[] = "no local port is left";
	struct harbour h;
	pid_t old;

	if (!make_network()) {
		e2e_skip("no network namespace: %s", strerror(errno));
		return;
	}
	harbour_start(&h);
	harbour_fill(&h);
	harbour_turn_away(&h);
	shortage_expect(&h.gateway, 0, "ports", true);
	old = gateway_signal_worker(&h.gateway, 0, SIGKILL);
	gateway_expect_successor(&h.gateway, 0, old);
	harbour_check(&h);
	harbour_turn_away(&h);
	shortage_expect(&h.gateway, 0, "ports", true);
	shortage_expect_said_once(&h.gateway, words);
	ck_assert_int_eq(gateway_number(&h.gateway, "services/alone/refused"),
	    TURNED_AWAY * INT64_C(2));
	ck_assert_int_eq(gateway_number(&h.gateway, "services/helped/refused"),
	    0);
	harbour_make_room(&h);
	shortage_expect(&h.gateway, 0, "ports", false);
	shortage_expect_said_once(&h.gateway, "no longer out of ports");
	shortage_expect_said_once(&h.gateway, words);
	ck_assert_uint_eq(shortage_lines(&h.gateway, "could be reached"), 0);
	gateway_stop(&h.gateway);
}
END_TEST

E2E_MAIN("edges", limits_are_told_once, descriptors_for_a_reload, local_ports)
