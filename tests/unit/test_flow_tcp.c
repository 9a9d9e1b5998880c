/*
 * test_flow_tcp - flows between TCP sockets: resets and urgent bytes.
 */
#include <sys/ioctl.h>

#include "tests/unit/flow_rig.h"

START_TEST(bytes_are_exact)
{
	static pair_fn *const pairs[][2] = {
	    {tcp_pair, tcp_pair},
	    {tcp_pair, unix_pair},
	    {unix_pair, tcp_pair},
	};
	const uint64_t total = 4 << 20;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct rig rig;

		rig_open(&rig, pairs[i][0], pairs[i][1]);
		while (rig.seen < total) {
			send_pattern(rig.in_fd, &rig.sent, total - rig.sent);
			(void)!rig_pump(&rig);
			ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen),
			    TAKEN_ALL);
		}
		(void)shutdown(rig.in_fd, SHUT_WR);
		await(rig.ends.source_fd, POLLRDHUP);
		rig_pump_until(&rig, FLOW_ENDED);
		await(rig.out_fd, POLLIN);
		ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen),
		    TAKEN_END);
		ck_assert_uint_eq(rig.seen, total);
		ck_assert_uint_eq(rig.flow.moved, total);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(an_end_goes_on_after_the_last_byte)
{
	struct rig rig;

	rig_open(&rig, tcp_pair, tcp_pair);
	rig_fill_sink(&rig);
	send_pattern(rig.in_fd, &rig.sent, 100000);
	ck_assert_int_eq(shutdown(rig.in_fd, SHUT_WR), 0);
	await(rig.ends.source_fd, POLLRDHUP);
	rig.ends.source_is_over = true;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	ck_assert_int_ne(rig.flow.state, FLOW_SHUT);
	rig_pump_until(&rig, FLOW_ENDED);
	while (take_pattern(rig.out_fd, &rig.seen) != TAKEN_END)
		await(rig.out_fd, POLLIN);
	ck_assert_uint_eq(rig.seen, rig.sent);
	rig_close(&rig);
}
END_TEST

START_TEST(a_reset_comes_after_the_bytes)
{
	struct rig rig;

	rig_open(&rig, tcp_pair, tcp_pair);
	send_pattern(rig.in_fd, &rig.sent, 60000);
	await(rig.ends.source_fd, POLLIN);
	reset_peer(rig.in_fd);
	rig.in_fd = -1;
	await(rig.ends.source_fd, POLLERR);
	rig_pump_until(&rig, FLOW_DRAINED);
	ck_assert_int_eq(rig.flow.state, FLOW_RESET);
	ck_assert_int_eq(rig.flow.pipe, 0);
	while (rig.seen < rig.sent) {
		await(rig.out_fd, POLLIN);
		ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen),
		    TAKEN_ALL);
	}
	ck_assert(!has_ended(rig.out_fd));
	rig_close(&rig);
}
END_TEST

/* The same with the sink full: the bytes before the reset wait. */
START_TEST(a_reset_waits_for_a_blocked_sink)
{
	struct rig rig;

	rig_open(&rig, tcp_pair, tcp_pair);
	rig_fill_sink(&rig);
	send_pattern(rig.in_fd, &rig.sent, 60000);
	await(rig.ends.source_fd, POLLIN);
	reset_peer(rig.in_fd);
	rig.in_fd = -1;
	await(rig.ends.source_fd, POLLERR);
	ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	ck_assert_int_eq(rig_pump(&rig), FLOW_BLOCKED);
	rig_pump_until(&rig, FLOW_DRAINED);
	while (rig.seen < rig.sent) {
		await(rig.out_fd, POLLIN);
		ck_assert_int_eq(take_pattern(rig.out_fd, &rig.seen),
		    TAKEN_ALL);
	}
	rig_close(&rig);
}
END_TEST

/* The error is told once: if somebody has asked, an end is a reset. */
START_TEST(a_reset_that_was_told_is_no_end)
{
	struct rig rig;
	int error = 0;
	socklen_t length = sizeof(error);

	rig_open(&rig, tcp_pair, tcp_pair);
	send_pattern(rig.in_fd, &rig.sent, 60000);
	await(rig.ends.source_fd, POLLIN);
	reset_peer(rig.in_fd);
	rig.in_fd = -1;
	await(rig.ends.source_fd, POLLERR);
	ck_assert_int_eq(getsockopt(rig.ends.source_fd, SOL_SOCKET, SO_ERROR,
			     &error, &length),
	    0);
	ck_assert_int_eq(error, ECONNRESET);
	rig.ends.source_failed = true;
	rig_pump_until(&rig, FLOW_DRAINED);
	ck_assert_uint_eq(rig.flow.moved, rig.sent);
	rig_close(&rig);
}
END_TEST

START_TEST(a_reset_sink_stops_the_flow)
{
	struct rig rig;

	rig_open(&rig, tcp_pair, tcp_pair);
	reset_peer(rig.out_fd);
	rig.out_fd = -1;
	await(rig.ends.sink_fd, POLLERR);
	send_pattern(rig.in_fd, &rig.sent, 1000);
	await(rig.ends.source_fd, POLLIN);
	ck_assert_int_eq(rig_pump(&rig), FLOW_SINK_FAILED);
	rig_close(&rig);
}
END_TEST

/* Urgent data */

struct urgent_case {
	uint64_t before; /* bytes before the urgent one */
	uint64_t after;
	bool has_fin;
};

static const struct urgent_case urgent_cases[] = {
    {0, 0, false},
    {0, 5000, false},
    {5000, 0, false},
    {5000, 5000, false},
    {0, 0, true},
    {0, 5000, true},
    {5000, 0, true},
    {5000, 5000, true},
    {30000, 30000, true},
    {1, 1, true},
};

/* One byte of the pattern, sent as urgent. */
static void
send_urgent(struct rig *rig)
{
	char byte = pattern_at(rig->sent);

	ck_assert_int_eq(send(rig->in_fd, &byte, 1, MSG_OOB), 1);
	rig->sent++;
}

static void
send_case(struct rig *rig, const struct urgent_case *c)
{
	send_pattern(rig->in_fd, &rig->sent, c->before);
	send_urgent(rig);
	send_pattern(rig->in_fd, &rig->sent, c->after);
	ck_assert_uint_eq(rig->sent, c->before + 1 + c->after);
	if (c->has_fin)
		ck_assert_int_eq(shutdown(rig->in_fd, SHUT_WR), 0);
	await(rig->ends.source_fd, c->has_fin ? POLLRDHUP : POLLPRI);
}

static void
expect_case(struct rig *rig, const struct urgent_case *c)
{
	if (c->has_fin)
		rig_pump_until(rig, FLOW_ENDED);
	while (rig->seen < rig->sent) {
		(void)!rig_pump(rig);
		(void)poll(NULL, 0, 1);
		(void)take_pattern(rig->out_fd, &rig->seen);
	}
	ck_assert_uint_eq(rig->flow.moved, rig->sent);
	if (!c->has_fin) {
		ck_assert_int_eq(rig_pump(rig), FLOW_IDLE);
		ck_assert_int_eq(rig->flow.state, FLOW_OPEN);
		return;
	}
	await(rig->out_fd, POLLIN);
	ck_assert_int_eq(take_pattern(rig->out_fd, &rig->seen), TAKEN_END);
	ck_assert_uint_eq(rig->seen, rig->sent);
}

START_TEST(urgent_bytes_stay_in_the_stream)
{
	for (size_t i = 0; i < ARRAY_LEN(urgent_cases); i++) {
		struct rig rig;

		rig_open(&rig, tcp_pair, i % 2 == 0 ? tcp_pair : unix_pair);
		send_case(&rig, &urgent_cases[i]);
		rig.ends.source_is_urgent = true;
		expect_case(&rig, &urgent_cases[i]);
		rig_close(&rig);
	}
}
END_TEST

/* A turn without the hint may stop at the mark, but must lose nothing and
 * end nothing; the hint comes with the next event. */
START_TEST(without_the_hint_nothing_is_lost)
{
	for (size_t i = 0; i < ARRAY_LEN(urgent_cases); i++) {
		const struct urgent_case *c = &urgent_cases[i];
		struct rig rig;

		rig_open(&rig, tcp_pair, tcp_pair);
		send_case(&rig, c);
		for (int n = 0; n < 20; n++)
			(void)!rig_pump(&rig);
		if (rig.flow.state == FLOW_SHUT)
			ck_assert_uint_eq(rig.flow.moved, rig.sent);
		else
			ck_assert_int_eq(rig.flow.state, FLOW_OPEN);
		rig.ends.source_is_urgent = true;
		expect_case(&rig, c);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(several_urgent_bytes_stay_in_the_stream)
{
	struct rig rig;

	rig_open(&rig, tcp_pair, tcp_pair);
	rig.ends.source_is_urgent = true;
	for (int i = 0; i < 200; i++) {
		send_pattern(rig.in_fd, &rig.sent, (size_t)(i % 3) * 100);
		send_urgent(&rig);
		if (i % 5 == 0)
			(void)!rig_pump(&rig);
	}
	(void)shutdown(rig.in_fd, SHUT_WR);
	await(rig.ends.source_fd, POLLRDHUP);
	rig_pump_until(&rig, FLOW_ENDED);
	while (take_pattern(rig.out_fd, &rig.seen) != TAKEN_END)
		await(rig.out_fd, POLLIN);
	ck_assert_uint_eq(rig.seen, rig.sent);
	rig_close(&rig);
}
END_TEST

/* What broke: the error that splice(2) tells at the mark was taken for all that
 * was left, and the bytes from there on were lost. */
START_TEST(a_reset_comes_after_urgent_bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(urgent_cases); i++) {
		const struct urgent_case *c = &urgent_cases[i];
		struct rig rig;

		if (c->has_fin)
			continue;
		rig_open(&rig, tcp_pair, i % 2 == 0 ? tcp_pair : unix_pair);
		send_case(&rig, c);
		reset_peer(rig.in_fd);
		rig.in_fd = -1;
		await(rig.ends.source_fd, POLLERR);
		rig.ends.source_is_urgent = true;
		rig_pump_until(&rig, FLOW_SOURCE_FAILED);
		rig.ends.source_failed = true;
		rig_pump_until(&rig, FLOW_DRAINED);
		ck_assert_int_eq(rig.flow.state, FLOW_RESET);
		ck_assert_uint_eq(rig.flow.moved, rig.sent);
		rig_close(&rig);
	}
}
END_TEST

/* The stages in which a worker can die with the urgent byte in its hand. */
enum stage {
	STAGE_NOTED,    /* at_mark is set */
	STAGE_PIPED,    /* the byte is in the pipe, and in the socket */
	STAGE_CONSUMED, /* it is in the pipe only */
	STAGE_PENDING,  /* pending is written down */
	STAGES
};

static void
die_at_mark(struct rig *rig, enum stage stage)
{
	int fd = rig->ends.source_fd;
	char byte;

	if (rig->flow.pipe == 0)
		ck_assert(pipes_take(&rig->pipes, &rig->flow.pipe));
	rig->flow.at_mark = 1;
	if (stage == STAGE_NOTED)
		return;
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_PEEK), 1);
	ck_assert_int_eq(write(rig_head.pipes[rig->flow.pipe - 1].fd[1], &byte,
			     1),
	    1);
	if (stage == STAGE_PIPED)
		return;
	ck_assert_int_eq(recv(fd, &byte, 1, 0), 1);
	if (stage == STAGE_PENDING)
		rig->flow.pulled = rig->flow.moved + 1;
}

/* Move exactly the bytes before the mark, and nothing at it. */
static void
pump_to_mark(struct rig *rig, const struct urgent_case *c)
{
	uint16_t pipe = 0;
	int mark = 0;

	ck_assert(pipes_take(&rig->pipes, &pipe));
	pipes_give(&rig->pipes, &pipe);
	while (rig->flow.moved < c->before) {
		rig_head.pipes[0].bytes =
		    (uint32_t)(c->before - rig->flow.moved);
		(void)!rig_pump(rig);
		(void)take_pattern(rig->out_fd, &rig->seen);
		if (rig->flow.moved > c->before)
			return;
	}
	rig_head.pipes[0].bytes = PIPES_BYTES;
	ck_assert_int_eq(rig->flow.state, FLOW_OPEN);
	ck_assert_int_eq(ioctl(rig->ends.source_fd, SIOCATMARK, &mark), 0);
	ck_assert_int_eq(mark, 1);
}

START_TEST(a_death_at_the_mark_is_made_good)
{
	unsigned tried = 0;

	for (size_t i = 0; i < ARRAY_LEN(urgent_cases) * STAGES; i++) {
		const struct urgent_case *c = &urgent_cases[i / STAGES];
		struct rig rig;

		rig_open(&rig, tcp_pair, tcp_pair);
		send_case(&rig, c);
		pump_to_mark(&rig, c);
		if (rig.flow.moved == c->before) {
			die_at_mark(&rig, (enum stage)(i % STAGES));
			rig.ends.source_is_urgent = true;
			flow_recover(&rig.flow, &rig.pipes, &rig.ends);
			ck_assert_int_eq(rig.flow.at_mark, 0);
			expect_case(&rig, c);
			tried++;
		}
		rig_close(&rig);
	}
	ck_assert_uint_ge(tried, (size_t)4 * STAGES);
}
END_TEST

UNIT_MAIN("flow_tcp", bytes_are_exact, an_end_goes_on_after_the_last_byte,
    a_reset_comes_after_the_bytes, a_reset_waits_for_a_blocked_sink,
    a_reset_that_was_told_is_no_end, a_reset_sink_stops_the_flow,
    urgent_bytes_stay_in_the_stream, without_the_hint_nothing_is_lost,
    several_urgent_bytes_stay_in_the_stream, a_reset_comes_after_urgent_bytes,
    a_death_at_the_mark_is_made_good)
