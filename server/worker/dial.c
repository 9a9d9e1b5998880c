/*
 * dial - from an accepted client to a connected backend; see dial.h.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "server/worker/attempt.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/dial.h"
#include "server/worker/levels.h"
#include "server/worker/pick.h"
#include "server/worker/poller.h"
#include "server/worker/relay.h"
#include "server/worker/tcp.h"

/* A lack of descriptors has no event. */
#define RETRY_MS 20

#define REFUSED_SAID_MS 10000

/* Descriptors are short. */
static void
postpone(struct worker *w, struct slot *slot)
{
	attempt_withdraw(w, slot);
	slot->is_postponed = 1;
	w->postponed++;
	timers_set(&w->timers, worker_slot_number(w, slot),
	    w->now_ms + RETRY_MS);
}

/* A backend that is down is told of now and then, not with every client. */
static void
say_refused(struct worker *w, const struct slot *slot)
{
	w->refused++;
	if (!levels_want(w, slot->service, LEVEL_WARN) ||
	    (w->refused_ms != 0 && w->now_ms - w->refused_ms < REFUSED_SAID_MS))
		return;
	w->refused_ms = w->now_ms;
	log_warn("no backend could be reached, clients are reset service=%s "
		 "tried=%u clients=%u",
	    plan_string(w->plan, conn_service(w, slot)->name),
	    slot->tried_count, w->refused);
	w->refused = 0;
}

/* error: why the last dial failed; 0: not just now. */
static void
refuse(struct worker *w, struct slot *slot, int error)
{
	if (conn_service(w, slot)->state != ROW_ACTIVE) {
		conn_close(w, slot, REASON_REMOVED, END_RESET);
		return;
	}
	/* Ports that are short are not the backends' fault, and were told. */
	if (error != EADDRNOTAVAIL)
		say_refused(w, slot);
	count_refused(w, slot);
	conn_close(w, slot, REASON_REFUSED, END_RESET);
}

/* What an attempt has come to that has not failed. */
static void
act_on(struct worker *w, struct slot *slot, enum attempt_result result)
{
	if (result == ATTEMPT_CONNECTED)
		relay_start(w, slot);
	else if (result == ATTEMPT_SHORT)
		postpone(w, slot);
}

void
dial_start(struct worker *w, struct slot *slot)
{
	uint64_t phase_ms = slot->phase_ms;
	enum attempt_result result;
	uint32_t backend = 0;
	int error = 0;

	/* What accept.c began is a connection now. */
	worker_journal(w, JOURNAL_CONN, worker_slot_number(w, slot));
	if (slot->is_postponed) {
		slot->is_postponed = 0;
		w->postponed--;
	}
	while (pick_backend(w, slot, &backend)) {
		result = attempt_begin(w, slot, backend);
		if (result != ATTEMPT_FAILED) {
			if (result == ATTEMPT_SHORT)
				slot->phase_ms = phase_ms;
			act_on(w, slot, result);
			return;
		}
		error = errno;
		attempt_fail(w, slot, error);
	}
	refuse(w, slot, error);
}

/* The present attempt has come to this; errno stands. */
static void
go_on(struct worker *w, struct slot *slot, enum attempt_result result)
{
	if (result != ATTEMPT_FAILED) {
		act_on(w, slot, result);
		return;
	}
	attempt_fail(w, slot, errno);
	dial_start(w, slot);
}

void
dial_on_event(struct worker *w, struct slot *slot, uint32_t events)
{
	if (slot->has_backend != 0 &&
	    (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		go_on(w, slot, attempt_on_event(w, slot, events));
}

void
dial_on_timer(struct worker *w, struct slot *slot)
{
	if (slot->has_backend != 0 && w->now_ms >= attempt_deadline(w, slot)) {
		attempt_fail(w, slot, ETIMEDOUT);
		dial_start(w, slot);
		return;
	}
	if (slot->has_backend == 0) {
		if (w->now_ms >= attempt_deadline(w, slot))
			refuse(w, slot, 0);
		else
			dial_start(w, slot);
		return;
	}
	go_on(w, slot, attempt_connect(w, slot));
}

void
dial_review(struct worker *w, struct slot *slot)
{
	enum plan_on_remove on_remove = conn_on_remove(w, slot);

	if (conn_service(w, slot)->state != ROW_ACTIVE) {
		if (on_remove == ON_REMOVE_CLOSE) {
			conn_close(w, slot, REASON_REMOVED, END_RESET);
			return;
		}
	} else if (on_remove != ON_REMOVE_KEEP) {
		/* Its backend was removed: there are others. */
		attempt_withdraw(w, slot);
		dial_start(w, slot);
		return;
	}
	if (attempt_deadline(w, slot) != UINT64_MAX)
		timers_hasten(&w->timers, worker_slot_number(w, slot),
		    attempt_deadline(w, slot));
}

static bool
is_connected(const struct slot *slot)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	return slot->fd[SIDE_BACKEND] != 0 &&
	    getpeername(slot->fd[SIDE_BACKEND], (struct sockaddr *)&ss,
		&length) == 0;
}

/* The dead worker may have got anywhere between the flag and the call. */
static void
forget_watch(struct slot *slot)
{
	for (unsigned side = 0; side < SIDES; side++) {
		if (slot->fd[side] != 0)
			poller_remove(slot->fd[side]);
		slot->side_flags[side] &= (uint8_t)~SIDE_WATCHED;
	}
}

/* Is it counted that the last of the tried ones failed? */
static bool
has_failed(const struct slot *slot)
{
	return slot->tried_count > 0 &&
	    (slot->tally & TALLY_FAILED << (slot->tried_count - 1)) != 0;
}

void
dial_recover(struct worker *w, struct slot *slot, bool was_worked_on)
{
	struct tcp_facts facts;

	if (was_worked_on)
		forget_watch(slot);
	if (slot->has_backend != 0 && has_failed(slot))
		attempt_end(w, slot);
	else if (slot->has_backend == 0 && !has_failed(slot) &&
	    slot->tried_count > 0)
		slot->tried_count--; /* it was only about to be tried */
	if (slot->has_backend == 0) {
		dial_start(w, slot);
		return;
	}
	if (is_connected(slot)) {
		go_on(w, slot, attempt_on_event(w, slot, EPOLLOUT));
		return;
	}
	if (slot->fd[SIDE_BACKEND] != 0 && slot->server.kind == ADDR_UNIX) {
		dial_on_timer(w, slot);
		return;
	}
	if (slot->fd[SIDE_BACKEND] != 0 &&
	    tcp_ask(slot->fd[SIDE_BACKEND], &facts) && facts.is_dialing) {
		if (attempt_watch(w, slot) == 0) {
			attempt_set_timer(w, slot, UINT64_MAX);
			return;
		}
	}
	/* It failed, or was never begun: in that case it counts as untried. */
	if (was_worked_on) {
		if (slot->tried_count > 0)
			slot->tried_count--;
		attempt_end(w, slot);
	} else {
		attempt_fail(w, slot, ECONNREFUSED);
	}
	dial_start(w, slot);
}
