/*
 * Limits of connections and of time: past the first, connections wait; past
 * the second, they are closed.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"

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
		client[i] = backend_connect_service(&g);
		server[i] = net_accept(b.listen_fd);
		backend_check_pair(client[i], server[i]);
	}
	for (int i = 2; i < 4; i++) {
		client[i] = backend_connect_service(&g);
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
	backend_close_all(&b, 1);
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
		client[i] = backend_connect_service(&g);
		server[i] = net_accept(b.listen_fd);
		backend_check_pair(client[i], server[i]);
	}
	client[3] = backend_connect_service(&g);
	net_say(client[3], "question");
	ck_assert_int_eq(net_accept_within(b.listen_fd, 300), -1);
	close(client[0]);
	close(server[0]);
	server[3] = net_accept(b.listen_fd);
	net_hear(server[3], "question");
	gateway_stop(&g);
	backend_close_all(&b, 1);
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
	client = backend_connect_service(&g);
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
	backend_close_all(&b, 1);
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
	client = backend_connect_service(&g);
	server = net_accept(b.listen_fd);
	backend_check_pair(client, server);
	e2e_pause(600); /* both ways open: not its concern */
	backend_check_pair(client, server);
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
	backend_close_all(&b, 1);
}
END_TEST

E2E_MAIN("limits", service_limit, gateway_limit, idle_timeout,
    half_closed_timeout)
