/*
 * Resets are passed on as resets, after all that was received before them; a
 * clean end stays a clean end.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"
#include "pair.h"

#define MIB      ((size_t)1 << 20)
#define PLENTY   (64 * MIB)
#define SEED_ONE 1
#define SEED_TWO 2

/*
 * from has written until nothing moved, and resets: to must get all that left
 * from's hands, then the end.
 */
static void
reset_with_bytes_queued(int from, int to, enum net_end expected)
{
	size_t acked;
	size_t written = pair_fill(from, SEED_ONE, PLENTY, &acked);
	size_t received;
	enum net_end end;

	ck_assert_msg(acked > 300000 && written < PLENTY,
	    "only %zu of %zu bytes queued", acked, written);
	net_reset(from);
	received = pair_drain(to, SEED_ONE, &end);
	ck_assert_msg(received >= acked && received <= written,
	    "%zu bytes came of the %zu that were received before the reset",
	    received, acked);
	ck_assert_msg(end == expected, "then the connection was %s, not %s",
	    net_end_word(end), net_end_word(expected));
}

START_TEST(tcp_client_resets)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	reset_with_bytes_queued(p.client, p.server, NET_RESET);
	close(p.server);
	pair_stop(&f);
}
END_TEST

START_TEST(tcp_backend_resets)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	reset_with_bytes_queued(p.server, p.client, NET_RESET);
	close(p.client);
	pair_stop(&f);
}
END_TEST

START_TEST(both_ways_full)
{
	struct pair_fixture f;
	struct pair p;
	size_t acked;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	(void)pair_fill(p.server, SEED_TWO, PLENTY, &acked);
	reset_with_bytes_queued(p.client, p.server, NET_RESET);
	close(p.server);
	pair_stop(&f);
}
END_TEST

START_TEST(idle_connections_reset)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	net_reset(p.client);
	net_expect_end(p.server, NET_RESET);
	close(p.server);

	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	net_say(p.client, "question");
	net_hear(p.server, "question");
	net_reset(p.server);
	net_expect_end(p.client, NET_RESET);
	close(p.client);
	pair_stop(&f);
}
END_TEST

/* One direction has ended cleanly; the other is reset later. */
START_TEST(reset_after_half_close)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	shutdown(p.client, SHUT_WR);
	net_expect_end(p.server, NET_CLOSED);
	reset_with_bytes_queued(p.server, p.client, NET_RESET);
	close(p.client);
	pair_stop(&f);
}
END_TEST

/* AF_UNIX knows no reset: both directions are closed. */
START_TEST(tcp_reset_towards_unix)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_UNIX);
	reset_with_bytes_queued(p.client, p.server, NET_CLOSED);
	ck_assert_int_eq(send(p.server, "x", 1, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(p.server);

	p = pair_open(&f, SIDE_UNIX, SIDE_TCP);
	reset_with_bytes_queued(p.server, p.client, NET_CLOSED);
	ck_assert_int_eq(send(p.client, "x", 1, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(p.client);
	pair_stop(&f);
}
END_TEST

/* A Unix-domain peer that closes with bytes unread is ECONNRESET to the
 * gateway, and a reset to its TCP peer, after what it said before. */
START_TEST(unix_reset_towards_tcp)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_UNIX);
	net_say(p.client, "never read");
	ck_assert(!net_is_silent(p.server, NET_TIMEOUT_MS));
	net_say(p.server, "answer");
	close(p.server);
	net_hear(p.client, "answer");
	net_expect_end(p.client, NET_RESET);
	close(p.client);

	p = pair_open(&f, SIDE_UNIX, SIDE_TCP);
	net_say(p.server, "never read");
	ck_assert(!net_is_silent(p.client, NET_TIMEOUT_MS));
	net_say(p.client, "question");
	close(p.client);
	net_hear(p.server, "question");
	net_expect_end(p.server, NET_RESET);
	close(p.server);
	pair_stop(&f);
}
END_TEST

START_TEST(unix_reset_towards_unix)
{
	struct pair_fixture f;
	struct pair p;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_UNIX, SIDE_UNIX);
	net_say(p.client, "never read");
	ck_assert(!net_is_silent(p.server, NET_TIMEOUT_MS));
	close(p.server);
	net_expect_end(p.client, NET_CLOSED);
	close(p.client);
	pair_stop(&f);
}
END_TEST

/* Megabytes, then a plain close: every byte, then a clean end. */
static void
clean_end(struct pair_fixture *f, enum pair_side client, enum pair_side backend)
{
	struct pair p = pair_open(f, client, backend);
	size_t acked;
	size_t written = pair_fill(p.server, SEED_ONE, PLENTY, &acked);
	enum net_end end;

	close(p.server);
	ck_assert_uint_eq(pair_drain(p.client, SEED_ONE, &end), written);
	ck_assert_msg(end == NET_CLOSED, "a clean end came as %s",
	    net_end_word(end));
	close(p.client);
}

START_TEST(clean_ends_are_clean)
{
	struct pair_fixture f;

	pair_start(&f, "");
	clean_end(&f, SIDE_TCP, SIDE_TCP);
	clean_end(&f, SIDE_TCP, SIDE_UNIX);
	clean_end(&f, SIDE_UNIX, SIDE_TCP);
	clean_end(&f, SIDE_UNIX, SIDE_UNIX);
	pair_stop(&f);
}
END_TEST

/*
 * The client sends and closes; an answer to it makes its kernel send a reset.
 * What it had sent, and ended, must arrive all the same.
 */
START_TEST(reset_after_clean_end_discards_nothing)
{
	struct pair_fixture f;
	struct pair p;
	size_t acked;
	size_t written;
	enum net_end end;

	pair_start(&f, "");
	p = pair_open(&f, SIDE_TCP, SIDE_TCP);
	written = pair_fill(p.client, SEED_ONE, MIB / 4, &acked);
	ck_assert_msg(acked == written, "%zu of %zu bytes acknowledged", acked,
	    written);
	close(p.client);
	net_say(p.server, "an answer that nobody reads");
	e2e_pause(100); /* for the reset to come back to the gateway */
	ck_assert_uint_eq(pair_drain(p.server, SEED_ONE, &end), written);
	ck_assert_msg(end != NET_OPEN, "the connection does not end");
	close(p.server);
	pair_stop(&f);
}
END_TEST

E2E_MAIN("reset", tcp_client_resets, tcp_backend_resets, both_ways_full,
    idle_connections_reset, reset_after_half_close, tcp_reset_towards_unix,
    unix_reset_towards_tcp, unix_reset_towards_unix, clean_ends_are_clean,
    reset_after_clean_end_discards_nothing)
