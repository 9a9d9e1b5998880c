/*
 * conn - the life of a connection's slot; see conn.h.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/worker/access.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/flow.h"
#include "server/worker/levels.h"
#include "server/worker/poller.h"

const struct plan_service *
conn_service(const struct worker *w, const struct slot *slot)
{
	return plan_service(w->plan, slot->service);
}

enum plan_on_remove
conn_on_remove(const struct worker *w, const struct slot *slot)
{
	const struct plan_service *service = conn_service(w, slot);

	if (service->state == ROW_ACTIVE &&
	    (slot->has_backend == 0 ||
		plan_backend(w->plan, slot->backend)->state == ROW_ACTIVE))
		return ON_REMOVE_KEEP;
	return (enum plan_on_remove)service->on_remove;
}

bool
conn_side_is_tcp(const struct slot *slot, enum side side)
{
	uint8_t kind =
	    side == SIDE_CLIENT ? slot->client.kind : slot->server.kind;

	return kind == ADDR_TCP4 || kind == ADDR_TCP6;
}

static struct slot *
find_free(struct worker *w)
{
	struct slot *slot;
	uint32_t number;

	if (w->free_count > 0)
		number = w->free_slots[--w->free_count];
	else if (w->head->slots_used < w->head->slots_max)
		number = w->head->slots_used++;
	else
		return NULL;
	slot = worker_slot(w, number);
	memset(slot, 0, sizeof(*slot));
	return slot;
}

struct slot *
conn_claim(struct worker *w)
{
	struct slot *slot = find_free(w);

	if (slot == NULL)
		return NULL;
	slot->id = w->head->next_id;
	/* Ids of the bodies of a gateway never meet: each row has those that
	 * leave its own remainder. */
	w->head->next_id += BOARD_ROWS;
	atomic_store_explicit(&w->row->next_id, w->head->next_id,
	    memory_order_relaxed);
	slot_set_state(slot, CONN_ACCEPTING);
	w->live++;
	return slot;
}

struct slot *
conn_place(struct worker *w, uint32_t batch)
{
	struct slot *slot = find_free(w);

	if (slot == NULL)
		return NULL;
	slot->batch = batch;
	atomic_signal_fence(memory_order_seq_cst);
	slot_set_state(slot, CONN_ARRIVING);
	w->live++;
	return slot;
}

static void
free_slot(struct worker *w, struct slot *slot)
{
	slot_set_state(slot, CONN_FREE);
	w->free_slots[w->free_count++] = worker_slot_number(w, slot);
	w->live--;
}

void
conn_unclaim(struct worker *w, struct slot *slot)
{
	free_slot(w, slot);
}

void
conn_accepted(struct worker *w, struct slot *slot)
{
	slot->accepted_us = clock_epoch_us();
	slot->started_us = w->now_us;
	slot->phase_ms = w->now_ms;
	slot->active_ms = w->now_ms;
	slot_set_state(slot, CONN_DIALING);
	count_accepted(w, slot);
	count_live_service(w, slot, 1);
}

void
conn_close_side(struct slot *slot, enum side side)
{
	int fd = slot->fd[side];

	/* With it open elsewhere epoll would go on telling of a number that is
	 * nobody's or another's. */
	if (fd != 0 && (slot->side_flags[side] & SIDE_TAKEN) != 0)
		poller_remove(fd);
	/* Forgotten first: if we die before the close, the sweep closes what
	 * stands nowhere, and never a number twice. */
	slot->fd[side] = 0;
	slot->interest[side] = 0;
	slot->side_flags[side] = 0;
	if (fd != 0)
		close(fd);
}

void
conn_reset_at_close(const struct slot *slot, enum side side)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(slot->fd[side], SOL_SOCKET, SO_LINGER, &reset,
	    sizeof(reset));
}

static void
part_side(const struct slot *slot, enum side side, enum conn_end end)
{
	if (slot->fd[side] == 0)
		return;
	if (end == END_RESET && conn_side_is_tcp(slot, side))
		conn_reset_at_close(slot, side);
	else if (end != END_CLEAN)
		(void)shutdown(slot->fd[side], SHUT_RDWR);
}

void
conn_finish(struct worker *w, struct slot *slot)
{
	if (slot->state != CONN_CLOSING)
		slot_set_state(slot, CONN_CLOSING);
	flow_abandon(&slot->flows[FLOW_UP], &w->pipes);
	flow_abandon(&slot->flows[FLOW_DOWN], &w->pipes);
	conn_close_side(slot, SIDE_CLIENT);
	conn_close_side(slot, SIDE_BACKEND);
	timers_cancel(&w->timers, worker_slot_number(w, slot));
	if (slot->is_postponed)
		w->postponed--;
	free_slot(w, slot);
	/* There may be room now for those that wait to be accepted. */
	w->resume_ms = w->now_ms;
}

void
conn_leave(struct worker *w, struct slot *slot)
{
	bool was_ours = slot->state != CONN_ARRIVING;

	if (was_ours) {
		slot_set_state(slot, CONN_CLOSING);
		count_live_service(w, slot, -1);
		count_live_backend(w, slot, -1);
	}
	for (unsigned d = 0; d < 2; d++) {
		if (slot->flows[d].pipe != 0)
			pipes_leave(&w->pipes, &slot->flows[d].pipe);
	}
	conn_close_side(slot, SIDE_CLIENT);
	conn_close_side(slot, SIDE_BACKEND);
	timers_cancel(&w->timers, worker_slot_number(w, slot));
	free_slot(w, slot);
	w->resume_ms = w->now_ms;
}

void
conn_close(struct worker *w, struct slot *slot, enum close_reason reason,
    enum conn_end end)
{
	const struct flow *up = &slot->flows[FLOW_UP];
	const struct flow *down = &slot->flows[FLOW_DOWN];

	/* An end that loses bytes must not look like a clean one, nor one in
	 * the middle of passing a reset on. */
	if (end == END_SHUTDOWN &&
	    (flow_pending(up) > 0 || flow_pending(down) > 0 ||
		slot->state == CONN_RESETTING))
		end = END_RESET;
	if (levels_want(w, slot->service, LEVEL_DEBUG))
		log_debug("connection ended id=%llu service=%s reason=%s "
			  "up=%llu down=%llu",
		    (unsigned long long)slot->id,
		    plan_string(w->plan, conn_service(w, slot)->name),
		    reason_word(reason), (unsigned long long)up->moved,
		    (unsigned long long)down->moved);
	/* With a reason it is as good as closed: a successor ends it so. */
	slot->end = (uint8_t)end;
	atomic_signal_fence(memory_order_seq_cst);
	slot->reason = (uint8_t)reason;
	if (reason == REASON_CLOSED)
		count_closed(w, slot);
	/* A culprit's worker may have died before it got to that. */
	count_accepted(w, slot);
	access_note(w, slot);
	part_side(slot, SIDE_CLIENT, end);
	part_side(slot, SIDE_BACKEND, end);
	slot_set_state(slot, CONN_CLOSING);
	count_live_service(w, slot, -1);
	if (slot->has_backend)
		count_live_backend(w, slot, -1);
	conn_finish(w, slot);
}
