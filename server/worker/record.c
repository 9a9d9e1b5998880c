/*
 * record - a connection as it travels from body to body; see record.h.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "server/worker/record.h"

/* The kernel's least is a page (pipe(7)). */
#define PIPE_BYTES_MIN 4096

/* Packing */

static void
pack_flow(const struct worker *w, const struct flow *flow,
    struct transfer_flow *packed, struct transfer_message *message)
{
	const struct body_pipe *pipe;

	packed->pulled = flow->pulled;
	packed->moved = flow->moved;
	packed->state = flow->state;
	if (flow->pipe == 0)
		return;
	pipe = &w->pipes.table[flow->pipe - 1];
	packed->has_pipe = 1;
	packed->pipe_bytes = pipe->bytes;
	message->fds[message->fds_count++] = pipe->fd[0];
	message->fds[message->fds_count++] = pipe->fd[1];
}

bool
record_has_room(const struct transfer_message *message)
{
	return message->head.count < TRANSFER_BATCH_MAX &&
	    message->fds_count + TRANSFER_FDS_EACH <= TRANSFER_FDS_MAX;
}

void
record_pack(const struct worker *w, const struct slot *slot,
    struct transfer_message *message)
{
	struct transfer_record *r = &message->records[message->head.count++];

	memset(r, 0, sizeof(*r));
	r->id = slot->id;
	r->state = slot->state;
	r->dead_side = slot->dead_side;
	r->has_backend_fd = slot->fd[SIDE_BACKEND] != 0;
	r->builtin = slot->builtin;
	r->tried_count = slot->tried_count;
	r->side_flags[SIDE_CLIENT] =
	    slot->side_flags[SIDE_CLIENT] & SIDE_TRAVELS;
	r->side_flags[SIDE_BACKEND] =
	    slot->side_flags[SIDE_BACKEND] & SIDE_TRAVELS;
	r->tally = slot->tally;
	memcpy(r->tried, slot->tried, sizeof(r->tried));
	r->service = slot->service;
	r->backend = slot->backend;
	r->listener = slot->listener;
	r->unacked = slot->unacked;
	r->connect_us = slot->connect_us;
	r->has_backend = slot->has_backend;
	r->accepted_us = slot->accepted_us;
	r->started_us = slot->started_us;
	r->phase_ms = slot->phase_ms;
	r->active_ms = slot->active_ms;
	r->client = slot->client;
	r->local = slot->local;
	r->source = slot->source;
	r->server = slot->server;
	r->frozen_us = w->now_us;
	message->fds[message->fds_count++] = slot->fd[SIDE_CLIENT];
	if (slot->fd[SIDE_BACKEND] != 0)
		message->fds[message->fds_count++] = slot->fd[SIDE_BACKEND];
	pack_flow(w, &slot->flows[FLOW_UP], &r->flows[FLOW_UP], message);
	pack_flow(w, &slot->flows[FLOW_DOWN], &r->flows[FLOW_DOWN], message);
}

/* Unpacking */

/* Are the two descriptors ends of a pipe, if it comes with one? */
static bool
is_flow_sound(const struct transfer_flow *flow, const int *fds)
{
	if (flow->state >= FLOW_STATES || flow->moved > flow->pulled)
		return false;
	if (flow->has_pipe == 0)
		return true;
	return flow->state != FLOW_SHUT && flow->pipe_bytes >= PIPE_BYTES_MIN &&
	    fcntl(fds[0], F_GETPIPE_SZ) > 0 && fcntl(fds[1], F_GETPIPE_SZ) > 0;
}

/* Are its service, backend and listener in the plan (P2)? */
static bool
has_rows(const struct plan *plan, const struct transfer_record *r)
{
	return plan != NULL && r->service < plan->services.count &&
	    plan_service(plan, r->service)->state != ROW_EMPTY &&
	    r->backend < plan->backends.count &&
	    plan_backend(plan, r->backend)->state != ROW_EMPTY &&
	    r->listener < plan->listeners.count;
}

bool
record_is_sound(const struct worker *w, const struct transfer_record *r,
    const int *fds)
{
	const int *up = fds + 1 + (r->has_backend_fd != 0);
	const int *down = r->flows[FLOW_UP].has_pipe != 0 ? up + 2 : up;

	return r->id != 0 &&
	    (r->state == CONN_RELAYING || r->state == CONN_RESETTING) &&
	    r->dead_side < SIDES && r->has_backend != 0 &&
	    r->tried_count <= SLOT_TRIED_MAX &&
	    (r->builtin == 0 || r->builtin == ADDR_ECHO ||
		r->builtin == ADDR_DISCARD) &&
	    (r->has_backend_fd != 0) == (r->builtin == 0) &&
	    has_rows(w->plan, r) && is_flow_sound(&r->flows[FLOW_UP], up) &&
	    is_flow_sound(&r->flows[FLOW_DOWN], down);
}

static const int *
unpack_flow(struct worker *w, const struct transfer_flow *packed,
    const int *fds, struct flow *flow)
{
	flow->pulled = packed->pulled;
	flow->moved = packed->moved;
	flow->state = packed->state;
	if (packed->has_pipe == 0)
		return fds;
	if (!pipes_enter(&w->pipes, &flow->pipe, fds, packed->pipe_bytes))
		abort();
	return fds + 2;
}

void
record_unpack(struct worker *w, const struct transfer_record *r, const int *fds,
    struct slot *slot)
{
	slot->id = r->id;
	slot->arrives_as = r->state;
	slot->dead_side = r->dead_side;
	slot->builtin = r->builtin;
	slot->tried_count = r->tried_count;
	slot->tally = r->tally;
	memcpy(slot->tried, r->tried, sizeof(slot->tried));
	slot->service = r->service;
	slot->backend = r->backend;
	slot->listener = r->listener;
	slot->unacked = r->unacked;
	slot->connect_us = r->connect_us;
	slot->has_backend = 1;
	slot->accepted_us = r->accepted_us;
	slot->started_us = r->started_us;
	slot->phase_ms = r->phase_ms;
	slot->active_ms = r->active_ms;
	slot->client = r->client;
	slot->local = r->local;
	slot->source = r->source;
	slot->server = r->server;
	for (unsigned side = 0; side < SIDES; side++)
		slot->side_flags[side] =
		    (r->side_flags[side] & SIDE_TRAVELS) | SIDE_TAKEN;
	slot->fd[SIDE_CLIENT] = *fds++;
	if (r->has_backend_fd != 0)
		slot->fd[SIDE_BACKEND] = *fds++;
	fds = unpack_flow(w, &r->flows[FLOW_UP], fds, &slot->flows[FLOW_UP]);
	(void)unpack_flow(w, &r->flows[FLOW_DOWN], fds,
	    &slot->flows[FLOW_DOWN]);
}
