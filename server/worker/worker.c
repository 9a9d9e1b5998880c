/*
 * worker - the process that accepts, dials and relays; see worker.h.
 *
 * Runs in: worker.  This file is its start and its loop.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/worker/accept.h"
#include "server/worker/conn.h"
#include "server/worker/dial.h"
#include "server/worker/door.h"
#include "server/worker/drain.h"
#include "server/worker/fault.h"
#include "server/worker/follow.h"
#include "server/worker/give.h"
#include "server/worker/leave.h"
#include "server/worker/levels.h"
#include "server/worker/orders.h"
#include "server/worker/poller.h"
#include "server/worker/relay.h"
#include "server/worker/review.h"
#include "server/worker/scarcity.h"
#include "server/worker/sweep.h"
#include "server/worker/take.h"
#include "server/worker/worker.h"

/* Even with nothing to do a worker shows that it lives. */
#define WAIT_MAX_MS 1000

static void
read_clock(struct worker *w)
{
	w->now_us = clock_monotonic_us();
	w->now_ms = w->now_us / 1000;
}

/* Memory that costs nothing until it is touched. */
static void *
reserve(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int
init_caches(struct worker *w)
{
	uint32_t slots = w->head->slots_max;

	w->listening =
	    reserve(sizeof(struct listening) * (size_t)BODY_SOCKETS_MAX);
	w->lower_until_ms =
	    reserve(sizeof(uint64_t) * (size_t)PLAN_BACKENDS_MAX);
	w->free_slots = reserve((slots + 1) * sizeof(uint32_t));
	w->starved.slots = reserve((slots + 1) * sizeof(uint32_t));
	w->starved.queued = reserve(slots + 1);
	if (w->listening == NULL || w->lower_until_ms == NULL ||
	    w->free_slots == NULL || w->starved.slots == NULL ||
	    w->starved.queued == NULL)
		return -ENOMEM;
	return timers_init(&w->timers, slots, w->now_ms);
}

static void
on_conn(struct worker *w, const struct poller_event *event)
{
	struct slot *slot;

	if (event->number >= w->head->slots_used)
		return;
	slot = worker_slot(w, event->number);
	/* Of a connection that ended earlier in this round. */
	if (!poller_is_for(event, slot->id) || slot_is_frozen(slot))
		return;
	worker_journal(w, JOURNAL_CONN, event->number);
	if (slot->state == CONN_RELAYING || slot->state == CONN_RESETTING)
		relay_on_event(w, slot, event->side, event->events);
	else if (slot->state == CONN_DIALING)
		dial_on_event(w, slot, event->events);
}

static void
on_timer(void *arg, uint32_t number)
{
	struct worker *w = arg;
	struct slot *slot = worker_slot(w, number);

	worker_journal(w, JOURNAL_CONN, number);
	if (slot->state == CONN_DIALING)
		dial_on_timer(w, slot);
	else if (slot->state == CONN_RELAYING || slot->state == CONN_RESETTING)
		relay_on_timer(w, slot);
	worker_journal(w, JOURNAL_NONE, 0);
}

/* What there is one of.  No connection is to blame for what happens here. */
static void
on_single(struct worker *w, enum poller_kind kind)
{
	static void (*const handlers[POLLER_KINDS])(struct worker * w) = {
	    [POLLER_CHANNEL] = orders_on_event,
	    [POLLER_DOOR] = door_on_event,
	    [POLLER_GIVE] = give_on_event,
	    [POLLER_TAKE] = take_on_event,
	};

	worker_journal(w, JOURNAL_NONE, 0);
	if (kind < POLLER_KINDS && handlers[kind] != NULL)
		handlers[kind](w);
}

static void
dispatch(struct worker *w, int count)
{
	for (int i = 0; i < count; i++) {
		struct poller_event event = poller_event(i);

		if (event.kind == POLLER_CONN)
			on_conn(w, &event);
		else if (event.kind == POLLER_LISTENER)
			accept_on_event(w, event.number);
		else
			on_single(w, event.kind);
	}
	worker_journal(w, JOURNAL_NONE, 0);
}

static uint32_t
wait_ms(struct worker *w)
{
	uint32_t limit = WAIT_MAX_MS;
	uint64_t watchdog = w->head->watchdog_ms;

	if (watchdog != 0 && watchdog / 4 < limit)
		limit = (uint32_t)(watchdog / 4);
	if (w->review.is_on || w->closing.is_on)
		return 0;
	limit = drain_wait(w, limit);
	limit = door_wait(w, limit);
	limit = give_wait(w, limit);
	limit = take_wait(w, limit);
	/* A pipe or a place may come from another process, without an event.
	 */
	if ((w->paused > 0 || w->starved.count > 0) && limit > 20)
		limit = 20;
	return timers_wait(&w->timers, w->now_ms, limit);
}

static void
show_life(struct worker *w)
{
	_Atomic uint64_t *beat = &w->head->beat;

	atomic_store_explicit(beat,
	    atomic_load_explicit(beat, memory_order_relaxed) + 1,
	    memory_order_relaxed);
}

static int
serve(struct worker *w)
{
	int count;

	while (!w->is_done) {
		show_life(w);
		count = poller_wait(wait_ms(w));
		if (count < 0)
			abort();
		read_clock(w);
		w->round++;
		dispatch(w, count);
		timers_run(&w->timers, w->now_ms, on_timer, w);
		relay_feed(w);
		worker_journal(w, JOURNAL_NONE, 0);
		review_run(w);
		accept_resume(w);
		leave_relieved(w);
		scarcity_check(w);
		orders_check(w);
		orders_follow(w);
		door_run(w);
		give_run(w);
		take_run(w);
		drain_run(w);
		atomic_store_explicit(&w->head->settled, 1,
		    memory_order_relaxed);
	}
	return WORKER_EXIT_DONE;
}

int
worker_main(struct body *body, const struct board *board, struct board_row *row)
{
	struct worker w = {
	    .body = *body,
	    .head = body->head,
	    .board = board,
	    .row = row,
	};

	read_clock(&w);
	log_open(orders_log, (enum log_level)body->head->log_level);
	if (body_head_fault(w.head, body->size) != NULL) {
		log_error("the body of worker %u is damaged beyond use: %s",
		    w.head->seat, body_head_fault(w.head, body->size));
		return WORKER_EXIT_BROKEN;
	}
	levels_init(&w);
	scarcity_recover(&w);
	fault_install(w.head);
	door_recover();
	if (init_caches(&w) < 0 || sweep(&w) < 0) {
		log_error("worker %u can't start: %s", w.head->seat,
		    strerror(ENOMEM));
		return 1;
	}
	follow_recover(&w);
	pipes_reserve(&w.pipes);
	take_recover(&w);
	give_recover(&w);
	orders_open(&w);
	drain_recover(&w);
	return serve(&w);
}
