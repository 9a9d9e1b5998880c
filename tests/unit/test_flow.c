/*
 * test_flow - one direction of a connection, between Unix-domain sockets.
 */
#include <sys/ioctl.h>

#include "tests/unit/flow_rig.h"

START_TEST(bytes_are_exact)
{
	const uint64_t total = 3 << 20;
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	while (rig.seen < total) {
		send_pattern(rig.in_fd, &rig.sent, total - rig.sent);
		(void)!rig_pump(&rig);
		ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen),
		    TAKEN_ALL);
	}
	ck_assert_uint_eq(rig.flow.moved, total);
	ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
	ck_assert_int_eq(rig.flow.pipe, 0);
	rig_close(&rig);
}
END_TEST

/* Each write is a buffer of its own: a pipe is full with far fewer bytes
 * than it can hold. */
START_TEST(one_byte_writes_are_exact)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 150; i++)
			send_pattern(rig.in_fd, &rig.sent, 1);
		while (rig.seen < rig.sent) {
			(void)!rig_pump(&rig);
			(void)take_pattern(rig.out_fd, &rig.seen);
		}
	}
	ck_assert_uint_eq(rig.seen, 3000);
	rig_close(&rig);
}
END_TEST

START_TEST(an_idle_flow_holds_no_pipe)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
	ck_assert_int_eq(rig.flow.pipe, 0);
	send_pattern(rig.in_fd, &rig.sent, 1000);
	ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
	ck_assert_int_eq(rig.flow.pipe, 0);
	ck_assert_int_eq(rig.pipes.free_count, 1);
	ck_assert_int_eq(rig.pipes.used, 1);
	rig_close(&rig);
}
END_TEST

/* A source that always has more yields, and goes on where it stopped. */
START_TEST(a_turn_ends_with_more_to_come)
{
	struct rig rig;
	uint16_t pipe = 0;

	rig_open(&rig, unix_pair, unix_pair);
	(void)close(rig.ends.sink_fd);
	rig.ends.sink_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	rig.ends.sink_is_socket = false;
	/* So that a turn is less than what a socket's buffer holds. */
	ck_assert(pipes_take(&rig.pipes, &pipe));
	rig_head.pipes[pipe - 1].bytes = 20000;
	pipes_give(&rig.pipes, &pipe);

	send_pattern(rig.in_fd, &rig.sent, 140000);
	ck_assert_uint_gt(rig.sent, 100000);
	ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
	ck_assert_uint_gt(rig.flow.moved, 0);
	ck_assert_uint_le(rig.flow.moved, 80000);
	ck_assert_int_eq(rig.flow.pipe, 0);
	for (int i = 0; i < 100 && rig.flow.moved < rig.sent; i++)
		ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
	ck_assert_uint_eq(rig.flow.moved, rig.sent);
	rig_close(&rig);
}
END_TEST

START_TEST(a_blocked_sink_is_waited_for)
{
	struct rig rig;
	uint64_t in_sink;

	rig_open(&rig, unix_pair, unix_pair);
	rig_fill_sink(&rig);
	in_sink = rig.sent;
	send_pattern(rig.in_fd, &rig.sent, 1000);
	ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	ck_assert_uint_eq(flow_pending(&rig.flow), 1000);
	ck_assert_uint_eq(rig.flow.moved, 0);
	ck_assert_int_ne(rig.flow.pipe, 0);
	ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);

	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_ALL);
	ck_assert_uint_eq(rig.seen, in_sink);
	ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_ALL);
	ck_assert_uint_eq(rig.seen, in_sink + 1000);
	ck_assert_int_eq(rig.flow.pipe, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(an_end_goes_on_after_the_last_byte)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	rig_fill_sink(&rig);
	send_pattern(rig.in_fd, &rig.sent, 100000);
	ck_assert_int_eq(shutdown(rig.in_fd, SHUT_WR), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	ck_assert_int_ne(rig.flow.state, FLOW_SHUT);

	rig_pump_until(&rig, FLOW_ENDED);
	ck_assert_int_eq(rig.flow.state, FLOW_SHUT);
	ck_assert_int_eq(rig.flow.pipe, 0);
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_END);
	ck_assert_uint_eq(rig.seen, rig.sent);
	/* Again is no harm. */
	ck_assert_int_eq(rig_pump(&rig), FLOW_ENDED);
	rig_close(&rig);
}
END_TEST

/* The other direction of a half-closed connection goes on. */
START_TEST(a_half_closed_connection_works)
{
	struct flow back = {0};
	struct flow_ends ends;
	struct rig rig;
	uint64_t sent = 0;
	uint64_t seen = 0;

	rig_open(&rig, unix_pair, unix_pair);
	send_pattern(rig.in_fd, &rig.sent, 10);
	ck_assert_int_eq(shutdown(rig.in_fd, SHUT_WR), 0);
	rig_pump_until(&rig, FLOW_ENDED);
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_END);

	ends = rig.ends;
	ends.source_fd = rig.ends.sink_fd;
	ends.sink_fd = rig.ends.source_fd;
	for (int i = 0; i < 5; i++) {
		send_pattern(rig.out_fd, &sent, 5000);
		ck_assert_int_eq(flow_pump(&back, &rig.pipes, &ends),
		    FLOW_IDLE);
		ck_assert_int_eq(take_pattern(rig.in_fd, &seen), TAKEN_ALL);
		ck_assert_uint_eq(seen, sent);
	}
	ck_assert_int_eq(shutdown(rig.out_fd, SHUT_WR), 0);
	ck_assert_int_eq(flow_pump(&back, &rig.pipes, &ends), FLOW_ENDED);
	ck_assert_int_eq(take_pattern(rig.in_fd, &seen), TAKEN_END);
	rig_close(&rig);
}
END_TEST

START_TEST(a_failed_sink_stops_the_flow)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	(void)close(rig.out_fd);
	send_pattern(rig.in_fd, &rig.sent, 1000);
	ck_assert_int_eq(rig_pump(&rig), FLOW_SINK_FAILED);
	ck_assert_uint_eq(flow_pending(&rig.flow), 1000);
	ck_assert_uint_eq(rig.flow.moved, 0);
	flow_abandon(&rig.flow, &rig.pipes);
	ck_assert_int_eq(rig.flow.state, FLOW_SHUT);
	ck_assert_int_eq(rig.pipes.used, 0);
	rig_close(&rig);
}
END_TEST

/* A Unix-domain peer that closes with unread bytes is a reset (unix(7)). */
START_TEST(a_reset_comes_after_the_bytes)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	ck_assert_int_eq(send(rig.ends.source_fd, "x", 1, 0), 1);
	send_pattern(rig.in_fd, &rig.sent, 50000);
	(void)close(rig.in_fd);
	rig_pump_until(&rig, FLOW_DRAINED);
	ck_assert_int_eq(rig.flow.state, FLOW_RESET);
	ck_assert_int_eq(rig.flow.pipe, 0);
	/* No end has been passed on: that is for who resets the sink. */
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_ALL);
	ck_assert_uint_eq(rig.seen, rig.sent);
	rig_close(&rig);
}
END_TEST

/* Its error has been told already: what looks like an end is a reset. */
START_TEST(an_end_of_a_failed_source_is_a_reset)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	rig.ends.source_failed = true;
	send_pattern(rig.in_fd, &rig.sent, 70000);
	(void)close(rig.in_fd);
	rig_pump_until(&rig, FLOW_DRAINED);
	ck_assert_int_eq(rig.flow.state, FLOW_RESET);
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_ALL);
	ck_assert_uint_eq(rig.seen, rig.sent);
	rig_close(&rig);
}
END_TEST

START_TEST(without_a_pipe_it_starves_and_loses_nothing)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	rig.pipes.max = 0;
	send_pattern(rig.in_fd, &rig.sent, 1000);
	ck_assert_int_eq(shutdown(rig.in_fd, SHUT_WR), 0);
	ck_assert_int_eq(rig_pump(&rig), FLOW_STARVED);
	ck_assert_int_eq(rig_pump(&rig), FLOW_STARVED);
	ck_assert_int_eq(rig.flow.state, FLOW_OPEN);
	rig.pipes.max = 1;
	rig_pump_until(&rig, FLOW_ENDED);
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_END);
	ck_assert_uint_eq(rig.seen, 1000);
	rig_close(&rig);
}
END_TEST

START_TEST(an_abandoned_flow_destroys_a_pipe_with_bytes)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	rig_fill_sink(&rig);
	send_pattern(rig.in_fd, &rig.sent, 1000);
	ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	ck_assert_int_eq(rig.pipes.used, 1);
	flow_abandon(&rig.flow, &rig.pipes);
	ck_assert_int_eq(rig.flow.state, FLOW_SHUT);
	ck_assert_int_eq(rig.flow.pipe, 0);
	ck_assert_uint_eq(flow_pending(&rig.flow), 0);
	ck_assert_int_eq(rig.pipes.used, 0);
	ck_assert_int_eq(rig.pipes.free_count, 0);
	ck_assert_int_eq(rig_head.pipes[0].state, PIPE_NONE);
	/* Twice is once. */
	flow_abandon(&rig.flow, &rig.pipes);
	ck_assert_int_eq(rig.flow.state, FLOW_SHUT);
	rig_close(&rig);
}
END_TEST

START_TEST(an_abandoned_flow_gives_an_empty_pipe_back)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	ck_assert(pipes_take(&rig.pipes, &rig.flow.pipe));
	flow_abandon(&rig.flow, &rig.pipes);
	ck_assert_int_eq(rig.flow.pipe, 0);
	ck_assert_int_eq(rig.pipes.used, 1);
	ck_assert_int_eq(rig.pipes.free_count, 1);
	ck_assert_int_eq(rig_head.pipes[0].state, PIPE_READY);
	rig_close(&rig);
}
END_TEST

START_TEST(dev_null_takes_it_all)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	(void)close(rig.ends.sink_fd);
	rig.ends.sink_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	rig.ends.sink_is_socket = false;
	send_pattern(rig.in_fd, &rig.sent, 100000);
	(void)close(rig.in_fd);
	rig_pump_until(&rig, FLOW_ENDED);
	ck_assert_uint_eq(rig.flow.moved, 100000);
	rig_close(&rig);
}
END_TEST

/* The worker died between a splice and what it wrote down of it: one of the
 * counts is behind. */
struct lag {
	uint64_t pulled;
	uint64_t moved;
};

START_TEST(bytes_in_the_pipe_are_found_again)
{
	static const struct lag lags[] = {
	    {0, 0}, {1000, 0}, {1, 0}, {0, 1}, {0, 999}, {0, 2000}};

	for (size_t i = 0; i < ARRAY_LEN(lags); i++) {
		struct rig rig;
		uint64_t in_sink;

		rig_open(&rig, unix_pair, unix_pair);
		send_pattern(rig.in_fd, &rig.sent, 2000);
		ck_assert_int_eq(rig_pump(&rig), FLOW_IDLE);
		rig_fill_sink(&rig);
		in_sink = rig.sent;
		send_pattern(rig.in_fd, &rig.sent, 1000);
		ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
		rig.flow.pulled -= lags[i].pulled;
		rig.flow.moved -= lags[i].moved;
		flow_recover(&rig.flow, &rig.pipes, &rig.ends);
		ck_assert_uint_eq(rig.flow.pulled, 3000);
		ck_assert_uint_eq(rig.flow.moved, 2000);
		send_pattern(rig.in_fd, &rig.sent, 1000);
		(void)shutdown(rig.in_fd, SHUT_WR);
		rig_pump_until(&rig, FLOW_ENDED);
		ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen),
		    TAKEN_END);
		ck_assert_uint_eq(rig.seen, in_sink + 2000);
		ck_assert_uint_eq(rig.flow.moved, 4000);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(an_empty_pipe_is_given_back_after_a_death)
{
	struct rig rig;

	rig_open(&rig, unix_pair, unix_pair);
	ck_assert(pipes_take(&rig.pipes, &rig.flow.pipe));
	rig.flow.pulled = rig.flow.moved + 77;
	rig.flow.at_mark = 1;
	flow_recover(&rig.flow, &rig.pipes, &rig.ends);
	ck_assert_int_eq(rig.flow.pipe, 0);
	ck_assert_uint_eq(flow_pending(&rig.flow), 0);
	ck_assert_int_eq(rig.flow.at_mark, 0);
	ck_assert_int_eq(rig.pipes.free_count, 1);

	/* Destroyed, and not yet written down as empty. */
	rig.flow.pulled = rig.flow.moved + 77;
	flow_recover(&rig.flow, &rig.pipes, &rig.ends);
	ck_assert_uint_eq(flow_pending(&rig.flow), 0);
	rig_close(&rig);
}
END_TEST

/* While pipes are few none is held for a sink that takes nothing. */
START_TEST(a_scarce_pipe_is_not_held)
{
	struct rig rig;
	uint16_t others[3] = {0};
	uint64_t in_sink;

	rig_open(&rig, unix_pair, unix_pair);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		ck_assert(pipes_take(&rig.pipes, &others[i]));
	ck_assert(pipes_are_scarce(&rig.pipes));
	rig_fill_sink(&rig);
	in_sink = rig.sent;
	send_pattern(rig.in_fd, &rig.sent, 50000);
	(void)shutdown(rig.in_fd, SHUT_WR);
	ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	ck_assert_int_eq(rig.flow.pipe, 0);
	ck_assert_int_eq(rig.flow.waits, 1);
	rig_pump_until(&rig, FLOW_ENDED);
	ck_assert_int_eq(rig.flow.waits, 0);
	ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen), TAKEN_END);
	ck_assert_uint_eq(rig.seen, in_sink + 50000);
	ck_assert_uint_eq(rig.flow.moved, 50000);
	rig_close(&rig);
}
END_TEST

UNIT_MAIN("flow", bytes_are_exact, one_byte_writes_are_exact,
    an_idle_flow_holds_no_pipe, a_turn_ends_with_more_to_come,
    a_blocked_sink_is_waited_for, an_end_goes_on_after_the_last_byte,
    a_half_closed_connection_works, a_failed_sink_stops_the_flow,
    a_reset_comes_after_the_bytes, an_end_of_a_failed_source_is_a_reset,
    without_a_pipe_it_starves_and_loses_nothing,
    an_abandoned_flow_destroys_a_pipe_with_bytes,
    an_abandoned_flow_gives_an_empty_pipe_back, dev_null_takes_it_all,
    bytes_in_the_pipe_are_found_again,
    an_empty_pipe_is_given_back_after_a_death, a_scarce_pipe_is_not_held)
