/*
 * timeouts - how long a relayed connection may go on as it is; timeouts.h.
 */
#include "server/worker/timeouts.h"
#include "common/tcp_options.h"
#include "server/worker/conn.h"

/* One whose service or backend was removed with on_remove = drain is closed
 * when no byte has moved for so long. */
#define DRAIN_IDLE_MS 1000

/* A connection that has lasted so long gets keepalive probes. */
#define LASTING_MS 1000

bool
timeouts_is_half_closed(const struct slot *slot)
{
	return slot->builtin == 0 &&
	    (slot->flows[FLOW_UP].state != FLOW_OPEN ||
		slot->flows[FLOW_DOWN].state != FLOW_OPEN);
}

/* When a removed service's connection has drained; 0: it need not.  Bytes
 * that wait for a slow reader are no idleness. */
static uint64_t
drain_deadline(const struct worker *w, const struct slot *slot)
{
	uint64_t due = slot->active_ms + DRAIN_IDLE_MS;

	if (conn_on_remove(w, slot) != ON_REMOVE_DRAIN)
		return 0;
	if (due <= w->now_ms &&
	    (flow_is_blocked(&slot->flows[FLOW_UP]) ||
		flow_is_blocked(&slot->flows[FLOW_DOWN])))
		due = w->now_ms + DRAIN_IDLE_MS;
	return due;
}

/* When the connection has been silent for too long; 0: never. */
static uint64_t
idle_deadline(const struct worker *w, const struct slot *slot)
{
	const struct plan_service *service = conn_service(w, slot);
	uint64_t timeout = timeouts_is_half_closed(slot)
	    ? service->half_closed_timeout_ms
	    : service->idle_timeout_ms;

	return timeout == 0 ? 0 : slot->active_ms + timeout;
}

/* The earlier of two times; 0 is never. */
static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* Keepalive probes matter to a connection that lasts, and cost those that
 * don't (two calls, and a timer in the kernel): they are set after a while. */
static bool
needs_keepalive(const struct worker *w, const struct slot *slot)
{
	return (slot->side_flags[SIDE_CLIENT] & SIDE_LASTING) == 0 &&
	    conn_service(w, slot)->keepalive_ms != 0;
}

void
timeouts_keepalive(const struct worker *w, struct slot *slot)
{
	if (!needs_keepalive(w, slot))
		return;
	slot->side_flags[SIDE_CLIENT] |= SIDE_LASTING;
	for (unsigned side = 0; side < SIDES; side++) {
		if (slot->fd[side] != 0 &&
		    conn_side_is_tcp(slot, (enum side)side))
			tcp_keepalive(slot->fd[side],
			    conn_service(w, slot)->keepalive_ms);
	}
}

uint64_t
timeouts_next(const struct worker *w, const struct slot *slot)
{
	uint64_t due = earlier(idle_deadline(w, slot), drain_deadline(w, slot));

	return needs_keepalive(w, slot) ? earlier(due, w->now_ms + LASTING_MS)
					: due;
}

static bool
is_past(const struct worker *w, uint64_t due_ms)
{
	return due_ms != 0 && due_ms <= w->now_ms;
}

enum close_reason
timeouts_reason(const struct worker *w, const struct slot *slot)
{
	if (is_past(w, idle_deadline(w, slot)))
		return timeouts_is_half_closed(slot) ? REASON_HALF_CLOSED
						     : REASON_IDLE;
	return is_past(w, drain_deadline(w, slot)) ? REASON_REMOVED
						   : REASON_NONE;
}
