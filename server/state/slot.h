/*
 * slot - the truth about one connection, in the shared memory of a body.
 *
 * A slot is written by the body's worker alone and survives it.  All zero is
 * a free slot.  Everything a worker knows of a connection beyond its slot is
 * a cache that its successor can rebuild.
 *
 * Runs in: worker (writes), master (reads copies, and checks them).
 *
 * Invariants
 *  S1  In a body 0 is no descriptor and no pipe: number 0 is /dev/null in
 *      every body's table, and pipes count from 1.
 *  S2  A slot leaves CONN_FREE before the call that makes its first
 *      descriptor, and returns to it after its last one is closed.
 *  S3  slot_set_state() is the only writer of state; it allows no transition
 *      outside its table.
 *  S5  A slot with a batch in CONN_RELAYING or CONN_RESETTING is frozen:
 *      nothing of it is touched until its taker says whose it is.
 *  S4  CONN_CLOSING means: its numbers are being closed, and nothing else is
 *      opened before that is done.  At most one slot of a body is in it.
 */
#ifndef SRVD_STATE_SLOT_H
#define SRVD_STATE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/state/plan.h"

enum conn_state {
	CONN_FREE,
	CONN_ACCEPTING, /* claimed for a client about to be accepted */
	CONN_DIALING,   /* the client is here, no backend yet */
	CONN_RELAYING,
	CONN_RESETTING, /* one side was reset: what it sent still goes on, */
			/* then the other side is reset */
	CONN_CLOSING,
	CONN_ARRIVING, /* being handed over to us: not ours before its batch */
	CONN_STATES
};

enum side {
	SIDE_CLIENT,
	SIDE_BACKEND,
	SIDES
};

/* Directions; a flow's number is its source's side. */
enum direction {
	FLOW_UP = SIDE_CLIENT,
	FLOW_DOWN = SIDE_BACKEND
};

enum flow_state {
	FLOW_OPEN,     /* the source may still send */
	FLOW_DRAINING, /* the source ended; bytes wait in the pipe */
	FLOW_SHUT,     /* the end has been passed on to the sink */
	FLOW_RESET,    /* the source was reset; bytes may wait in the pipe */
	FLOW_STATES
};

/* One direction of a connection; flow.h has what is done with it. */
struct flow {
	uint8_t state;   /* enum flow_state */
	uint8_t at_mark; /* the urgent byte is being moved */
	uint8_t starved; /* it waits for a free pipe */
	uint8_t waits;   /* for the sink, without a pipe: they are scarce */
	uint16_t pipe;   /* number in the body's pipe table, 0: none */
	uint16_t reserved;
	uint64_t pulled; /* bytes that came from the source */
	uint64_t moved;  /* bytes that the sink took; the rest is in the pipe */
};

/* What waits in the pipe, in bytes. */
static inline uint64_t
flow_pending(const struct flow *flow)
{
	return flow->pulled - flow->moved;
}

/* Does it wait for its sink? */
static inline bool
flow_is_blocked(const struct flow *flow)
{
	return flow_pending(flow) > 0 || flow->waits;
}

static inline enum side
side_other(enum side side)
{
	return side == SIDE_CLIENT ? SIDE_BACKEND : SIDE_CLIENT;
}

/* Side flags. */
#define SIDE_FAILED  0x01 /* an error was reported for this socket */
#define SIDE_RESET   0x02 /* it was reset, but may have bytes before that */
#define SIDE_HUNG_UP 0x04 /* epoll said HUP or ERR, which can't be masked */
#define SIDE_WATCHED 0x08 /* it is in the epoll instance */
#define SIDE_LASTING 0x10 /* it has the options of one that lasts */
#define SIDE_TAKEN \
	0x20 /* it came from another body, which may have it too: \
			   * our close may be neither the last nor the end */

/* What of them is of the socket, and goes where it goes. */
#define SIDE_TRAVELS (SIDE_FAILED | SIDE_RESET | SIDE_HUNG_UP | SIDE_LASTING)

/* What has been counted for this connection, so that a death between an event
 * and its counter loses and doubles nothing (count.c).  From TALLY_FAILED on:
 * a bit for each failed dial. */
#define TALLY_ACCEPTED  0x0001
#define TALLY_CONNECTED 0x0002
#define TALLY_REFUSED   0x0004
#define TALLY_FAILED    0x0008
#define TALLY_CLOSED    0x4000 /* for the request in body_closing */
#define TALLY_LOGGED    0x8000 /* its line is in the body's access ring */

/* An IP address and port, for logs and lists; a Unix one is kind only. */
struct endpoint {
	uint8_t kind; /* enum addr_kind */
	uint8_t reserved;
	uint16_t port;
	uint8_t ip[16];
};

/* How the sockets of a connection are closed. */
enum conn_end {
	END_CLEAN,    /* both ends have been passed on already */
	END_SHUTDOWN, /* as a clean end, unless bytes are lost by it */
	END_RESET,    /* as a reset */
};

#define SLOT_TRIED_MAX (PLAN_RETRIES_MAX + 1)

struct slot {
	_Alignas(64) uint64_t id; /* never reused, the same for all time */
	uint8_t state;            /* enum conn_state */
	uint8_t reason;           /* enum close_reason, once it ends */
	uint8_t dead_side;        /* CONN_RESETTING: the side that was reset */
	uint8_t tried_count;
	uint16_t tally;
	uint8_t side_flags[SIDES];
	int32_t fd[SIDES];
	uint32_t interest[SIDES]; /* what epoll was told, EPOLLIN, … */
	uint32_t service;
	uint32_t backend; /* the one dialed last; see has_backend */
	uint32_t listener;
	uint8_t has_backend;
	uint8_t builtin;      /* enum addr_kind of a builtin backend, 0 */
	uint8_t is_postponed; /* CONN_DIALING: waits for a descriptor */
	uint8_t end;          /* enum conn_end; with a reason: how it ends */
	uint32_t unacked;     /* CONN_RESETTING: bytes not yet acknowledged */
	uint16_t tried[SLOT_TRIED_MAX];
	/* CONN_ARRIVING: the state it is to have; not 0 also until it has been
	 * gone on with. */
	uint8_t arrives_as;
	uint8_t reserved[3];
	struct flow flows[2];
	uint64_t accepted_us; /* since the epoch */
	uint64_t started_us;  /* the same moment by CLOCK_MONOTONIC */
	uint32_t connect_us;  /* from there until a backend was connected */
	/* The batch that it is handed over in, or 0: frozen, as it may be the
	 * taker's already; in CONN_ARRIVING: the one that it came in; in
	 * CONN_CLOSING: the taker's, and nothing but our numbers is closed. */
	uint32_t batch;
	uint64_t phase_ms;  /* when its state began; CLOCK_MONOTONIC */
	uint64_t active_ms; /* when a byte last moved */
	struct endpoint client;
	struct endpoint local;
	struct endpoint source;
	struct endpoint server;
#ifdef SRVD_SLOT_MORE
	uint64_t more[8]; /* in another version, which a test upgrades to */
#endif
};

#ifndef SRVD_SLOT_MORE
_Static_assert(sizeof(struct slot) == 256, "a slot is four cache lines");
#endif

/* Is it being handed over (S5)? */
static inline bool
slot_is_frozen(const struct slot *slot)
{
	return slot->batch != 0 && slot->arrives_as == 0 &&
	    (slot->state == CONN_RELAYING || slot->state == CONN_RESETTING);
}

/* May a connection go from one state to the other? */
bool conn_state_may(enum conn_state from, enum conn_state to);

/* Change state; a transition outside the table ends the worker (S3). */
void slot_set_state(struct slot *slot, enum conn_state to);

bool flow_state_may(enum flow_state from, enum flow_state to);
void flow_set_state(struct flow *flow, enum flow_state to);

/* Is the slot one that GetStatus counts: dialing, relaying or closing? */
bool slot_is_connection(const struct slot *slot);

void endpoint_from_sockaddr(struct endpoint *endpoint,
    const struct sockaddr *sa, socklen_t length);

#endif
