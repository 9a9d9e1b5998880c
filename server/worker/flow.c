/*
 * flow - one direction of a relayed connection; see flow.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/worker/flow.h"

/* A turn is over after so many fillings of the pipe: others wait. */
#define TURN_FILLS 4

/* A source that gave less than this has most likely nothing more just now;
 * asking would cost a call, and level-triggered epoll asks for free. */
#define LIKELY_MORE UINT64_C(16384)

/* While pipes are scarce one is taken only for what the sink is sure to take
 * at once: a socket that poll(2) calls writable has more room than this. */
#define SURE_BYTES 4096

#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

enum step {
	STEP_ON,
	STEP_EMPTY,
	STEP_WOULD_BLOCK,
	STEP_FAILED,
	STEP_TOLD
};

static int
pipe_fd(const struct pipes *pipes, const struct flow *flow, int end)
{
	return pipes->table[flow->pipe - 1].fd[end];
}

/* Pipe to sink, until the pipe is empty. */
static enum step
push(struct flow *flow, const struct pipes *pipes, int sink_fd)
{
	ssize_t n;

	while (flow_pending(flow) > 0) {
		n = splice(pipe_fd(pipes, flow, 0), NULL, sink_fd, NULL,
		    flow_pending(flow), SPLICE_FLAGS);
		if (n > 0) {
			flow->moved += (uint64_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return STEP_WOULD_BLOCK;
		return STEP_FAILED;
	}
	return STEP_EMPTY;
}

static bool
is_at_mark(const struct flow_ends *ends)
{
	int at_mark = 0;

	return ends->source_is_tcp &&
	    ioctl(ends->source_fd, SIOCATMARK, &at_mark) == 0 && at_mark != 0;
}

/*
 * splice() never moves the urgent byte.  It goes through here: looked at,
 * written into the empty pipe, then consumed.  A death on the way is told
 * apart by what the pipe holds and by the mark (flow_recover).
 */
static enum step
pull_mark(struct flow *flow, const struct pipes *pipes,
    const struct flow_ends *ends)
{
	char byte;

	flow->at_mark = 1;
	if (recv(ends->source_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1 ||
	    write(pipe_fd(pipes, flow, 1), &byte, 1) != 1) {
		flow->at_mark = 0;
		return STEP_WOULD_BLOCK;
	}
	(void)!recv(ends->source_fd, &byte, 1, MSG_DONTWAIT);
	flow->pulled++;
	flow->at_mark = 0;
	return STEP_ON;
}

/* The source said "end": believe it only away from the urgent mark. */
static enum step
pull_end(struct flow *flow, const struct pipes *pipes,
    const struct flow_ends *ends)
{
	if (!ends->source_is_over && is_at_mark(ends) &&
	    pull_mark(flow, pipes, ends) == STEP_ON)
		return STEP_ON;
	flow_set_state(flow, ends->source_failed ? FLOW_RESET : FLOW_DRAINING);
	return STEP_EMPTY;
}

/* Source to the empty pipe, once; STEP_FAILED: the kernel lacks memory;
 * STEP_TOLD: it told of a reset before its last bytes. */
static enum step
pull(struct flow *flow, const struct pipes *pipes, const struct flow_ends *ends,
    uint32_t limit)
{
	ssize_t n;

	do {
		n = splice(ends->source_fd, NULL, pipe_fd(pipes, flow, 1), NULL,
		    limit, SPLICE_FLAGS);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		flow->pulled += (uint64_t)n;
		return STEP_ON;
	}
	if (n == 0)
		return pull_end(flow, pipes, ends);
	if (errno == EAGAIN) {
		if (ends->source_is_urgent && is_at_mark(ends))
			return pull_mark(flow, pipes, ends);
		return STEP_WOULD_BLOCK;
	}
	if (errno == ENOMEM || errno == ENOBUFS)
		return STEP_FAILED;
	/* To splice() nothing is left at the urgent mark: there the error comes
	 * before the bytes. */
	if (is_at_mark(ends))
		return STEP_TOLD;
	flow_set_state(flow, FLOW_RESET);
	return STEP_EMPTY;
}

/* The pipe is empty and the source has ended: pass the end on. */
static enum flow_result
finish(struct flow *flow, const struct flow_ends *ends)
{
	if (flow->state == FLOW_RESET)
		return FLOW_DRAINED;
	if (flow->state == FLOW_DRAINING) {
		/* ENOTCONN: the peer is gone already, and knows. */
		if (ends->sink_is_socket && !ends->is_last)
			(void)shutdown(ends->sink_fd, SHUT_WR);
		flow_set_state(flow, FLOW_SHUT);
	}
	return FLOW_ENDED;
}

static bool
takes_bytes(int sink_fd)
{
	struct pollfd sink = {.fd = sink_fd, .events = POLLOUT};

	return poll(&sink, 1, 0) == 1;
}

/* A pipe to pull into, and how much; STEP_ON if there is one. */
static enum step
find_pipe(struct flow *flow, struct pipes *pipes, const struct flow_ends *ends,
    uint32_t *limit)
{
	bool scarce = pipes_are_scarce(pipes);

	if (flow->pipe == 0) {
		if (scarce && !takes_bytes(ends->sink_fd)) {
			flow->waits = 1;
			return STEP_WOULD_BLOCK;
		}
		if (!pipes_take(pipes, &flow->pipe))
			return STEP_FAILED;
	}
	*limit = scarce ? SURE_BYTES : pipes->table[flow->pipe - 1].bytes;
	return STEP_ON;
}

/* Fill the empty pipe once.  False: that is all for now, and *result says
 * why; else *pulled says how much it was. */
static bool
fill(struct flow *flow, struct pipes *pipes, const struct flow_ends *ends,
    uint64_t *pulled, enum flow_result *result)
{
	uint32_t limit = 0;
	enum step step = find_pipe(flow, pipes, ends, &limit);

	*result = step == STEP_FAILED ? FLOW_STARVED : FLOW_BLOCKED;
	if (step != STEP_ON)
		return false;
	step = pull(flow, pipes, ends, limit);
	*result = FLOW_IDLE;
	if (step == STEP_FAILED)
		*result = FLOW_STARVED;
	else if (step == STEP_TOLD)
		*result = FLOW_SOURCE_FAILED;
	/* Behind a byte at the mark there may be more. */
	*pulled = ends->source_is_urgent || flow_pending(flow) == limit
	    ? LIKELY_MORE
	    : flow_pending(flow);
	return step == STEP_ON || step == STEP_EMPTY;
}

static enum flow_result
pump(struct flow *flow, struct pipes *pipes, const struct flow_ends *ends)
{
	enum flow_result result = FLOW_IDLE;
	uint64_t pulled = LIKELY_MORE;
	enum step step;

	flow->waits = 0;
	for (int fills = 0;; fills++) {
		step = push(flow, pipes, ends->sink_fd);
		if (step == STEP_WOULD_BLOCK)
			return FLOW_BLOCKED;
		if (step == STEP_FAILED)
			return FLOW_SINK_FAILED;
		if (flow->state != FLOW_OPEN)
			return finish(flow, ends);
		if (fills == TURN_FILLS || pulled < LIKELY_MORE)
			return FLOW_IDLE;
		if (!fill(flow, pipes, ends, &pulled, &result))
			return result;
	}
}

enum flow_result
flow_pump(struct flow *flow, struct pipes *pipes, const struct flow_ends *ends)
{
	enum flow_result result = pump(flow, pipes, ends);

	if (flow->pipe != 0 && flow_pending(flow) == 0)
		pipes_give(pipes, &flow->pipe);
	return result;
}

void
flow_abandon(struct flow *flow, struct pipes *pipes)
{
	/* By what it holds, not by the counts: they may be a dead worker's
	 * (F5), and its bytes must never reach another connection. */
	if (flow->pipe != 0 && pipes_content(pipes, flow->pipe) == 0)
		pipes_give(pipes, &flow->pipe);
	else if (flow->pipe != 0)
		pipes_destroy(pipes, &flow->pipe);
	flow->pulled = flow->moved;
	flow->waits = 0;
	if (flow->state != FLOW_SHUT)
		flow_set_state(flow, FLOW_SHUT);
}

void
flow_recover(struct flow *flow, struct pipes *pipes,
    const struct flow_ends *ends)
{
	char byte;
	int content;

	if (flow->pipe == 0) {
		flow->pulled = flow->moved;
		flow->at_mark = 0;
		return;
	}
	content = pipes_content(pipes, flow->pipe);
	/* Only one of the two counts can lag, by the call that death cut off:
	 * what the pipe holds says which. */
	if (content >= 0 && (uint64_t)content < flow_pending(flow))
		flow->moved = flow->pulled - (uint64_t)content;
	else if (content >= 0)
		flow->pulled = flow->moved + (uint64_t)content;
	if (flow->at_mark && content > 0 && is_at_mark(ends))
		(void)!recv(ends->source_fd, &byte, 1, MSG_DONTWAIT);
	flow->at_mark = 0;
	if (flow_pending(flow) == 0)
		pipes_give(pipes, &flow->pipe);
}
