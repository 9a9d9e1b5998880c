/*
 * A worker is killed at some stop, and its successor before its sweep is over:
 * what the first death left half done is finished all the same.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "killer.h"
#include "net.h"
#include "points.h"

#define QUARTER 65536U

/* From accept to close, with bytes that wait in between. */
static void
whole_life(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = points_open(p, client, backend);
	static char sent[QUARTER];
	static char heard[QUARTER];

	backend_check_pair(pair.client, pair.server);
	e2e_bytes(7, 0, sent, sizeof sent);
	net_send(pair.client, sent, sizeof sent);
	net_receive(pair.server, heard, sizeof heard);
	ck_assert_mem_eq(heard, sent, sizeof heard);
	shutdown(pair.client, SHUT_WR);
	net_expect_end(pair.server, NET_CLOSED);
	net_say(pair.server, "late answer");
	net_hear(pair.client, "late answer");
	close(pair.server);
	net_expect_end(pair.client, NET_CLOSED);
	close(pair.client);
}

/* Dialed in vain, then reset. */
static void
retry_and_reset(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair = {.client = points_connect(p, POINTS_RETRY)};

	(void)client;
	(void)backend;
	net_say(pair.client, "anybody?");
	pair.server = net_accept(p->listen_fd[SIDE_TCP]);
	net_hear(pair.server, "anybody?");
	net_reset(pair.client);
	net_expect_end(pair.server, NET_RESET);
	close(pair.server);
}

static void
enumerate(const char *name, points_play_fn *play, enum pair_side side)
{
	struct points p;

	if (!killer_can_trace())
		return;
	points_start(&p);
	points_enumerate_sweeps(&p, name, play, side, side);
	points_stop(&p);
}

START_TEST(tcp)
{
	enumerate("a whole life", whole_life, SIDE_TCP);
}
END_TEST

START_TEST(local)
{
	enumerate("a whole life", whole_life, SIDE_UNIX);
}
END_TEST

START_TEST(failed_dials)
{
	enumerate("retry and reset", retry_and_reset, SIDE_TCP);
}
END_TEST

E2E_MAIN("crash.sweep", tcp, local, failed_dials)
