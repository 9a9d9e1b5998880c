/*
 * Which backend a connection gets, and what happens when backends refuse,
 * hang or close.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"
#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"

#define MANY 30

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
	backend_run_connections(&g, &good, 1, MANY);
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
	backend_close_all(&good, 1);
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
	backend_run_connections(&g, &good, 1, 8);
	ck_assert_int_gt(gateway_number(&g, "services/s/backends/bad/failed"),
	    0);
	gateway_stop(&g);
	backend_close_all(&good, 1);
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
	client = backend_connect_service(&g);
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
		net_expect_turned_away(gateway_address(&g, "s", 0, address),
		    NET_RESET);
	for (int i = 0; i < 10; i++)
		net_expect_turned_away(gateway_address(&g, "s", 1, address),
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
	net_expect_turned_away(address, NET_RESET);
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
	backend_close_all(&b, 1);
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
	backend_run_connections(&g, b, ARRAY_LEN(b), MANY);
	ck_assert_uint_eq(b[0].came, MANY / 3);
	ck_assert_uint_eq(b[1].came, 2 * MANY / 3);
	ck_assert_uint_eq(b[2].came, 0);
	gateway_stop(&g);
	backend_close_all(b, ARRAY_LEN(b));
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
		clients[i] = backend_connect_service(&g);
		servers[i] = backend_accept_any(b, 2, &to[i]);
		backend_check_pair(clients[i], servers[i]);
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
		clients[i] = backend_connect_service(&g);
		servers[i] = backend_accept_any(b, 2, &to[i]);
		ck_assert_msg(to[i] == 0,
		    "connection %d went to the busy backend", i);
	}
	gateway_stop(&g);
	backend_close_all(b, 2);
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
	backend_run_connections(&g, &good, 1, 10);
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
	backend_run_connections(&g, &backup, 1, 10);
	gateway_stop(&g);
	backend_close_all(&good, 1);
	backend_close_all(&backup, 1);
	close(refusing_fd);
}
END_TEST

/* Another gateway, whose workers are left alone, as the backend that echoes. */
static void
echo_start(struct gateway *echo, char address[ADDR_TEXT_SIZE])
{
	gateway_init(echo);
	echo->workers = 1;
	e2e_path(echo->config, "echo.conf");
	e2e_path(echo->control, "echo.sock");
	e2e_path(echo->log, "echo.log");
	gateway_start(echo,
	    "service echo {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	gateway_address(echo, "echo", 0, address);
}

/*
 * What broke: a death between the pick of a builtin and its connection left
 * the mark of the builtin in the slot; given to the other backend by the
 * successor, the connection relayed one way only.
 */
START_TEST(builtin_beside_a_backend)
{
	const struct load_spec spec = {
	    "churn", LOAD_PINGPONG, PEER_ECHO, .up = 300, .message = 100};
	struct gateway echo;
	struct gateway g;
	struct load *load = load_new();
	char address[ADDR_TEXT_SIZE];

	echo_start(&echo, address);
	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend builtin { address = builtin:echo }\n"
	    "	backend real { address = \"%s\" }\n}\n",
	    address);
	load_add(load, gateway_address(&g, "s", 0, address), &spec, 16, 0);
	load_run(load, 50);
	for (int i = 0; i < 100; i++) {
		(void)gateway_signal_worker(&g, 0, SIGKILL);
		load_run(load, 3 + i * 7 % 20);
	}
	load_stop_opening(load);
	load_finish(load, 10000);
	load_expect_exact(load);
	ck_assert_uint_gt(load_counts(load)->done, 100);
	ck_assert_int_gt(gateway_number(&g,
			     "services/s/backends/builtin/accepted"),
	    0);
	ck_assert_int_gt(gateway_number(&g,
			     "services/s/backends/real/accepted"),
	    0);
	gateway_expect_number(&g, "totals/connections", 0);
	load_free(load);
	gateway_stop(&g);
	gateway_stop(&echo);
}
END_TEST

E2E_MAIN("backends", one_refuses, one_hangs_in_connect,
    full_unix_backlog_gets_room, all_refuse, all_hang, backend_closes_at_once,
    round_robin_by_weight, least_connections, backup_is_for_need,
    builtin_beside_a_backend)
