/*
 * outbox - what is still to be said to a worker; see outbox.h.
 */
#include <errno.h>

#include "server/master/master.h"
#include "server/master/outbox.h"
#include "server/state/channel.h"

typedef int outbox_send_fn(struct body_ref *ref);

/* Orders */

static int
send_general_level(struct body_ref *ref)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_LEVEL);
	message.first = CHANNEL_ALL;
	message.level = ref->master->level;
	return channel_send(ref->channel_fd, &message, NULL, 0);
}

static int
send_service_level(struct body_ref *ref, uint32_t service)
{
	uint8_t level = ref->master->service_levels[service];
	struct channel_message message;

	if (level == MASTER_NO_LEVEL)
		return 0;
	channel_init(&message, CHANNEL_LEVEL);
	message.first = service;
	message.level = level;
	return channel_send(ref->channel_fd, &message, NULL, 0);
}

static int
send_levels(struct body_ref *ref)
{
	struct body_outbox *outbox = &ref->outbox;
	const struct master *m = ref->master;
	int rc;

	if (!outbox->is_level_sent) {
		rc = send_general_level(ref);
		if (rc < 0)
			return rc;
		outbox->is_level_sent = true;
		outbox->next_level = 0;
	}
	while (outbox->next_level < m->plan->services.count) {
		rc = send_service_level(ref, outbox->next_level);
		if (rc < 0)
			return rc;
		outbox->next_level++;
	}
	return 0;
}

static int
send_phase(struct body_ref *ref)
{
	const struct master *m = ref->master;
	struct channel_message message;
	int rc;

	if (ref->outbox.is_phase_sent || m->phase == MASTER_SERVING)
		return 0;
	channel_init(&message,
	    m->phase == MASTER_DRAINING ? CHANNEL_DRAIN : CHANNEL_STOP);
	/* Of this machine, as the worker's clock is. */
	message.until_ms = m->stop_at_ms;
	rc = channel_send(ref->channel_fd, &message, NULL, 0);
	ref->outbox.is_phase_sent = rc == 0;
	return rc;
}

static int
send_abort(struct body_ref *ref)
{
	struct channel_message message;
	int rc;

	if (ref->outbox.is_abort_sent || ref->outbox.aborted == 0)
		return 0;
	channel_init(&message, CHANNEL_ABORT);
	message.generation = ref->outbox.aborted;
	rc = channel_send(ref->channel_fd, &message, NULL, 0);
	ref->outbox.is_abort_sent = rc == 0;
	return rc;
}

static int
send_closing(struct body_ref *ref)
{
	const struct closing_round *closing = &ref->master->closing;
	struct channel_message message;
	int rc;

	if (!ref->owes_closing || ref->outbox.is_close_sent)
		return 0;
	channel_init(&message, CHANNEL_CLOSE);
	message.request = closing->request;
	message.filter = closing->filter;
	message.is_reset = closing->reset;
	rc = channel_send(ref->channel_fd, &message, NULL, 0);
	ref->outbox.is_close_sent = rc == 0;
	return rc;
}

static int
send_retire(struct body_ref *ref)
{
	struct channel_message message;
	int rc;

	if (!ref->is_retiring || ref->outbox.is_retire_sent)
		return 0;
	channel_init(&message, CHANNEL_RETIRE);
	rc = channel_send(ref->channel_fd, &message, NULL, 0);
	ref->outbox.is_retire_sent = rc == 0;
	return rc;
}

static int
send_end(struct body_ref *ref, struct body_end *end, enum channel_type type)
{
	struct channel_message message;
	int rc;

	if (end->transfer == 0 || end->fd < 0 || end->is_sent)
		return 0;
	channel_init(&message, type);
	message.request = end->transfer;
	message.count = end->count;
	rc = channel_send(ref->channel_fd, &message, &end->fd, 1);
	end->is_sent = rc == 0;
	end->sent_ms = loop_now_ms(ref->master->loop);
	return rc;
}

static int
send_give(struct body_ref *ref)
{
	return send_end(ref, &ref->give, CHANNEL_GIVE);
}

static int
send_take(struct body_ref *ref)
{
	return send_end(ref, &ref->take, CHANNEL_TAKE);
}

/* Parcels */

/* One that retires follows plans, and has no sockets. */
static uint32_t
members_of(const struct body_ref *ref, const struct plan *plan)
{
	uint32_t seats = listeners_seats(&ref->master->listeners);

	if (ref->is_retiring)
		return 0;
	/* No socket of a group is closed while its listener exists: the
	 * workers that there are share those of seats that are no more. */
	if (ref->seat >= plan->workers || ref->seat >= seats)
		return 1;
	return (seats - 1 - ref->seat) / plan->workers + 1;
}

/* The socket of a number that plan has, or, of one that is being prepared,
 * that is new in it; else -1. */
static int
own_socket(const struct body_ref *ref, const struct plan *plan, uint32_t number)
{
	const struct master *m = ref->master;
	const struct plan_listener *row = body_listener_row(plan, number);

	if (row == NULL || (plan == m->next && row->born != plan->generation))
		return -1;
	return listeners_fd(&m->listeners, number, ref->seat);
}

static int
socket_for(const struct body_ref *ref, const struct plan *plan, uint32_t member,
    uint32_t number)
{
	if (member == 0)
		return own_socket(ref, plan, number);
	if (body_listener_row(plan, number) == NULL)
		return -1;
	return listeners_member(&ref->master->listeners, number,
	    ref->seat + member * plan->workers);
}

/* Sockets of seats that are no more. */
static uint32_t
count_extras(const struct body_ref *ref, const struct plan *plan)
{
	uint32_t count = 0;

	for (uint32_t i = 1; i < members_of(ref, plan); i++) {
		for (uint32_t n = 0; n < 2 * plan->listeners.count; n++)
			count += socket_for(ref, plan, i, n) >= 0;
	}
	return count;
}

static int
send_plan(struct body_ref *ref, const struct plan *plan, int plan_fd)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_PLAN);
	message.generation = plan->generation;
	message.count = count_extras(ref, plan);
	return channel_send(ref->channel_fd, &message, &plan_fd, 1);
}

/* The next sockets in a row; numbers without one end it. */
static int
send_sockets(struct body_ref *ref, const struct plan *plan,
    struct body_parcel *parcel)
{
	uint32_t member = parcel->next_member;
	uint32_t count = 2 * plan->listeners.count;
	struct channel_message message;
	int fds[CHANNEL_FDS_MAX];
	int rc;

	channel_init(&message, CHANNEL_LISTENERS);
	message.generation = plan->generation;
	message.seat = ref->seat + member * plan->workers;
	while (parcel->next_socket < count &&
	    socket_for(ref, plan, member, parcel->next_socket) < 0)
		parcel->next_socket++;
	message.first = parcel->next_socket;
	while (message.count < CHANNEL_FDS_MAX) {
		int fd = socket_for(ref, plan, member,
		    message.first + message.count);

		if (fd < 0)
			break;
		fds[message.count++] = fd;
	}
	if (message.count == 0)
		return 0;
	rc = channel_send(ref->channel_fd, &message, fds, message.count);
	if (rc == 0)
		parcel->next_socket += message.count;
	return rc;
}

static int
send_members(struct body_ref *ref, const struct plan *plan,
    struct body_parcel *parcel)
{
	uint32_t members = members_of(ref, plan);
	int rc;

	while (parcel->next_member < members) {
		while (parcel->next_socket < 2 * plan->listeners.count) {
			rc = send_sockets(ref, plan, parcel);
			if (rc < 0)
				return rc;
		}
		parcel->next_member++;
		parcel->next_socket = 0;
	}
	return 0;
}

static int
send_parcel(struct body_ref *ref, const struct plan *plan, int plan_fd,
    struct body_parcel *parcel)
{
	int rc;

	if (plan == NULL || ref->master->phase != MASTER_SERVING)
		return 0;
	if (parcel->generation != plan->generation)
		*parcel = (struct body_parcel){.generation = plan->generation};
	if (parcel->is_ready)
		return 0;
	if (!parcel->is_plan_sent) {
		rc = send_plan(ref, plan, plan_fd);
		if (rc < 0)
			return rc;
		parcel->is_plan_sent = true;
	}
	return send_members(ref, plan, parcel);
}

static int
send_force(struct body_ref *ref)
{
	const struct master *m = ref->master;

	return send_parcel(ref, m->plan, m->plan_fd,
	    &ref->outbox.parcels[PARCEL_FORCE]);
}

static int
send_next(struct body_ref *ref)
{
	const struct master *m = ref->master;

	return send_parcel(ref, m->next, m->next_fd,
	    &ref->outbox.parcels[PARCEL_NEXT]);
}

int
outbox_send(struct body_ref *ref)
{
	/* What was given up goes before what is new. */
	static outbox_send_fn *const steps[] = {
	    send_levels,
	    send_phase,
	    send_abort,
	    send_force,
	    send_retire,
	    send_next,
	    send_closing,
	    send_take,
	    send_give,
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps) && rc == 0; i++)
		rc = steps[i](ref);
	return rc;
}

/* What has happened */

void
outbox_repeat(struct body_ref *ref)
{
	struct body_outbox *outbox = &ref->outbox;

	for (int i = 0; i < PARCELS; i++) {
		outbox->parcels[i].is_plan_sent = false;
		outbox->parcels[i].next_member = 0;
		outbox->parcels[i].next_socket = 0;
	}
	outbox->is_level_sent = false;
	outbox->is_phase_sent = false;
	outbox->is_abort_sent = false;
	outbox->is_close_sent = false;
	outbox->is_retire_sent = false;
	ref->give.is_sent = false;
	ref->take.is_sent = false;
}

void
outbox_clear(struct body_ref *ref)
{
	ref->outbox = (struct body_outbox){.aborted = 0};
}

void
outbox_level_changed(struct body_ref *ref)
{
	ref->outbox.is_level_sent = false;
}

void
outbox_phase_changed(struct body_ref *ref)
{
	ref->outbox.is_phase_sent = false;
}

void
outbox_retire_changed(struct body_ref *ref)
{
	ref->outbox.is_retire_sent = false;
}

void
outbox_closing_changed(struct body_ref *ref)
{
	ref->outbox.is_close_sent = false;
}

void
outbox_ready(struct body_ref *ref, uint64_t generation)
{
	for (int i = 0; i < PARCELS; i++) {
		struct body_parcel *parcel = &ref->outbox.parcels[i];

		/* A worker may say it unasked; then it is as good as lost. */
		if (parcel->is_plan_sent && parcel->generation == generation)
			parcel->is_ready = true;
	}
}

bool
outbox_is_ready(const struct body_ref *ref, uint64_t generation)
{
	for (int i = 0; i < PARCELS; i++) {
		const struct body_parcel *parcel = &ref->outbox.parcels[i];

		if (parcel->generation == generation && parcel->is_ready)
			return true;
	}
	return false;
}

void
outbox_commit(struct body_ref *ref)
{
	ref->outbox.parcels[PARCEL_FORCE] = ref->outbox.parcels[PARCEL_NEXT];
	ref->outbox.parcels[PARCEL_NEXT] =
	    (struct body_parcel){.generation = 0};
}

void
outbox_abort(struct body_ref *ref)
{
	struct body_parcel *parcel = &ref->outbox.parcels[PARCEL_NEXT];

	/* Perhaps it was sent to a predecessor. */
	if (parcel->generation != 0) {
		ref->outbox.aborted = parcel->generation;
		ref->outbox.is_abort_sent = false;
	}
	*parcel = (struct body_parcel){.generation = 0};
}
