/*
 * flow_rig - one flow between two pairs of sockets:
 *
 *	in -> [source -> flow -> sink] -> out
 */
#ifndef SRVD_TESTS_FLOW_RIG_H
#define SRVD_TESTS_FLOW_RIG_H

#include <fcntl.h>
#include <signal.h>

#include "server/worker/flow.h"
#include "tests/unit/sockets.h"

struct rig {
	struct pipes pipes;
	struct flow flow;
	struct flow_ends ends;
	int in_fd;
	int out_fd;
	uint64_t sent; /* into in */
	uint64_t seen; /* out of out */
};

static struct body_head rig_head;

typedef void pair_fn(int fds[2]);

static inline void
rig_open(struct rig *rig, pair_fn *source_pair, pair_fn *sink_pair)
{
	int source[2];
	int sink[2];

	(void)signal(SIGPIPE, SIG_IGN);
	memset(rig, 0, sizeof(*rig));
	memset(&rig_head, 0, sizeof(rig_head));
	rig_head.pipes_max = 4;
	pipes_init(&rig->pipes, &rig_head);
	source_pair(source);
	sink_pair(sink);
	rig->in_fd = source[0];
	rig->out_fd = sink[1];
	rig->ends.source_fd = source[1];
	rig->ends.sink_fd = sink[0];
	rig->ends.source_is_tcp = source_pair == tcp_pair;
	rig->ends.sink_is_socket = true;
	ck_assert_int_eq(fcntl(sink[0], F_SETFL, O_NONBLOCK), 0);
}

static inline void
rig_close(struct rig *rig)
{
	flow_abandon(&rig->flow, &rig->pipes);
	for (uint32_t i = 0; i < rig_head.pipes_max; i++) {
		if (rig_head.pipes[i].state != PIPE_READY)
			continue;
		(void)close(rig_head.pipes[i].fd[0]);
		(void)close(rig_head.pipes[i].fd[1]);
	}
	(void)close(rig->ends.source_fd);
	(void)close(rig->ends.sink_fd);
	(void)close(rig->in_fd);
	(void)close(rig->out_fd);
}

static inline enum flow_result
rig_pump(struct rig *rig)
{
	enum flow_result result =
	    flow_pump(&rig->flow, &rig->pipes, &rig->ends);

	/* F3, and that pending is what a pipe is held for. */
	ck_assert_int_eq(rig->flow.pipe != 0, flow_pending(&rig->flow) != 0);
	return result;
}

/* Pump and read until the flow says so, everything in time and exact. */
static inline void
rig_pump_until(struct rig *rig, enum flow_result wanted)
{
	enum flow_result result = rig_pump(rig);

	for (int i = 0; result != wanted && i < 10000; i++) {
		(void)take_pattern(rig->out_fd, &rig->seen);
		result = rig_pump(rig);
	}
	ck_assert_int_eq(result, wanted);
}

/* Fill the sink until it takes no more: with the pattern, from the start. */
static inline void
rig_fill_sink(struct rig *rig)
{
	static const int bytes = 32768;
	uint64_t before;

	/* A buffer of a set size: the kernel makes others larger as it sees
	 * fit, at any later time. */
	ck_assert_int_eq(setsockopt(rig->ends.sink_fd, SOL_SOCKET, SO_SNDBUF,
			     &bytes, sizeof(bytes)),
	    0);
	ck_assert_int_eq(setsockopt(rig->out_fd, SOL_SOCKET, SO_RCVBUF, &bytes,
			     sizeof(bytes)),
	    0);
	/* What is on its way makes room once more. */
	do {
		before = rig->sent;
		send_pattern(rig->ends.sink_fd, &rig->sent, 1 << 26);
		(void)poll(NULL, 0, 5);
	} while (rig->sent != before);
}

/* Has the end of the stream come, with nothing left before it? */
static inline bool
has_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

#endif
