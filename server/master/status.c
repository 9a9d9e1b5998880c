/*
 * status - what the control socket may know of the master; see status.h.
 */
#include <stdatomic.h>
#include <string.h>

#include "common/clock.h"
#include "server/master/deaths.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "server/master/status.h"
#include "server/state/channel.h"

struct loop *
master_loop(struct master *m)
{
	return m->loop;
}

const struct plan *
master_plan(const struct master *m)
{
	return m->plan;
}

const struct bodies *
master_bodies(const struct master *m)
{
	return &m->bodies;
}

/* Workers write these: any number may stand there, and the protocol's
 * integers are signed. */
static uint64_t
counter(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed) & INT64_MAX;
}

static uint64_t
live(const _Atomic uint32_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static uint64_t
sum(uint64_t a, uint64_t b)
{
	return (a + b) & INT64_MAX;
}

/* What the name that has the row now has counted.  A worker that lies may let
 * its counters go back. */
static uint64_t
since(uint64_t value, const _Atomic uint64_t *base)
{
	uint64_t before = counter(base);

	return value > before ? value - before : 0;
}

uint64_t
status_stop_left_ms(const struct master *m)
{
	uint64_t end_ms = m->stop_at_ms;
	uint64_t now_ms;

	if (m->phase == MASTER_SERVING)
		return 0;
	if (m->phase == MASTER_DRAINING)
		end_ms += CHANNEL_SPREAD_MS;
	now_ms = loop_now_ms(m->loop);
	return end_ms > now_ms ? end_ms - now_ms : 0;
}

static bool
is_former(const struct body_ref *ref)
{
	return ref->body_fd >= 0 && !ref->is_current;
}

static uint32_t
count_former(const struct master *m)
{
	uint32_t count = 0;

	BODIES_EACH(&m->bodies, ref)
	count += is_former(ref);
	return count;
}

/* The i-th of those that are not their seat's current one, or NULL. */
static struct body_ref *
former_at(const struct master *m, uint32_t i)
{
	BODIES_EACH(&m->bodies, ref)
	{
		if (is_former(ref) && i-- == 0)
			return ref;
	}
	return NULL;
}

void
status_gateway(const struct master *m, struct gateway_status *status)
{
	*status = (struct gateway_status){
	    .uptime_s = (clock_monotonic_ms() - m->started_ms) / 1000,
	    .loaded_at_us = m->loaded_at_us,
	    .reload_ok = m->reload_ok,
	    .reload_at_us = m->reload_at_us,
	    .reload_message = m->reload_message,
	    .workers = m->bodies.count,
	    .retiring = count_former(m),
	    .is_stopping = m->phase != MASTER_SERVING,
	    .stop_left_ms = status_stop_left_ms(m),
	};
}

bool
status_worker_runs(const struct master *m, uint32_t i)
{
	const struct body_ref *ref = bodies_at(&m->bodies, i);

	return ref->worker_pid != 0 && ref->follows == m->plan->generation;
}

static const char *
worker_state(const struct body_ref *ref)
{
	const struct master *m = ref->master;

	if (m->phase != MASTER_SERVING || !ref->is_current)
		return "retiring";
	return status_worker_runs(m, ref->seat) ? "running" : "waiting";
}

static uint64_t
live_of(const struct body_ref *ref)
{
	return ref->body_fd < 0
	    ? 0
	    : live(&board_row(&ref->master->board, ref->row)->connections);
}

static uint64_t
accepted_of(const struct body_ref *ref)
{
	const struct master *m = ref->master;
	const struct board_row *row = board_row(&m->board, ref->row);
	uint64_t accepted = 0;

	if (!board_was_used(&m->board, ref->row))
		return 0;
	for (uint32_t s = 0; s < m->plan->services.count; s++)
		accepted = sum(accepted, counter(&row->services[s].accepted));
	return accepted;
}

static void
tell_death(const struct body_ref *ref, struct worker_status *status)
{
	if (!ref->has_death)
		return;
	status->has_death = true;
	status->death_at_us = ref->death.at_us & INT64_MAX;
	status->death_cause = deaths_cause(ref);
	status->death_signal =
	    ref->death.cause == DEATH_EXIT ? 0 : ref->death.status;
	status->death_address = ref->death.fault_address;
	status->death_culprit = ref->death.culprit & INT64_MAX;
}

/* What its seat has seen: counters never go back, whichever body counts. */
static void
add_seat(const struct body_ref *ref, struct worker_status *status)
{
	struct body_ref *partner = bodies_partner(&ref->master->bodies, ref);
	bool is_later;

	deaths_look(partner);
	is_later = partner->has_death &&
	    (!ref->has_death || partner->death.at_us > ref->death.at_us);
	status->accepted = sum(accepted_of(ref), accepted_of(partner));
	status->respawns = deaths_count(ref) + deaths_count(partner);
	tell_death(is_later ? partner : ref, status);
}

void
status_worker(const struct master *m, uint32_t i, struct worker_status *status)
{
	struct body_ref *ref = i < m->bodies.count
	    ? bodies_at(&m->bodies, i)
	    : former_at(m, i - m->bodies.count);

	*status = (struct worker_status){.state = "retiring"};
	if (ref == NULL)
		return;
	deaths_look(ref);
	*status = (struct worker_status){
	    .index = ref->seat,
	    .pid = ref->worker_pid,
	    .holder_pid = ref->holder_pid,
	    .state = worker_state(ref),
	    .fault = ref->fault[0] == '\0' ? NULL : ref->fault,
	    .shortages =
		atomic_load(&board_row(&m->board, ref->row)->shortages),
	    .connections = live_of(ref),
	};
	if (ref->is_current || ref->seat >= m->bodies.count)
		add_seat(ref, status);
}

void
status_listener_bound(const struct master *m, uint32_t listener,
    struct addr *bound)
{
	const struct plan_listener *row = plan_listener(m->plan, listener);
	const struct listener_group *group =
	    &m->listeners.groups[(size_t)2 * listener];

	*bound = row->addr;
	if ((size_t)2 * listener >= m->listeners.count)
		return;
	if (row->addr.kind == ADDR_PASSED)
		*bound = group->bound;
	else
		bound->port = group->bound.port;
}

void
status_service(const struct master *m, uint32_t service,
    struct service_status *status)
{
	const struct board_base *base = &m->board.head->services[service];

	memset(status, 0, sizeof(*status));
	for (int i = board_next_used(&m->board, -1); i >= 0;
	     i = board_next_used(&m->board, i)) {
		const struct board_service *row =
		    &board_row(&m->board, (uint32_t)i)->services[service];

		if (board_is_live(&m->board, (uint32_t)i))
			status->connections += live(&row->connections);
		status->accepted =
		    sum(status->accepted, counter(&row->accepted));
		status->refused = sum(status->refused, counter(&row->refused));
	}
	status->accepted = since(status->accepted, &base->accepted);
	status->refused = since(status->refused, &base->failed);
}

void
status_backend(const struct master *m, uint32_t backend,
    struct backend_status *status)
{
	const struct board_base *base = &m->board.head->backends[backend];

	*status = (struct backend_status){.state = "up", .admin = "ready"};
	for (int i = board_next_used(&m->board, -1); i >= 0;
	     i = board_next_used(&m->board, i)) {
		const struct board_backend *row =
		    &board_row(&m->board, (uint32_t)i)->backends[backend];

		if (board_is_live(&m->board, (uint32_t)i))
			status->connections += live(&row->connections);
		status->accepted =
		    sum(status->accepted, counter(&row->accepted));
		status->failed = sum(status->failed, counter(&row->failed));
	}
	status->accepted = since(status->accepted, &base->accepted);
	status->failed = since(status->failed, &base->failed);
}

static void
add_row(const struct board_row *row, struct totals_status *status)
{
	status->bytes_up = sum(status->bytes_up, counter(&row->bytes[FLOW_UP]));
	status->bytes_down =
	    sum(status->bytes_down, counter(&row->bytes[FLOW_DOWN]));
	status->culprits = sum(status->culprits, counter(&row->culprits));
	status->log_dropped =
	    sum(status->log_dropped, counter(&row->log_dropped));
}

/* Of all names that a row ever had: totals never go back. */
static void
add_counters(const struct master *m, const struct board_row *row,
    struct totals_status *status)
{
	for (uint32_t s = 0; s < m->plan->services.count; s++) {
		status->accepted =
		    sum(status->accepted, counter(&row->services[s].accepted));
		status->refused =
		    sum(status->refused, counter(&row->services[s].refused));
	}
	for (uint32_t b = 0; b < m->plan->backends.count; b++)
		status->failed_dials = sum(status->failed_dials,
		    counter(&row->backends[b].failed));
}

void
status_totals(const struct master *m, struct totals_status *status)
{
	*status = (struct totals_status){.log_dropped = logger_dropped()};
	for (int i = board_next_used(&m->board, -1); i >= 0;
	     i = board_next_used(&m->board, i)) {
		const struct board_row *row = board_row(&m->board, (uint32_t)i);
		struct body_ref *ref = &m->bodies.refs[i];

		if (board_is_live(&m->board, (uint32_t)i))
			status->connections += live(&row->connections);
		add_row(row, status);
		add_counters(m, row, status);
		deaths_look(ref);
		status->deaths += deaths_count(ref);
	}
}
