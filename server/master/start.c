/*
 * start - what a master begins with; see start.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/config/config.h"
#include "server/master/control.h"
#include "server/master/in_use.h"
#include "server/master/master.h"
#include "server/master/start.h"
#include "server/master/takeover.h"
#include "server/master/upgrade.h"
#include "server/state/shm.h"

/* The plan */

static void
drop_plan(struct master *m)
{
	plan_unmap(m->plan);
	m->plan = NULL;
	if (m->plan_fd >= 0)
		close(m->plan_fd);
	m->plan_fd = -1;
}

/* The plan that follows the one of bodies that were found. */
static void
request_succession(const struct master *m, struct config_request *request)
{
	uint64_t in_force = atomic_load(&m->board_head->generation);
	uint64_t last = m->takeover->last_generation;

	request->generation = (last > in_force ? last : in_force) + 1;
	request->previous = m->takeover->plan;
	request->service_in_use = in_use_service;
	request->backend_in_use = in_use_backend;
	request->in_use_arg = m;
}

static int
load_plan(struct master *m, const struct master_options *options)
{
	struct config_request request = {
	    .path = options->config_path,
	    .generation = 1,
	    .nofile = m->nofile,
	    .passed = &m->passed,
	};
	struct config_result result;
	int rc;

	drop_plan(m);
	if (m->takeover != NULL)
		request_succession(m, &request);
	rc = config_load(&request, &result);
	for (size_t i = 0; i < result.errors_count; i++) {
		const struct config_error *e = &result.errors[i];

		if (e->line != 0)
			log_error("%s:%u: %s", e->file, e->line, e->message);
		else
			log_error("%s: %s", e->file, e->message);
	}
	m->plan = result.plan;
	m->plan_fd = result.plan_fd;
	result.plan = NULL;
	result.plan_fd = -1;
	config_result_release(&result);
	m->last_generation = request.generation;
	m->loaded_at_us = clock_epoch_us();
	m->reload_ok = true;
	m->reload_at_us = m->loaded_at_us;
	return m->plan == NULL && rc == 0 ? -EINVAL : rc;
}

/* The board */

/* The one of bodies that were found, or a new one. */
static int
make_board(struct master *m)
{
	if (m->takeover == NULL)
		return board_create(&m->board_fd, &m->board_read_fd);
	m->board_fd = takeover_board(m->takeover);
	if (m->board_fd < 0)
		return m->board_fd;
	m->board_read_fd = shm_reopen(m->board_fd);
	return m->board_read_fd < 0 ? m->board_read_fd : 0;
}

static int
open_board(struct master *m)
{
	int rc = make_board(m);

	if (rc == 0)
		rc = board_map(m->board_read_fd, &m->board);
	if (rc < 0)
		return rc;
	m->board_head = board_map_head(m->board_fd);
	return m->board_head == NULL ? -errno : 0;
}

static int
read_config(struct master *m, const struct master_options *options, char *why,
    size_t why_size)
{
	int rc = load_plan(m, options);

	if (rc < 0)
		(void)snprintf(why, why_size, "the configuration %s",
		    rc == -EINVAL ? "has errors" : "could not be read");
	return rc;
}

/* A worker that hangs is replaced after the watchdog's time, and its successor
 * answers. */
static uint64_t
collect_ms(const struct plan *plan)
{
	uint64_t watchdog = plan->watchdog_ms;

	return watchdog < TAKEOVER_MS ? TAKEOVER_MS + watchdog : 2 * watchdog;
}

int
start_open(struct master *m, const struct master_options *options, char *why,
    size_t why_size)
{
	int rc = read_config(m, options, why, why_size);
	const char *why_not;

	if (rc == 0 && !control_is_heir(upgrade_heir(m), m->plan))
		rc = control_probe(m->plan, why, why_size);
	if (rc == 0)
		rc = doors_open(&m->doors,
		    plan_string(m->plan, m->plan->control.path), why, why_size);
	if (rc < 0)
		return rc;
	m->takeover =
	    takeover_collect(m, collect_ms(m->plan), why, why_size, &rc);
	if (rc == 0)
		rc = open_board(m);
	if (m->takeover == NULL || rc < 0)
		return rc;
	rc = read_config(m, options, why, why_size);
	if (rc < 0 || m->takeover->plan == NULL)
		return rc;
	rc = plan_check_succession(m->takeover->plan, m->plan, &why_not);
	if (rc < 0)
		(void)snprintf(why, why_size,
		    "the configuration can't follow that of the running "
		    "workers: %s",
		    why_not);
	return rc;
}

static void
say_taken_over(const struct master *m, uint32_t bodies)
{
	const char *from = upgrade_from(m);
	unsigned long long connections = board_sum(&m->board,
	    offsetof(struct board_row, connections), UINT32_MAX);

	if (from != NULL)
		log_info("took over from the program before the upgrade "
			 "from=%s bodies=%u connections=%llu",
		    from, bodies, connections);
	else
		log_info("took over from a master that is gone bodies=%u "
			 "connections=%llu",
		    bodies, connections);
}

void
start_take_over(struct master *m)
{
	struct takeover *t = m->takeover;

	if (t == NULL)
		return;
	for (int row = board_next_live(&m->board, -1); row >= 0;
	     row = board_next_live(&m->board, row)) {
		if (t->taken[row].state != TAKEN_DONE)
			board_set_live(m->board_head, (uint32_t)row, false);
	}
	if (t->plan != NULL)
		in_use_set_bases(m, t->plan, m->plan);
	found_remove_files(&t->found);
	listeners_keep_found(&m->listeners);
	say_taken_over(m, t->count);
	takeover_release(t);
	m->takeover = NULL;
}
