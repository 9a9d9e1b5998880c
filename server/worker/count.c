/*
 * count - counters that a death neither loses from nor adds to; see count.h.
 */
#include <string.h>

#include "server/worker/count.h"

/* The record and the event's bit; the counter itself is the caller's. */
static void
commit(struct worker *w, struct slot *slot, unsigned bit, uint64_t offset,
    uint64_t value)
{
	struct body_redo *redo = &w->head->redo;

	redo->id = 0;
	atomic_signal_fence(memory_order_seq_cst);
	redo->slot = worker_slot_number(w, slot);
	redo->tally = bit;
	redo->offset = offset;
	redo->value = value;
	atomic_signal_fence(memory_order_seq_cst);
	redo->id = slot->id;
	atomic_signal_fence(memory_order_seq_cst);
	slot->tally |= (uint16_t)bit;
	atomic_signal_fence(memory_order_seq_cst);
}

static void
count_once(struct worker *w, struct slot *slot, unsigned bit,
    _Atomic uint64_t *counter)
{
	uint64_t offset = (uint64_t)((char *)counter - (char *)w->row);
	uint64_t value;

	if ((slot->tally & bit) != 0)
		return;
	value = atomic_load_explicit(counter, memory_order_relaxed) + 1;
	commit(w, slot, bit, offset, value);
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

void
count_accepted(struct worker *w, struct slot *slot)
{
	count_once(w, slot, TALLY_ACCEPTED,
	    &w->row->services[slot->service].accepted);
}

void
count_connected(struct worker *w, struct slot *slot)
{
	count_once(w, slot, TALLY_CONNECTED,
	    &w->row->backends[slot->backend].accepted);
}

void
count_refused(struct worker *w, struct slot *slot)
{
	count_once(w, slot, TALLY_REFUSED,
	    &w->row->services[slot->service].refused);
}

void
count_failed(struct worker *w, struct slot *slot)
{
	if (slot->tried_count == 0)
		return;
	count_once(w, slot, TALLY_FAILED << (slot->tried_count - 1),
	    &w->row->backends[slot->backend].failed);
}

void
count_logged(struct worker *w, struct slot *slot, uint64_t access_head)
{
	if ((slot->tally & TALLY_LOGGED) != 0)
		return;
	commit(w, slot, TALLY_LOGGED, BODY_REDO_ACCESS, access_head);
	/* The master, which reads it, must find the bytes before it. */
	atomic_store(&w->head->access_head, access_head);
}

void
count_unlogged(struct worker *w, struct slot *slot)
{
	count_once(w, slot, TALLY_LOGGED, &w->row->log_dropped);
}

void
count_closed(struct worker *w, struct slot *slot)
{
	_Atomic uint64_t *closed = &w->head->closing.closed;
	uint64_t value = atomic_load(closed) + 1;

	if ((slot->tally & TALLY_CLOSED) != 0)
		return;
	commit(w, slot, TALLY_CLOSED, BODY_REDO_CLOSED, value);
	atomic_store(closed, value);
}

void
count_closed_begin(struct worker *w)
{
	/* What was counted for the last request is done. */
	w->head->redo.id = 0;
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store(&w->head->closing.closed, 0);
}

static void
add_live(_Atomic uint32_t *counter, int by)
{
	uint32_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + (uint32_t)by,
	    memory_order_relaxed);
}

void
count_live_service(struct worker *w, const struct slot *slot, int by)
{
	add_live(&w->row->connections, by);
	add_live(&w->row->services[slot->service].connections, by);
}

void
count_live_backend(struct worker *w, const struct slot *slot, int by)
{
	add_live(&w->row->backends[slot->backend].connections, by);
}

void
count_bytes(struct worker *w, enum direction direction, uint64_t bytes)
{
	_Atomic uint64_t *counter = &w->row->bytes[direction];

	atomic_store_explicit(counter,
	    atomic_load_explicit(counter, memory_order_relaxed) + bytes,
	    memory_order_relaxed);
}

/* By how much the store that is done again may move what it changes. */
static uint64_t
redo_step(const struct body_redo *r)
{
	return r->offset == BODY_REDO_ACCESS ? BODY_ACCESS_LINE : 1;
}

/* What the record names; NULL if that is nothing. */
static _Atomic uint64_t *
redo_counter(struct worker *w, const struct body_redo *r)
{
	if (r->offset == BODY_REDO_ACCESS)
		return &w->head->access_head;
	if (r->offset == BODY_REDO_CLOSED)
		return &w->head->closing.closed;
	if (r->offset > sizeof(*w->row) - sizeof(uint64_t) ||
	    r->offset % sizeof(uint64_t) != 0)
		return NULL;
	return (_Atomic uint64_t *)((char *)w->row + r->offset);
}

static void
redo(struct worker *w)
{
	const struct body_redo *r = &w->head->redo;
	_Atomic uint64_t *counter = redo_counter(w, r);
	const struct slot *slot;

	if (r->id == 0 || r->slot >= w->head->slots_max || counter == NULL)
		return;
	slot = worker_slot(w, r->slot);
	if (slot->id != r->id || (slot->tally & r->tally) == 0)
		return;
	/* Not if it has gone on since: lost log lines are counted in one of
	 * these, too, without a record. */
	if (r->value - atomic_load(counter) <= redo_step(r))
		atomic_store(counter, r->value);
}

void
count_recover(struct worker *w)
{
	redo(w);
	atomic_store(&w->row->connections, 0);
	/* Only as far as the plan goes: what lies behind was never touched,
	 * and reading it would cost memory. */
	for (uint32_t i = 0; w->plan != NULL && i < w->plan->services.count;
	     i++)
		atomic_store(&w->row->services[i].connections, 0);
	for (uint32_t i = 0; w->plan != NULL && i < w->plan->backends.count;
	     i++)
		atomic_store(&w->row->backends[i].connections, 0);
}
