/*
 * moved - connections that are at something when they are handed over; see
 * moved.h.
 */
#include "moved.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"
#include "harness.h"
#include "net.h"

/* More than the socket buffers on the way take while nobody reads. */
#define FULL_BYTES (8U << 20)

/* Send as much as goes, until nothing has for a moment. */
static void
fill(struct moved *moved, size_t max)
{
	static char data[65536];
	struct pollfd pfd = {.fd = moved->pair.client, .events = POLLOUT};

	while (moved->sent < max && poll(&pfd, 1, 5) == 1) {
		size_t length = max - moved->sent < sizeof data
		    ? max - moved->sent
		    : sizeof data;
		ssize_t n;

		e2e_bytes(moved->seed, moved->sent, data, length);
		n = send(pfd.fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s",
		    strerror(errno));
		moved->sent += n > 0 ? (size_t)n : 0;
	}
}

static void
expect_all(const struct moved *moved, int fd)
{
	enum net_end end;
	size_t received = pair_drain(fd, moved->seed, &end);

	ck_assert_msg(received == moved->sent && end == NET_CLOSED,
	    "%s: %zu bytes of %zu, then %s", moved->does->name, received,
	    moved->sent, net_end_word(end));
}

static void
finish(struct moved *moved)
{
	close(moved->pair.server);
	net_expect_end(moved->pair.client, NET_CLOSED);
	close(moved->pair.client);
}

static void
be_idle(struct moved *moved)
{
	backend_check_pair(moved->pair.client, moved->pair.server);
}

static void
after_idle(struct moved *moved)
{
	backend_check_pair(moved->pair.client, moved->pair.server);
	finish(moved);
}

static void
end_up(struct moved *moved)
{
	net_say(moved->pair.client, "question");
	shutdown(moved->pair.client, SHUT_WR);
	net_hear(moved->pair.server, "question");
	net_expect_end(moved->pair.server, NET_CLOSED);
}

static void
answer_late(struct moved *moved)
{
	net_say(moved->pair.server, "late answer");
	net_hear(moved->pair.client, "late answer");
	finish(moved);
}

static void
end_down(struct moved *moved)
{
	net_say(moved->pair.server, "welcome");
	shutdown(moved->pair.server, SHUT_WR);
	net_hear(moved->pair.client, "welcome");
	net_expect_end(moved->pair.client, NET_CLOSED);
}

static void
ask_late(struct moved *moved)
{
	net_say(moved->pair.client, "late question");
	net_hear(moved->pair.server, "late question");
	shutdown(moved->pair.client, SHUT_WR);
	net_expect_end(moved->pair.server, NET_CLOSED);
	close(moved->pair.server);
	close(moved->pair.client);
}

static void
fill_up(struct moved *moved)
{
	fill(moved, FULL_BYTES);
}

static void
drain_up(struct moved *moved)
{
	shutdown(moved->pair.client, SHUT_WR);
	expect_all(moved, moved->pair.server);
	finish(moved);
}

static void
fill_and_end(struct moved *moved)
{
	fill(moved, FULL_BYTES);
	shutdown(moved->pair.client, SHUT_WR);
}

static void
fill_and_reset(struct moved *moved)
{
	fill(moved, FULL_BYTES);
	net_reset(moved->pair.client);
}

/* What was not received before the reset is lost with it. */
static void
expect_reset(struct moved *moved)
{
	enum net_end end;
	size_t received = pair_drain(moved->pair.server, moved->seed, &end);

	ck_assert_uint_gt(received, 0);
	ck_assert_int_ne(end, NET_OPEN);
	if (moved->client == SIDE_TCP && moved->backend == SIDE_TCP)
		ck_assert_int_eq(end, NET_RESET);
	close(moved->pair.server);
}

static void
send_urgent(int fd, bool is_tcp)
{
	net_say(fd, "before");
	ck_assert_int_eq(send(fd, "!", 1, is_tcp ? MSG_OOB : 0), 1);
	net_say(fd, "after");
}

static void
be_urgent(struct moved *moved)
{
	send_urgent(moved->pair.client, moved->client == SIDE_TCP);
}

static void
after_urgent(struct moved *moved)
{
	net_hear(moved->pair.server, "before!after");
	send_urgent(moved->pair.client, moved->client == SIDE_TCP);
	net_hear(moved->pair.server, "before!after");
	finish(moved);
}

static void
fill_echo(struct moved *moved)
{
	fill(moved, FULL_BYTES);
}

static void
drain_echo(struct moved *moved)
{
	shutdown(moved->pair.client, SHUT_WR);
	expect_all(moved, moved->pair.client);
	close(moved->pair.client);
}

const struct behaviour moved_behaviours[MOVED_BEHAVIOURS] = {
    {"idle", be_idle, after_idle, false},
    {"ended upwards", end_up, answer_late, false},
    {"ended downwards", end_down, ask_late, false},
    {"full", fill_up, drain_up, false},
    {"full, and ended", fill_and_end, drain_up, false},
    {"full, and reset", fill_and_reset, expect_reset, false},
    {"urgent", be_urgent, after_urgent, false},
    {"full echo", fill_echo, drain_echo, true},
};
