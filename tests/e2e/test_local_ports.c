/*
 * The local ports that backends are dialed from: which they are, what they
 * leave to others, and what happens when there are none.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "network.h"
#include "shortages.h"

/* Shortage */

#define PORTS       20 /* to any one address of a backend */
#define PORTS_RANGE "40000 40019"
#define BACKEND     "127.0.0.1:9000"
#define TURNED_AWAY 5

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
		net_say(client, "question");
		net_hear(client, "question");
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

START_TEST(all_are_taken)
{
	static const char words[] = "no local port is left";
	struct harbour h;
	pid_t old;

	if (!network_make(PORTS_RANGE))
		return;
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

/* Parts (server/worker/local_ports.h) */

#define PARTS_RANGE "45000 45099"
#define PARTS_SPLIT 45025
#define LOWER       25
#define UPPER       75
#define OTHER       "127.0.0.1:9001"

/* Has the kernel what divides the ports? */
static bool
has_parts(void)
{
	struct utsname kernel;
	char *rest;
	long major;

	uname(&kernel);
	major = strtol(kernel.release, &rest, 10);
	ck_assert_int_eq(*rest, '.');
	return major > 6 || (major == 6 && strtol(rest + 1, NULL, 10) >= 8);
}

static uint16_t
peer_port(int fd)
{
	/* IPv4 has its port at the same place. */
	struct sockaddr_in6 peer = {0};
	socklen_t length = sizeof(peer);

	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&peer, &length), 0);
	return ntohs(peer.sin6_port);
}

struct parts {
	struct gateway gateway;
	int listen_fd;
	int other_fd; /* of another service's backend */
	int clients[UPPER + LOWER];
	int servers[UPPER + LOWER];
	int count;
};

static void
parts_start(struct parts *p, const char *backend)
{
	char bound[ADDR_TEXT_SIZE];
	char other[ADDR_TEXT_SIZE];

	p->count = 0;
	p->listen_fd = net_listen(backend, 64, bound);
	p->other_fd = net_listen(OTHER, 64, other);
	gateway_init(&p->gateway);
	p->gateway.workers = 1;
	gateway_start(&p->gateway,
	    "service s {\n	listen = {\"unix:%s/s\"}\n"
	    "	backend a { address = \"%s\" }\n}\n"
	    "service t {\n	listen = {\"unix:%s/t\"}\n"
	    "	backend gone { address = \"[::1]:9002\" }\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    e2e_dir(), bound, e2e_dir(), other);
}

/* Open one more; returns the port that the backend is dialed from. */
static uint16_t
parts_add(struct parts *p)
{
	char front[ADDR_TEXT_SIZE];

	gateway_address(&p->gateway, "s", 0, front);
	p->clients[p->count] = net_connect(front);
	p->servers[p->count] = net_accept(p->listen_fd);
	return peer_port(p->servers[p->count++]);
}

/* The backend's reset leaves no TIME_WAIT. */
static void
parts_drop(struct parts *p)
{
	p->count--;
	net_reset(p->servers[p->count]);
	ck_assert_int_ne(net_end_within(p->clients[p->count], 2000), NET_OPEN);
	close(p->clients[p->count]);
}

static uint16_t
parts_visit_other(struct parts *p)
{
	char front[ADDR_TEXT_SIZE];
	int client;
	int server;
	uint16_t port;

	gateway_address(&p->gateway, "t", 0, front);
	client = net_connect(front);
	server = net_accept(p->other_fd);
	backend_check_pair(client, server);
	port = peer_port(server);
	net_reset(server);
	close(client);
	return port;
}

static void
parts_stop(struct parts *p)
{
	while (p->count > 0) {
		backend_check_pair(p->clients[p->count - 1],
		    p->servers[p->count - 1]);
		parts_drop(p);
	}
	close(p->listen_fd);
	close(p->other_fd);
	gateway_stop(&p->gateway);
}

/* All of the upper part, the odd ones like the even ones, then the lower. */
static void
expect_parts(struct parts *p)
{
	int odd = 0;

	for (int i = 0; i < UPPER; i++) {
		uint16_t port = parts_add(p);

		if (has_parts())
			ck_assert_uint_ge(port, PARTS_SPLIT);
		if (i < UPPER / 2)
			odd += port % 2;
	}
	if (has_parts())
		ck_assert_int_gt(odd, 0);
	for (int i = 0; i < LOWER; i++) {
		uint16_t port = parts_add(p);

		if (has_parts())
			ck_assert_uint_lt(port, PARTS_SPLIT);
	}
}

/* When there are some of the upper part again they are used again. */
static void
expect_upper_again(struct parts *p)
{
	uint64_t end = e2e_now_ms() + 10000;
	uint16_t port = 0;

	parts_drop(p); /* of the lower part */
	for (int i = 0; i < LOWER; i++)
		parts_drop(p);
	while (port < PARTS_SPLIT && e2e_now_ms() < end) {
		port = parts_add(p);
		if (port < PARTS_SPLIT)
			parts_drop(p);
	}
	ck_assert_uint_ge(port, PARTS_SPLIT);
}

static void
use_parts(const char *backend)
{
	struct parts p;

	parts_start(&p, backend);
	expect_parts(&p);
	/* Towards other backends none is taken. */
	for (int i = 0; i < LOWER; i++) {
		uint16_t port = parts_visit_other(&p);

		if (has_parts())
			ck_assert_uint_ge(port, PARTS_SPLIT);
	}
	expect_upper_again(&p);
	ck_assert_uint_eq(shortage_lines(&p.gateway, "no local port is left"),
	    0);
	parts_stop(&p);
}

START_TEST(parts_of_ipv4)
{
	if (!network_make(PARTS_RANGE))
		return;
	/* No address of IPv6 can be reached then, and that is no lack of ports,
	 * although the kernel has the same error for it. */
	network_turn_off_ipv6();
	use_parts(BACKEND);
}
END_TEST

START_TEST(parts_of_ipv6)
{
	if (network_make(PARTS_RANGE))
		use_parts("[::1]:9000");
}
END_TEST

/* A backend that isn't there */

#define ITS_RANGE "45000 45019"
#define ITSELF    "127.0.0.1:45010"
#define DIALS     200

/* Who dials a port of the range in vain is given the very same sooner or later,
 * and is connected to itself.  That is no backend, and leaves room for it. */
START_TEST(none_is_dialed_from_its_own)
{
	struct gateway g;
	char front[ADDR_TEXT_SIZE];
	char bound[ADDR_TEXT_SIZE];
	int client;
	int server;
	int listen_fd;

	if (!network_make(ITS_RANGE))
		return;
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"unix:%s/s\"}\n"
	    "	backend a { address = \"" ITSELF "\" }\n}\n",
	    e2e_dir());
	gateway_address(&g, "s", 0, front);
	for (int i = 0; i < DIALS; i++) {
		client = net_connect(front);
		(void)send(client, "?", 1, MSG_NOSIGNAL);
		ck_assert_int_ne(net_end_within(client, 2000), NET_OPEN);
		close(client);
	}
	ck_assert_int_eq(gateway_number(&g, "services/s/refused"), DIALS);
	listen_fd = net_listen(ITSELF, 64, bound);
	client = net_connect(front);
	server = net_accept(listen_fd);
	backend_check_pair(client, server);
	gateway_stop(&g);
}
END_TEST

E2E_MAIN("local_ports", all_are_taken, parts_of_ipv4, parts_of_ipv6,
    none_is_dialed_from_its_own)
