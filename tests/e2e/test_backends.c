/*
 * Which backend a connection gets, and what happens when backends refuse,
 * hang or close, and when time runs out.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"

#define MANY 30

/* A backend that says its name to whoever comes, when asked to. */
struct backend {
	int listen_fd;
	char address[ADDR_TEXT_SIZE];
	unsigned came;
};

static void
backend_open(struct backend *b)
{
	b->listen_fd = net_listen("127.0.0.1:0", 256, b->address);
	b->came = 0;
}

/* Which of the backends the next connection comes to. */
static int
accept_any(struct backend *backends, size_t count, size_t *which)
{
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;

	while (e2e_now_ms() < end) {
		for (size_t i = 0; i < count; i++) {
			int fd = net_accept_within(backends[i].listen_fd, 2);

			if (fd < 0)
				continue;
			backends[i].came++;
			*which = i;
			return fd;
		}
	}
	ck_abort_msg("the connection came to no backend");
	return -1;
}

static void
check_pair(int client, int server)
{
	net_say(client, "question");
	net_hear(server, "question");
	net_say(server, "answer");
	net_hear(client, "answer");
}

static int
connect_service(const struct gateway *g)
{
	char address[ADDR_TEXT_SIZE];

	return net_connect(gateway_address(g, "s", 0, address));
}

/* So many connections, one after the other, all the way through. */
static void
run_connections(const struct gateway *g, struct backend *backends, size_t count,
    unsigned connections)
{
	size_t which;

	for (unsigned i = 0; i < connections; i++) {
		int client = connect_service(g);
		int server = accept_any(backends, count, &which);

		check_pair(client, server);
		close(client);
		net_expect_end(server, NET_CLOSED);
		close(server);
		gateway_expect_number(g, "totals/connections", 0);
	}
}

static void
close_backends(struct backend *backends, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(backends[i].listen_fd);
}

/* A port that answers no SYN: its backlog is full. */
struct hanging {
	int listen_fd;
	int filler[8];
	char address[ADDR_TEXT_SIZE];
};

static void
hanging_open(struct hanging *h, const char *address)
{
	struct sockaddr_storage ss;

	h->listen_fd = net_listen(address, 0, h->address);
	for (size_t i = 0; i < ARRAY_LEN(h->filler); i++) {
		socklen_t length = net_sockaddr(h->address, &ss);

		h->filler[i] = socket(ss.ss_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(h->filler[i], (struct sockaddr *)&ss, length);
	}
}

static void
hanging_close(struct hanging *h)
{
	for (size_t i = 0; i < ARRAY_LEN(h->filler); i++)
		close(h->filler[i]);
	close(h->listen_fd);
}

START_TEST(one_refuses)
{
	struct gateway g;
	struct backend good;
	char refusing[ADDR_TEXT_SIZE];
	int refusing_fd = net_bind("127.0.0.1:0", refusing);

	backend_open(&good);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend bad { address = \"%s\" }\n"
	    "	backend gone { address = \"unix:%s/nobody\" }\n"
	    "	backend good { address = \"%s\" }\n}\n",
	    refusing, e2e_dir(), good.address);
	run_connections(&g, &good, 1, MANY);
	ck_assert_int_gt(gateway_number(&g, "services/s/backends/bad/failed"),
	    0);
	ck_assert_int_gt(gateway_number(&g, "services/s/backends/gone/failed"),
	    0);
	ck_assert_int_eq(gateway_number(&g,
			     "services/s/backends/good/accepted"),
	    MANY);
	ck_assert_int_eq(gateway_number(&g, "services/s/backends/good/failed"),
	    0);
	ck_assert_int_gt(gateway_number(&g, "totals/failed_dials"), 0);
	gateway_stop(&g);
	close_backends(&good, 1);
	close(refusing_fd);
}
END_TEST

static void
run_beside_hanging(const char *address)
{
	struct gateway g;
	struct backend good;
	struct hanging hanging;

	hanging_open(&hanging, address);
	backend_open(&good);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	connect_timeout = 200ms\n"
	    "	backend bad { address = \"%s\" }\n"
	    "	backend good { address = \"%s\" }\n}\n",
	    hanging.address, good.address);
	run_connections(&g, &good, 1, 8);
	ck_assert_int_gt(gateway_number(&g, "services/s/backends/bad/failed"),
	    0);
	gateway_stop(&g);
	close_backends(&good, 1);
	hanging_close(&hanging);
}

START_TEST(one_hangs_in_connect)
{
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];

	run_beside_hanging("127.0.0.1:0");
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "full"));
	run_beside_hanging(address);
}
END_TEST

/* connect(2) to a full Unix-domain backlog is EAGAIN and no event follows:
 * when there is room, the connection must come. */
START_TEST(full_unix_backlog_gets_room)
{
	struct gateway g;
	struct hanging full;
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];
	char byte;
	int client;
	int server;

	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "full"));
	hanging_open(&full, address);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    full.address);
	client = connect_service(&g);
	net_say(client, "patience");
	e2e_pause(100);
	/* Those that are not ours end at once. */
	for (size_t i = 0; i < ARRAY_LEN(full.filler); i++)
		close(full.filler[i]);
	while ((server = net_accept(full.listen_fd)) >= 0 &&
	    recv(server, &byte, 1, MSG_PEEK) != 1)
		close(server);
	net_hear(server, "patience");
	close(client);
	close(server);
	close(full.listen_fd);
	gateway_stop(&g);
}
END_TEST

static void
expect_client_fails(const char *address, enum net_end expected)
{
	int client = net_connect(address);

	net_expect_end(client, expected);
	close(client);
}

START_TEST(all_refuse)
{
	struct gateway g;
	char refusing[ADDR_TEXT_SIZE];
	char address[ADDR_TEXT_SIZE];
	int refusing_fd = net_bind("127.0.0.1:0", refusing);

	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in\"}\n"
	    "	backend a { address = \"%s\" }\n"
	    "	backend b { address = \"unix:%s/nobody\" }\n}\n",
	    e2e_dir(), refusing, e2e_dir());
	for (int i = 0; i < 10; i++)
		expect_client_fails(gateway_address(&g, "s", 0, address),
		    NET_RESET);
	for (int i = 0; i < 10; i++)
		expect_client_fails(gateway_address(&g, "s", 1, address),
		    NET_CLOSED);
	gateway_expect_number(&g, "totals/connections", 0);
	ck_assert_int_ge(gateway_number(&g, "totals/failed_dials"), 20);
	gateway_stop(&g);
	close(refusing_fd);
}
END_TEST

START_TEST(all_hang)
{
	struct gateway g;
	struct hanging hanging;
	char address[ADDR_TEXT_SIZE];
	uint64_t start;
	uint64_t took;

	hanging_open(&hanging, "127.0.0.1:0");
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	connect_timeout = 300ms\n	retries = 1\n"
	    "	backend a { address = \"%s\" }\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    hanging.address, hanging.address);
	gateway_address(&g, "s", 0, address);
	start = e2e_now_ms();
	expect_client_fails(address, NET_RESET);
	took = e2e_now_ms() - start;
	ck_assert_msg(took >= 580 && took < 3000,
	    "two tries of 300 ms took %llu ms", (unsigned long long)took);
	gateway_stop(&g);
	hanging_close(&hanging);
}
END_TEST

START_TEST(backend_closes_at_once)
{
	struct gateway g;
	struct backend b;
	char address[ADDR_TEXT_SIZE];

	backend_open(&b);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    b.address);
	gateway_address(&g, "s", 0, address);
	for (int i = 0; i < 10; i++) {
		int client = net_connect(address);
		int server = net_accept(b.listen_fd);

		close(server);
		net_expect_end(client, NET_CLOSED);
		close(client);
	}
	gateway_expect_number(&g, "totals/connections", 0);
	ck_assert_int_eq(gateway_number(&g, "totals/failed_dials"), 0);
	gateway_stop(&g);
	close_backends(&b, 1);
}
END_TEST

START_TEST(round_robin_by_weight)
{
	struct gateway g;
	struct backend b[3];

	for (size_t i = 0; i < ARRAY_LEN(b); i++)
		backend_open(&b[i]);
	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	balance = roundrobin\n"
	    "	backend one { address = \"%s\" }\n"
	    "	backend two { address = \"%s\"   weight = 2 }\n"
	    "	backend none { address = \"%s\"   weight = 0 }\n}\n",
	    b[0].address, b[1].address, b[2].address);
	run_connections(&g, b, ARRAY_LEN(b), MANY);
	ck_assert_uint_eq(b[0].came, MANY / 3);
	ck_assert_uint_eq(b[1].came, 2 * MANY / 3);
	ck_assert_uint_eq(b[2].came, 0);
	gateway_stop(&g);
	close_backends(b, ARRAY_LEN(b));
}
END_TEST

/* The workers know of each other's connections. */
START_TEST(least_connections)
{
	struct gateway g;
	struct backend b[2];
	int clients[MANY];
	int servers[MANY];
	size_t to[MANY];

	backend_open(&b[0]);
	backend_open(&b[1]);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	balance = leastconn\n"
	    "	backend a { address = \"%s\" }\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    b[0].address, b[1].address);
	for (int i = 0; i < 20; i++) {
		clients[i] = connect_service(&g);
		servers[i] = accept_any(b, 2, &to[i]);
		check_pair(clients[i], servers[i]);
	}
	ck_assert_uint_eq(b[0].came, 10);
	ck_assert_uint_eq(b[1].came, 10);
	for (int i = 0; i < 20; i++) {
		if (to[i] == 0) {
			close(clients[i]);
			close(servers[i]);
		}
	}
	gateway_expect_number(&g, "services/s/backends/a/connections", 0);
	for (int i = 20; i < MANY; i++) {
		clients[i] = connect_service(&g);
		servers[i] = accept_any(b, 2, &to[i]);
		ck_assert_msg(to[i] == 0,
		    "connection %d went to the busy backend", i);
	}
	gateway_stop(&g);
	close_backends(b, 2);
}
END_TEST

START_TEST(backup_is_for_need)
{
	struct gateway g;
	struct backend good;
	struct backend backup;
	char refusing[ADDR_TEXT_SIZE];
	int refusing_fd = net_bind("127.0.0.1:0", refusing);

	backend_open(&good);
	backend_open(&backup);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend good { address = \"%s\" }\n"
	    "	backend spare { address = \"%s\"   backup = true }\n}\n",
	    good.address, backup.address);
	run_connections(&g, &good, 1, 10);
	ck_assert_int_eq(gateway_number(&g,
			     "services/s/backends/spare/accepted"),
	    0);
	gateway_stop(&g);

	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend bad { address = \"%s\" }\n"
	    "	backend spare { address = \"%s\"   backup = true }\n}\n",
	    refusing, backup.address);
	run_connections(&g, &backup, 1, 10);
	gateway_stop(&g);
	close_backends(&good, 1);
	close_backends(&backup, 1);
	close(refusing_fd);
}
END_TEST

/* Past a service's limit connections wait in the backlog, whichever worker
 * they came to, and lose nothing by it. */
START_TEST(service_limit)
{
	struct gateway g;
	struct backend b;
	int client[4];
	int server[4];

	backend_open(&b);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = 2\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    b.address);
	for (int i = 0; i < 2; i++) {
		client[i] = connect_service(&g);
		server[i] = net_accept(b.listen_fd);
		check_pair(client[i], server[i]);
	}
	for (int i = 2; i < 4; i++) {
		client[i] = connect_service(&g);
		net_say(client[i], "question");
	}
	ck_assert_int_eq(net_accept_within(b.listen_fd, 300), -1);
	ck_assert_int_eq(gateway_number(&g, "services/s/connections"), 2);
	for (int i = 2; i < 4; i++) {
		close(client[i - 2]);
		close(server[i - 2]);
		server[i] = net_accept(b.listen_fd);
		net_hear(server[i], "question");
	}
	gateway_stop(&g);
	close_backends(&b, 1);
}
END_TEST

/* The same for the whole gateway. */
START_TEST(gateway_limit)
{
	struct gateway g;
	struct backend b;
	int client[4];
	int server[4];

	backend_open(&b);
	gateway_init(&g);
	g.globals = "max_connections = 3\n";
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    b.address);
	for (int i = 0; i < 3; i++) {
		client[i] = connect_service(&g);
		server[i] = net_accept(b.listen_fd);
		check_pair(client[i], server[i]);
	}
	client[3] = connect_service(&g);
	net_say(client[3], "question");
	ck_assert_int_eq(net_accept_within(b.listen_fd, 300), -1);
	close(client[0]);
	close(server[0]);
	server[3] = net_accept(b.listen_fd);
	net_hear(server[3], "question");
	gateway_stop(&g);
	close_backends(&b, 1);
}
END_TEST

START_TEST(idle_timeout)
{
	struct gateway g;
	struct backend b;
	uint64_t start;
	uint64_t took;
	int client;
	int server;

	backend_open(&b);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	idle_timeout = 400ms\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    b.address);
	client = connect_service(&g);
	server = net_accept(b.listen_fd);
	for (int i = 0; i < 8; i++) { /* bytes either way keep it open */
		net_say(i % 2 == 0 ? client : server, "x");
		net_hear(i % 2 == 0 ? server : client, "x");
		e2e_pause(150);
	}
	start = e2e_now_ms();
	ck_assert_int_ne(net_end_within(client, 5000), NET_OPEN);
	took = e2e_now_ms() - start;
	ck_assert_msg(took >= 200 && took < 2000, "closed after %llu ms",
	    (unsigned long long)took);
	ck_assert_int_ne(net_end_within(server, 1000), NET_OPEN);
	gateway_expect_number(&g, "totals/connections", 0);
	gateway_stop(&g);
	close(client);
	close(server);
	close_backends(&b, 1);
}
END_TEST

START_TEST(half_closed_timeout)
{
	struct gateway g;
	struct backend b;
	uint64_t start;
	uint64_t took;
	int client;
	int server;

	backend_open(&b);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	half_closed_timeout = 400ms\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    b.address);
	client = connect_service(&g);
	server = net_accept(b.listen_fd);
	check_pair(client, server);
	e2e_pause(600); /* both ways open: not its concern */
	check_pair(client, server);
	shutdown(client, SHUT_WR);
	net_expect_end(server, NET_CLOSED);
	for (int i = 0; i < 5; i++) { /* the other way is not silent */
		net_say(server, "x");
		net_hear(client, "x");
		e2e_pause(150);
	}
	start = e2e_now_ms();
	ck_assert_int_ne(net_end_within(client, 5000), NET_OPEN);
	took = e2e_now_ms() - start;
	ck_assert_msg(took >= 200 && took < 2000, "closed after %llu ms",
	    (unsigned long long)took);
	gateway_expect_number(&g, "totals/connections", 0);
	gateway_stop(&g);
	close(client);
	close(server);
	close_backends(&b, 1);
}
END_TEST

E2E_MAIN("backends", one_refuses, one_hangs_in_connect,
    full_unix_backlog_gets_room, all_refuse, all_hang, backend_closes_at_once,
    round_robin_by_weight, least_connections, backup_is_for_need, service_limit,
    gateway_limit, idle_timeout, half_closed_timeout)
