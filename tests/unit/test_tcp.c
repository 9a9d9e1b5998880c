/*
 * test_tcp - what the kernel tells of a TCP socket; keys of epoll's events.
 */
#include <fcntl.h>
#include <sys/epoll.h>

#include "server/state/board.h"
#include "server/state/body.h"
#include "server/worker/poller.h"
#include "server/worker/tcp.h"
#include "tests/unit/sockets.h"

START_TEST(bytes_are_told)
{
	struct tcp_facts facts;
	uint64_t sent = 0;
	int fds[2];
	char byte;

	tcp_pair(fds);
	send_pattern(fds[0], &sent, 1000);
	await(fds[1], POLLIN);
	ck_assert(tcp_ask(fds[1], &facts));
	ck_assert(!facts.is_closed && !facts.is_dialing);
	ck_assert_uint_eq(facts.received, 1000);
	ck_assert_uint_eq(facts.unread, 1000);
	ck_assert_int_eq(recv(fds[1], &byte, 1, 0), 1);
	(void)shutdown(fds[0], SHUT_WR);
	await(fds[1], POLLRDHUP);
	ck_assert(tcp_ask(fds[1], &facts));
	/* The FIN is one more, and not to be read. */
	ck_assert_uint_eq(facts.received, 1001);
	ck_assert_uint_eq(facts.unread, 999);
	/* Its own acknowledgement may take a moment. */
	for (int i = 0; i < 100 && tcp_unacked(fds[0]) > 0; i++)
		(void)poll(NULL, 0, 10);
	ck_assert_uint_eq(tcp_unacked(fds[0]), 0);
}
END_TEST

START_TEST(a_reset_is_a_closed_socket)
{
	struct tcp_facts facts;
	int fds[2];

	tcp_pair(fds);
	reset_peer(fds[0]);
	await(fds[1], POLLERR);
	ck_assert(tcp_ask(fds[1], &facts));
	ck_assert(facts.is_closed);
}
END_TEST

START_TEST(what_is_not_acknowledged_is_counted)
{
	uint64_t sent = 0;
	uint64_t before;
	int fds[2];

	tcp_pair(fds);
	do {
		before = sent;
		send_pattern(fds[0], &sent, 1 << 26);
		(void)poll(NULL, 0, 5);
	} while (sent != before);
	ck_assert_uint_gt(tcp_unacked(fds[0]), 0);
	ck_assert_uint_eq(tcp_unacked(-1), 0);
}
END_TEST

START_TEST(others_are_no_tcp_sockets)
{
	struct tcp_facts facts;
	int fds[2];

	unix_pair(fds);
	ck_assert(!tcp_ask(fds[0], &facts));
	ck_assert(!tcp_ask(-1, &facts));
}
END_TEST

/* A key comes back as what it was made of. */
static struct poller_event
through_epoll(uint64_t key)
{
	int fds[2];
	int rc;

	unix_pair(fds);
	/* Out of the way of the fixed numbers. */
	rc = fcntl(fds[0], F_DUPFD_CLOEXEC, 50);
	ck_assert_int_ge(fcntl(fds[1], F_DUPFD_CLOEXEC, 50), 0);
	ck_assert_int_eq(dup2(epoll_create1(EPOLL_CLOEXEC), BODY_FD_EPOLL),
	    BODY_FD_EPOLL);
	ck_assert_int_eq(poller_add(rc, key, EPOLLOUT), 0);
	ck_assert_int_eq(poller_wait(1000), 1);
	return poller_event(0);
}

START_TEST(a_key_tells_what_it_is_about)
{
	static const uint64_t ids[] = {
	    1, 129, (1ULL << 40) - 1, (1ULL << 40) + 1, UINT64_MAX};
	struct poller_event event;

	for (size_t i = 0; i < 2 * ARRAY_LEN(ids); i++) {
		uint32_t slot = i % 3 == 0 ? BODY_SLOTS_MAX - 1 : (uint32_t)i;
		enum side side = i % 2 == 0 ? SIDE_CLIENT : SIDE_BACKEND;
		uint64_t id = ids[i / 2];

		event = through_epoll(poller_key_conn(id, slot, side));
		ck_assert_int_eq(event.kind, POLLER_CONN);
		ck_assert_uint_eq(event.number, slot);
		ck_assert_int_eq(event.side, side);
		ck_assert(poller_is_for(&event, id));
		ck_assert(!poller_is_for(&event, id + 1));
		ck_assert(!poller_is_for(&event, id + BOARD_ROWS));
		ck_assert_uint_eq(event.events, EPOLLOUT);
	}
	event = through_epoll(poller_key_listener(BODY_LISTENERS_MAX - 1));
	ck_assert_int_eq(event.kind, POLLER_LISTENER);
	ck_assert_uint_eq(event.number, BODY_LISTENERS_MAX - 1);
	event = through_epoll(poller_key_listener(0));
	ck_assert_int_eq(event.kind, POLLER_LISTENER);
	event = through_epoll(poller_key_single(POLLER_CHANNEL));
	ck_assert_int_eq(event.kind, POLLER_CHANNEL);
}
END_TEST

UNIT_MAIN("tcp", bytes_are_told, a_reset_is_a_closed_socket,
    what_is_not_acknowledged_is_counted, others_are_no_tcp_sockets,
    a_key_tells_what_it_is_about)
