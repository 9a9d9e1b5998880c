/*
 * flow - one direction of a relayed connection.
 *
 * A flow moves bytes from a source socket to a sink through a pipe and
 * remembers how far the end of the stream has travelled.  Nothing else about
 * relaying lives outside this module.
 *
 * Runs in: worker.  Knows nothing of: slots, epoll, timers, plans, logging.
 *
 * Invariants
 *  F1  FLOW_SHUT implies that the flow has no pipe: a FIN goes on only after
 *      the last byte before it.
 *  F2  Bytes in flight are only ever in kernel objects: source, pipe or sink.
 *  F3  An empty flow holds no pipe: an idle connection costs no buffer.
 *  F4  A flow does not own its sockets; it never closes a descriptor.
 *  F5  After a death what the pipe holds is the truth (flow_recover); nothing
 *      has to be told how far a transfer got.
 */
#ifndef SRVD_WORKER_FLOW_H
#define SRVD_WORKER_FLOW_H

#include <stdbool.h>

#include "common/attr.h"
#include "server/state/slot.h"
#include "server/worker/pipes.h"

/* The sockets of a flow, and what is known of the source. */
struct flow_ends {
	int source_fd;
	int sink_fd;
	bool source_is_tcp;
	bool source_failed;    /* its error has been told already: an end is a
			     * reset */
	bool source_is_urgent; /* epoll said EPOLLPRI */
	bool source_is_over;   /* epoll said EPOLLRDHUP and not EPOLLPRI: an
				* end is one, and not the urgent mark */
	bool sink_is_socket;
	bool is_last; /* the other flow has ended: the sockets are closed right
		       * after this one has, and that sends the FIN */
};

enum flow_result {
	FLOW_IDLE,        /* nothing more to do until the source has something;
		       * level-triggered epoll says when */
	FLOW_BLOCKED,     /* the sink takes no more just now */
	FLOW_STARVED,     /* no pipe to be had */
	FLOW_ENDED,       /* the state is FLOW_SHUT now */
	FLOW_DRAINED,     /* the state is FLOW_RESET and the pipe is empty */
	FLOW_SINK_FAILED, /* the sink takes no more; the flow is stuck */
	FLOW_SOURCE_FAILED, /* its error was told just now (source_failed), and
			     * there are bytes to come */
};

/* Move bytes until a side would block, the stream ends, or a turn is over. */
must_check enum flow_result flow_pump(struct flow *flow, struct pipes *pipes,
    const struct flow_ends *ends);

/* Give up what has not reached the sink; the flow is FLOW_SHUT. */
void flow_abandon(struct flow *flow, struct pipes *pipes);

/* Make a flow right again that a worker was pumping when it died (F5). */
void flow_recover(struct flow *flow, struct pipes *pipes,
    const struct flow_ends *ends);

#endif
