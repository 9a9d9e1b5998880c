/*
 * control_fakes - what the made-up gateway of control_gateway.h tells of
 * itself, and does when the control socket asks for it.
 *
 * Stands in for the functions of status.h, reload.h, closing.h and those of
 * the master: one test program each.
 */
#ifndef SRVD_TESTS_CONTROL_FAKES_H
#define SRVD_TESTS_CONTROL_FAKES_H

#include <signal.h>

#include "common/log.h"
#include "tests/unit/control_gateway.h"

/* Of master.h, which has another struct master. */
void master_stop(struct master *m, uint64_t drain_ms);
void master_set_level(struct master *m, enum log_level level, uint32_t service);
int master_reopen_logs(struct master *m, char *why, size_t why_size);

/* What status.h tells. */

void
status_gateway(const struct master *m, struct gateway_status *status)
{
	*status = (struct gateway_status){
	    .uptime_s = 5,
	    .loaded_at_us = 1700000000000000,
	    .reload_ok = true,
	    .reload_at_us = 1700000000000000,
	    .workers = m->workers,
	    .is_stopping = shared->is_stopping,
	    .stop_left_ms = shared->stop_ms,
	};
}

void
status_worker(const struct master *m, uint32_t i, struct worker_status *status)
{
	(void)m;
	*status = (struct worker_status){
	    .index = i,
	    .pid = (pid_t)(100 + i),
	    .holder_pid = (pid_t)(200 + i),
	    .state = i == 0 ? "running" : "waiting",
	    .fault = i == 0 ? NULL : "its body is not its own",
	    .shortages = i == 0 ? 0 : UINT32_MAX,
	    .connections = 3,
	    .accepted = UINT64_MAX,
	    .has_death = i == 0,
	    .death_at_us = 1700000000000000,
	    .death_cause = "signal",
	    .death_signal = SIGSEGV,
	    .death_address = 0x7f3d5c0010a8,
	    .death_culprit = 17,
	};
}

void
status_service(const struct master *m, uint32_t service,
    struct service_status *status)
{
	(void)m;
	*status = (struct service_status){.connections = service};
}

void
status_backend(const struct master *m, uint32_t backend,
    struct backend_status *status)
{
	(void)m;
	*status = (struct backend_status){
	    .state = backend == 0 ? "up" : "down",
	    .admin = "ready",
	};
}

void
status_totals(const struct master *m, struct totals_status *status)
{
	(void)m;
	*status = (struct totals_status){.bytes_up = 1u << 30};
}

/* Reload */

static inline void
reload_tell(const struct fake_work *work)
{
	static const struct reload_change changes[] = {
	    {{CHANGE_ADDED, OBJECT_SERVICE, "new", "new", 4}, 0, ""},
	    {{CHANGE_REMOVED, OBJECT_BACKEND, "redis", "b", 3}, 5, "drain"},
	    {{CHANGE_CHANGED, OBJECT_SETTING, "", "log.level", 0}, 0, ""},
	    {{CHANGE_REMOVED, OBJECT_LISTENER, "web", "unix:/w\xff", 1}, 2, ""},
	};
	static char file[] = "/etc/srvd/\xff.conf";
	static char message[] = "no such key 'lisen': did you mean 'listen'?";
	static const struct config_error errors[] = {
	    {file, 3, message}, {file, 0, message}};
	struct reload_outcome outcome = {
	    .ok = shared->outcome == FAKE_DONE,
	    .dry_run = work->dry_run,
	    .generation = gateway.plan.head.generation,
	};

	if (shared->outcome == FAKE_DONE) {
		outcome.changes = changes;
		outcome.changes_count = ARRAY_LEN(changes);
	} else if (shared->outcome == FAKE_INVALID) {
		outcome.errors = errors;
		outcome.errors_count = ARRAY_LEN(errors);
	} else {
		outcome.stage = "bind";
		outcome.message = "0.0.0.0:80 is in use by pid 17";
	}
	if (work->reload_done != NULL)
		work->reload_done(work->arg, &outcome);
}

static inline void
on_reload_time(struct loop_timer *timer)
{
	struct fake_work *work = timer->arg;

	if (shared->outcome == FAKE_DONE && !work->dry_run)
		gateway.plan.head.generation++;
	if (shared->drops_old)
		gateway.plan.services[OLD].name =
		    gateway.plan.backends[REDIS_B].name;
	work->is_under_way = false;
	reload_tell(work);
	shared->dry_runs += work->dry_run;
	shared->reloads++;
}

int
reload_begin(struct master *m, bool dry_run, reload_done_fn *done, void *arg)
{
	if (shared->is_stopping)
		return -ESHUTDOWN;
	if (m->reload.is_under_way)
		return -EBUSY;
	m->reload = (struct fake_work){
	    .timer = {.due = on_reload_time, .arg = &m->reload},
	    .is_under_way = true,
	    .dry_run = dry_run,
	    .arg = arg,
	    .reload_done = done,
	};
	loop_timer_set(m->loop, &m->reload.timer, shared->takes_ms);
	return 0;
}

void
reload_forget(struct master *m, const void *arg)
{
	shared->forgotten++;
	if (m->reload.arg != arg)
		return;
	m->reload.reload_done = NULL;
	m->reload.arg = NULL;
}

/* Closing */

static inline void
on_closing_time(struct loop_timer *timer)
{
	struct fake_work *work = timer->arg;

	work->is_under_way = false;
	if (work->closing_done != NULL)
		work->closing_done(work->arg, 7);
	shared->closings++;
}

const char *
closing_hindrance(const struct master *m)
{
	if (shared->is_stopping)
		return RELOAD_STOPS;
	return m->closing.is_under_way ? CLOSING_IS_BUSY : NULL;
}

int
closing_begin(struct master *m, const struct filter *filter, bool reset,
    closing_done_fn *done, void *arg)
{
	if (closing_hindrance(m) != NULL)
		return -EBUSY;
	shared->filter = *filter;
	shared->reset = reset;
	m->closing = (struct fake_work){
	    .timer = {.due = on_closing_time, .arg = &m->closing},
	    .is_under_way = true,
	    .arg = arg,
	    .closing_done = done,
	};
	loop_timer_set(m->loop, &m->closing.timer, shared->takes_ms);
	return 0;
}

void
closing_forget(struct master *m, const void *arg)
{
	shared->forgotten++;
	if (m->closing.arg != arg)
		return;
	m->closing.closing_done = NULL;
	m->closing.arg = NULL;
}

/* Rebalancing */

static inline void
on_rebalance_time(struct loop_timer *timer)
{
	struct fake_work *work = timer->arg;

	work->is_under_way = false;
	if (work->rebalance_done != NULL)
		work->rebalance_done(work->arg, 7,
		    shared->outcome == FAKE_DONE ? NULL : "it \"broke\"");
	shared->rebalances++;
}

const char *
rebalance_hindrance(const struct master *m)
{
	if (shared->is_stopping)
		return RELOAD_STOPS;
	return m->rebalance.is_under_way ? REBALANCE_IS_BUSY : NULL;
}

int
rebalance_begin(struct master *m, rebalance_done_fn *done, void *arg)
{
	if (rebalance_hindrance(m) != NULL)
		return -EBUSY;
	m->rebalance = (struct fake_work){
	    .timer = {.due = on_rebalance_time, .arg = &m->rebalance},
	    .is_under_way = true,
	    .arg = arg,
	    .rebalance_done = done,
	};
	loop_timer_set(m->loop, &m->rebalance.timer, shared->takes_ms);
	return 0;
}

void
rebalance_forget(struct master *m, const void *arg)
{
	shared->forgotten++;
	if (m->rebalance.arg != arg)
		return;
	m->rebalance.rebalance_done = NULL;
	m->rebalance.arg = NULL;
}

/* Upgrading: in the end as the outcome says; a program that is named is none. */

static inline void
on_upgrade_time(struct loop_timer *timer)
{
	struct fake_work *work = timer->arg;
	const struct upgrade_outcome outcome = {
	    .ok = shared->outcome == FAKE_DONE,
	    .program = "/srvd\xff",
	    .from = "1.0",
	    .to = "2.0",
	    .remaining = 3,
	    .stage = UPGRADE_STAGE_CHECK,
	    .message = "it ended with status 1",
	};

	work->is_under_way = false;
	if (work->upgrade_done != NULL)
		work->upgrade_done(work->arg, &outcome);
	shared->upgrades++;
}

int
upgrade_begin(struct master *m, const char *program,
    const struct upgrade_waiter *waiter, struct upgrade_outcome *refused,
    char *why, size_t why_size)
{
	(void)snprintf(why, why_size, "%s: no such file",
	    program == NULL ? "-" : program);
	*refused = (struct upgrade_outcome){
	    .stage = UPGRADE_STAGE_PROGRAM,
	    .message = why,
	};
	if (program != NULL)
		return -ENOENT;
	m->upgrade = (struct fake_work){
	    .timer = {.due = on_upgrade_time, .arg = &m->upgrade},
	    .is_under_way = true,
	    .arg = waiter->arg,
	    .upgrade_done = waiter->done,
	};
	loop_timer_set(m->loop, &m->upgrade.timer, shared->takes_ms);
	return 0;
}

bool
upgrade_is_busy(const struct master *m)
{
	(void)m;
	return shared->is_upgrading;
}

void
upgrade_forget(struct master *m, const void *arg)
{
	shared->forgotten++;
	if (m->upgrade.arg != arg)
		return;
	m->upgrade.upgrade_done = NULL;
	m->upgrade.arg = NULL;
}

/* What is done at once */

void
master_set_level(struct master *m, enum log_level level, uint32_t service)
{
	(void)m;
	shared->level = level;
	shared->level_service = service;
}

int
master_reopen_logs(struct master *m, char *why, size_t why_size)
{
	(void)m;
	shared->reopened++;
	if (shared->outcome == FAKE_DONE)
		return 0;
	(void)snprintf(why, why_size, "can't open /log again: it is full");
	return -ENOSPC;
}

void
master_stop(struct master *m, uint64_t drain_ms)
{
	(void)m;
	shared->is_stopping = true;
	shared->stop_ms = drain_ms;
	shared->stops++;
}

#endif
