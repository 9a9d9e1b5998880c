/*
 * interest - what epoll is asked to tell of a connection; see interest.h.
 */
#include "server/worker/interest.h"
#include "server/worker/poller.h"

static uint32_t
wanted(const struct slot *slot, enum side side)
{
	const struct flow *out = &slot->flows[side];
	const struct flow *in = &slot->flows[side_other(side)];
	uint32_t events = 0;

	if (slot->builtin == ADDR_ECHO)
		in = out;
	if (out->state == FLOW_OPEN && !flow_is_blocked(out) && !out->starved)
		events |= INTEREST_READ;
	if (flow_is_blocked(in))
		events |= EPOLLOUT;
	return events;
}

static uint64_t
key_of(const struct worker *w, const struct slot *slot, enum side side)
{
	return poller_key_conn(slot->id, worker_slot_number(w, slot), side);
}

/* HUP and ERR are reported whether wanted or not: a socket that has said so
 * and can't be acted on leaves the instance until it can. */
static int
update_side(struct worker *w, struct slot *slot, enum side side)
{
	uint64_t key = key_of(w, slot, side);
	uint8_t *flags = &slot->side_flags[side];
	uint32_t events = wanted(slot, side);
	int rc = 0;

	if (events == 0 && (*flags & SIDE_HUNG_UP) != 0) {
		if ((*flags & SIDE_WATCHED) != 0)
			poller_remove(slot->fd[side]);
		*flags &= (uint8_t)~SIDE_WATCHED;
	} else if ((*flags & SIDE_WATCHED) == 0) {
		rc = poller_add(slot->fd[side], key, events);
		*flags |= SIDE_WATCHED;
	} else if (events != slot->interest[side]) {
		rc = poller_change(slot->fd[side], key, events);
	}
	slot->interest[side] = events;
	return rc;
}

int
interest_update(struct worker *w, struct slot *slot)
{
	int rc = 0;

	for (unsigned side = 0; side < SIDES && rc == 0; side++) {
		if (slot->fd[side] != 0)
			rc = update_side(w, slot, (enum side)side);
	}
	return rc;
}

static int
recover_side(struct worker *w, struct slot *slot, enum side side)
{
	slot->side_flags[side] |= SIDE_WATCHED;
	slot->interest[side] = wanted(slot, side);
	return poller_watch(slot->fd[side], key_of(w, slot, side),
	    slot->interest[side]);
}

int
interest_recover(struct worker *w, struct slot *slot)
{
	int rc = 0;

	for (unsigned side = 0; side < SIDES && rc == 0; side++) {
		if (slot->fd[side] != 0)
			rc = recover_side(w, slot, (enum side)side);
	}
	return rc;
}
