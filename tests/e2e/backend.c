/*
 * backend - plain listening sockets behind a gateway; see backend.h.
 */
#include "backend.h"

#include <check.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"

void
backend_open(struct backend *b)
{
	b->listen_fd = net_listen("127.0.0.1:0", 256, b->address);
	b->came = 0;
}

int
backend_accept_any(struct backend *backends, size_t count, size_t *which)
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

void
backend_check_pair(int client, int server)
{
	net_say(client, "question");
	net_hear(server, "question");
	net_say(server, "answer");
	net_hear(client, "answer");
}

int
backend_connect_service(const struct gateway *g)
{
	char address[ADDR_TEXT_SIZE];

	return net_connect(gateway_address(g, "s", 0, address));
}

void
backend_run_connections(const struct gateway *g, struct backend *backends,
    size_t count, unsigned connections)
{
	size_t which;

	for (unsigned i = 0; i < connections; i++) {
		int client = backend_connect_service(g);
		int server = backend_accept_any(backends, count, &which);

		backend_check_pair(client, server);
		close(client);
		net_expect_end(server, NET_CLOSED);
		close(server);
		gateway_expect_number(g, "totals/connections", 0);
	}
}

void
backend_close_all(struct backend *backends, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(backends[i].listen_fd);
}
