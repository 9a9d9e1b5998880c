/*
 * relay - what happens to a connection once its backend is there; relay.h.
 */
#include <sys/epoll.h>

#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/flow.h"
#include "server/worker/interest.h"
#include "server/worker/relay.h"
#include "server/worker/scarcity.h"
#include "server/worker/tcp.h"
#include "server/worker/timeouts.h"

/* While a reset waits for the bytes before it to be acknowledged; the limit
 * is for a peer that takes nothing any more. */
#define RESET_POLL_MS  20
#define RESET_LIMIT_MS 5000

#define BIT(direction) (1u << (direction))
#define BOTH           (BIT(FLOW_UP) | BIT(FLOW_DOWN))

/* The side of a flow's sink; with builtin:echo it is the source's. */
static enum side
sink_side(const struct slot *slot, enum direction direction)
{
	return slot->builtin != 0 ? SIDE_CLIENT
				  : side_other((enum side)direction);
}

/* events: what epoll has just said of the source; EPOLLPRI if in doubt. */
static struct flow_ends
ends_of(const struct slot *slot, enum direction direction, uint32_t events)
{
	enum side source = (enum side)direction;
	struct flow_ends ends = {
	    .source_fd = slot->fd[source],
	    .sink_fd = slot->fd[sink_side(slot, direction)],
	    .source_is_tcp = conn_side_is_tcp(slot, source),
	    .source_failed = (slot->side_flags[source] & SIDE_FAILED) != 0,
	    .source_is_urgent = (events & EPOLLPRI) != 0,
	    .source_is_over = (events & (EPOLLRDHUP | EPOLLPRI)) == EPOLLRDHUP,
	    .sink_is_socket = true,
#ifndef SRVD_HOLDER_FORK /* there the holder has descriptors, too */
	    .is_last = slot->flows[side_other(source)].state == FLOW_SHUT &&
		(slot->side_flags[sink_side(slot, direction)] & SIDE_TAKEN) ==
		    0,
#endif
	};

	if (slot->builtin == ADDR_DISCARD) {
		ends.sink_fd = BODY_FD_NULL;
		ends.sink_is_socket = false;
	}
	return ends;
}

/* Time */

static void
set_timer(struct worker *w, const struct slot *slot)
{
	uint64_t due = slot->state == CONN_RESETTING ? w->now_ms + RESET_POLL_MS
						     : timeouts_next(w, slot);

	if (due != 0)
		timers_set(&w->timers, worker_slot_number(w, slot), due);
}

/* Pumping */

static void
wait_for_pipe(struct worker *w, struct slot *slot, struct flow *flow)
{
	struct starved_queue *q = &w->starved;
	uint32_t number = worker_slot_number(w, slot);

	flow->starved = 1;
	scarcity_met_pipes(w);
	if (q->queued[number])
		return;
	q->queued[number] = 1;
	q->slots[(q->first + q->count) % w->head->slots_max] = number;
	q->count++;
}

/* After flows[direction] has moved.  With builtin:echo what went up has come
 * down; its other flow only counts that. */
static void
count_moved(struct worker *w, struct slot *slot, enum direction direction,
    uint64_t before)
{
	const struct flow *flow = &slot->flows[direction];
	struct flow *down = &slot->flows[FLOW_DOWN];

	count_bytes(w, direction, flow->moved - before);
	if (slot->builtin != ADDR_ECHO)
		return;
	count_bytes(w, FLOW_DOWN, flow->moved - before);
	down->pulled = flow->moved;
	down->moved = flow->moved;
}

static void
pump(struct worker *w, struct slot *slot, enum direction direction,
    uint32_t events)
{
	struct flow *flow = &slot->flows[direction];
	struct flow_ends ends = ends_of(slot, direction, events);
	uint64_t before = flow->moved;
	enum flow_result result = flow_pump(flow, &w->pipes, &ends);

	if (flow->moved != before) {
		count_moved(w, slot, direction, before);
		slot->active_ms = w->now_ms;
	}
	if (result == FLOW_STARVED)
		wait_for_pipe(w, slot, flow);
	else if (result == FLOW_SINK_FAILED)
		slot->side_flags[sink_side(slot, direction)] |= SIDE_FAILED;
	else if (result == FLOW_SOURCE_FAILED)
		slot->side_flags[direction] |= SIDE_FAILED;
}

static bool
side_has_failed(const struct slot *slot, enum side side)
{
	const struct flow *flow = &slot->flows[side];
	uint8_t flags = slot->side_flags[side];

	return (flags & SIDE_FAILED) != 0 || flow->state == FLOW_RESET ||
	    ((flags & SIDE_RESET) != 0 && flow->state != FLOW_OPEN);
}

/* Have all bytes reached the peer?  AF_UNIX has no such question: what was
 * written can be read even after our close. */
static bool
has_arrived(struct worker *w, struct slot *slot, enum side side)
{
	uint32_t unacked;

	if (!conn_side_is_tcp(slot, side))
		return true;
	unacked = tcp_unacked(slot->fd[side]);
	if (unacked != slot->unacked)
		slot->active_ms = w->now_ms;
	slot->unacked = unacked;
	return unacked == 0;
}

/* One side is dead; what it had sent still goes to the other.  False when
 * the connection has ended by it. */
static bool
pass_reset_on(struct worker *w, struct slot *slot)
{
	enum side dead = (enum side)slot->dead_side;
	struct flow *last = &slot->flows[dead];

	if (side_has_failed(slot, side_other(dead)) ||
	    (last->state != FLOW_OPEN && flow_pending(last) == 0 &&
		has_arrived(w, slot, side_other(dead))) ||
	    /* A giver's clock may be ahead of this round's. */
	    w->now_ms >= slot->active_ms + RESET_LIMIT_MS) {
		conn_close(w, slot, REASON_RESET, END_RESET);
		return false;
	}
	return true;
}

static void
enter_reset(struct worker *w, struct slot *slot, enum side dead)
{
	slot->dead_side = (uint8_t)dead;
	slot->side_flags[dead] |= SIDE_FAILED;
	slot->phase_ms = w->now_ms;
	slot->active_ms = w->now_ms;
	slot_set_state(slot, CONN_RESETTING);
	flow_abandon(&slot->flows[side_other(dead)], &w->pipes);
	if (slot->flows[dead].state == FLOW_OPEN)
		pump(w, slot, (enum direction)dead, EPOLLPRI);
	set_timer(w, slot);
}

/* After flows have moved: has the connection ended, or changed its state?
 * False when it has ended. */
static bool
settle(struct worker *w, struct slot *slot)
{
	bool client = side_has_failed(slot, SIDE_CLIENT);
	bool backend = side_has_failed(slot, SIDE_BACKEND);

	if (slot->state == CONN_RELAYING) {
		if ((client && backend) || (client && slot->builtin != 0)) {
			conn_close(w, slot, REASON_RESET, END_RESET);
			return false;
		}
		if (client || backend)
			enter_reset(w, slot,
			    client ? SIDE_CLIENT : SIDE_BACKEND);
		else if (slot->flows[FLOW_UP].state == FLOW_SHUT &&
		    slot->flows[FLOW_DOWN].state == FLOW_SHUT) {
			conn_close(w, slot, REASON_DONE, END_CLEAN);
			return false;
		}
	}
	return slot->state != CONN_RESETTING || pass_reset_on(w, slot);
}

/* Let the flows of a set move, and draw the conclusions.  events: of the
 * only source in it, or EPOLLPRI. */
static void
advance(struct worker *w, struct slot *slot, unsigned directions,
    uint32_t events)
{
	bool was_half_closed = timeouts_is_half_closed(slot);
	int rc;

	for (unsigned d = 0; d < 2; d++) {
		if ((directions & BIT(d)) != 0 &&
		    slot->flows[d].state != FLOW_SHUT)
			pump(w, slot, (enum direction)d, events);
	}
	if (!settle(w, slot))
		return;
	rc = interest_update(w, slot);
	if (rc < 0) {
		if (scarcity_is(-rc))
			scarcity_met(w, -rc);
		conn_close(w, slot, REASON_ERROR, END_RESET);
		return;
	}
	if (!was_half_closed && timeouts_is_half_closed(slot))
		set_timer(w, slot);
}

void
relay_start(struct worker *w, struct slot *slot)
{
	slot->phase_ms = w->now_ms;
	slot->active_ms = w->now_ms;
	slot_set_state(slot, CONN_RELAYING);
	if (slot->builtin != 0)
		flow_abandon(&slot->flows[FLOW_DOWN], &w->pipes);
	set_timer(w, slot);
	/* The client has most likely spoken already. */
	advance(w, slot, BIT(FLOW_UP), 0);
}

/* Does this socket's HUP or ERR mean that it was reset?  ERR does.  So does
 * HUP of a TCP socket whose sending we have not shut down: it is closed. */
static bool
is_reset(const struct slot *slot, enum side side, uint32_t events)
{
	enum side sender = slot->builtin != 0 ? SIDE_CLIENT : side_other(side);

	return (events & EPOLLERR) != 0 ||
	    ((events & EPOLLHUP) != 0 && conn_side_is_tcp(slot, side) &&
		slot->flows[sender].state != FLOW_SHUT);
}

void
relay_on_event(struct worker *w, struct slot *slot, enum side side,
    uint32_t events)
{
	enum side sender = slot->builtin != 0 ? SIDE_CLIENT : side_other(side);
	unsigned directions = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
		slot->side_flags[side] |= SIDE_HUNG_UP;
		/* What it sent before is read first; and if that ends with a
		 * FIN nothing tells of the reset behind it any more. */
		if (is_reset(slot, side, events))
			slot->side_flags[side] |= SIDE_RESET;
		events |= EPOLLIN;
	}
	if ((events & INTEREST_READ) != 0 &&
	    !flow_is_blocked(&slot->flows[side]))
		directions |= BIT(side);
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 &&
	    flow_is_blocked(&slot->flows[sender]))
		directions |= BIT(sender);
	/* What was said is of this side alone. */
	advance(w, slot, directions,
	    directions == BIT(side) ? events : EPOLLPRI);
}

void
relay_on_timer(struct worker *w, struct slot *slot)
{
	enum close_reason reason;

	if (slot->state == CONN_RESETTING) {
		if (pass_reset_on(w, slot))
			set_timer(w, slot);
		return;
	}
	timeouts_keepalive(w, slot);
	reason = timeouts_reason(w, slot);
	if (reason != REASON_NONE)
		conn_close(w, slot, reason, END_SHUTDOWN);
	else
		set_timer(w, slot);
}

void
relay_review(struct worker *w, struct slot *slot)
{
	uint64_t due;

	if (conn_on_remove(w, slot) == ON_REMOVE_CLOSE) {
		conn_close(w, slot, REASON_REMOVED, END_SHUTDOWN);
		return;
	}
	/* A timer that is too early now is set again when it fires. */
	due = timeouts_next(w, slot);
	if (due != 0)
		timers_hasten(&w->timers, worker_slot_number(w, slot), due);
}

void
relay_feed(struct worker *w)
{
	struct starved_queue *q = &w->starved;

	for (uint32_t left = q->count; left > 0; left--) {
		struct slot *slot = worker_slot(w, q->slots[q->first]);

		if (!pipes_has_free(&w->pipes))
			return;
		q->queued[q->slots[q->first]] = 0;
		q->first = (q->first + 1) % w->head->slots_max;
		q->count--;
		if ((slot->state != CONN_RELAYING &&
			slot->state != CONN_RESETTING) ||
		    slot_is_frozen(slot))
			continue;
		worker_journal(w, JOURNAL_CONN, worker_slot_number(w, slot));
		slot->flows[FLOW_UP].starved = 0;
		slot->flows[FLOW_DOWN].starved = 0;
		advance(w, slot, BOTH, EPOLLPRI);
		/* None to be had after all: the others would fare no better. */
		if (q->queued[worker_slot_number(w, slot)])
			return;
	}
}

/* After a death */

static void
recover_flow(struct worker *w, struct slot *slot, enum direction direction)
{
	struct flow *flow = &slot->flows[direction];
	struct flow_ends ends = ends_of(slot, direction, EPOLLPRI);
	uint64_t before = flow->moved;

	flow_recover(flow, &w->pipes, &ends);
	count_moved(w, slot, direction, before);
}

void
relay_settle(struct worker *w, struct slot *slot)
{
	if (slot->state != CONN_RELAYING && slot->state != CONN_RESETTING)
		return;
	recover_flow(w, slot, FLOW_UP);
	if (slot->builtin == 0)
		recover_flow(w, slot, FLOW_DOWN);
}

/*
 * The kernel may have told the dead worker of an error, and tells it once.  A
 * TCP socket in CLOSE was reset, unless both ends have passed: ours counts as
 * passed once the flow to it is draining, since the death may have come right
 * after the shutdown; the peer's, if we have not read it, shows in the count
 * of bytes received, where a FIN is one (tcp_info).
 */
static void
recover_error(struct slot *slot, enum side side)
{
	enum side sender = slot->builtin != 0 ? SIDE_CLIENT : side_other(side);
	const struct flow *flow = &slot->flows[side];
	struct tcp_facts facts;
	bool has_fin;

	if (slot->fd[side] == 0 || !conn_side_is_tcp(slot, side) ||
	    !tcp_ask(slot->fd[side], &facts) || !facts.is_closed)
		return;
	has_fin = flow->state != FLOW_OPEN ||
	    facts.received > flow->pulled + facts.unread;
	if (!has_fin || slot->flows[sender].state == FLOW_OPEN)
		slot->side_flags[side] |= SIDE_FAILED;
}

void
relay_recover(struct worker *w, struct slot *slot, bool was_worked_on)
{
	if (slot->flows[FLOW_UP].starved)
		wait_for_pipe(w, slot, &slot->flows[FLOW_UP]);
	if (slot->flows[FLOW_DOWN].starved)
		wait_for_pipe(w, slot, &slot->flows[FLOW_DOWN]);
	set_timer(w, slot);
	if (!was_worked_on)
		return;
	if (slot->builtin != 0 && slot->flows[FLOW_DOWN].state == FLOW_OPEN)
		flow_abandon(&slot->flows[FLOW_DOWN], &w->pipes);
	relay_settle(w, slot);
	recover_error(slot, SIDE_CLIENT);
	recover_error(slot, SIDE_BACKEND);
	if (interest_recover(w, slot) < 0) {
		conn_close(w, slot, REASON_ERROR, END_RESET);
		return;
	}
	advance(w, slot, BOTH, EPOLLPRI);
}

void
relay_resume(struct worker *w, struct slot *slot)
{
	relay_recover(w, slot, true);
	if (slot->state == CONN_RELAYING)
		relay_review(w, slot);
}
