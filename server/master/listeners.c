/*
 * listeners - the public sockets; see listeners.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/listener_explain.h"
#include "server/master/listener_group.h"
#include "server/master/listeners.h"
#include "server/state/body.h"

/* What a file's mode is if nobody says. */
#define DEFAULT_MODE 0666

/* One step for all groups of plan to; the first failure ends it. */
static int
each_group(struct listener_step *step, listener_step_fn *run, char *why,
    size_t why_size)
{
	struct listener_failure failure = {
	    .listeners = step->listeners,
	    .from = step->from,
	    .to = step->to,
	};

	for (uint32_t n = 0; n < step->listeners->count; n++) {
		step->row = body_listener_row(step->to, n);
		if (step->row == NULL)
			continue;
		step->number = n;
		step->group = &step->listeners->groups[n];
		failure.error = run(step);
		if (failure.error == 0)
			continue;
		failure.number = n;
		listener_explain(&failure, why, why_size);
		return failure.error;
	}
	return 0;
}

/* A client that is queued on a socket which no body has would be lost with
 * us: members for workers that are not there yet listen when those have them
 * (accept_open() in the worker).  At a first start nobody can lose anything. */
static uint32_t
members_to_listen(const struct listener_step *step)
{
	const struct listener_group *group = step->group;

	if (step->from == NULL && !group->is_found)
		return group->count;
	if (step->from == NULL || group->settled > 0)
		return group->settled;
	return group->count < step->from->workers ? group->count
						  : step->from->workers;
}

static int
listen_group(const struct listener_step *step)
{
	struct listener_group *group = step->group;
	uint32_t count = members_to_listen(step);

	for (uint32_t i = group->settled; i < count; i++) {
		if (listen(group->fds[i], (int)step->row->backlog) < 0)
			return -errno;
	}
	return 0;
}

/* All */

static int
make_room(struct listeners *listeners, const struct plan *plan)
{
	uint32_t count = 2 * plan->listeners.count;
	struct listener_group *groups;

	if (count <= listeners->count)
		return 0;
	groups = reallocarray(listeners->groups, count, sizeof(*groups));
	if (groups == NULL)
		return -ENOMEM;
	memset(groups + listeners->count, 0,
	    (count - listeners->count) * sizeof(*groups));
	listeners->groups = groups;
	listeners->count = count;
	return 0;
}

int
listeners_prepare(struct listeners *listeners, const struct plan *from,
    const struct plan *to, char *why, size_t why_size)
{
	struct listener_step step = {
	    .listeners = listeners, .from = from, .to = to};
	int rc = make_room(listeners, to);

	if (rc == 0)
		rc = each_group(&step, listener_group_prepare, why, why_size);
	if (rc < 0)
		listeners_abort(listeners);
	return rc;
}

int
listeners_listen(struct listeners *listeners, const struct plan *from,
    const struct plan *to, char *why, size_t why_size)
{
	struct listener_step step = {
	    .listeners = listeners, .from = from, .to = to};

	return each_group(&step, listen_group, why, why_size);
}

void
listeners_abort(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++) {
		struct listener_group *group = &listeners->groups[n];

		if (group->is_touched)
			(void)!listener_file_give(group->bound.path,
			    &group->file, &group->before);
		group->is_touched = false;
		if (group->settled == 0) {
			listener_group_remove_file(group);
			listener_group_release(group);
		} else {
			listener_group_cut(group, group->settled);
		}
	}
}

/* What is said of a file whose mode is its unit's. */
static void
tell_file_options(const struct listener_step *step)
{
	const struct plan_listener *row = step->row;
	const struct plan *plan = step->to;

	if (!body_listener_is_passed(row, step->number) ||
	    !listener_group_has_path(step->group) ||
	    (row->mode == DEFAULT_MODE && row->uid == PLAN_NO_ID &&
		row->gid == PLAN_NO_ID))
		return;
	log_warn("mode, owner and group of service %s do not hold for %s, "
		 "which the service manager passed: its .socket unit has "
		 "SocketMode=, SocketUser= and SocketGroup=",
	    plan_string(plan, plan_service(plan, row->service)->name),
	    plan_string(plan, row->text));
}

static int
commit_group(const struct listener_step *step)
{
	struct listener_group *group = step->group;
	uint32_t old = group->is_found ? group->count : group->settled;

	tell_file_options(step);
	for (uint32_t i = 0; i < old; i++)
		listener_set_options(group->fds[i], step->row);
	group->settled = group->count;
	group->is_touched = false;
	return 0;
}

void
listeners_commit(struct listeners *listeners, const struct plan *to)
{
	struct listener_step step = {.listeners = listeners, .to = to};

	(void)!each_group(&step, commit_group, NULL, 0);
}

void
listeners_retire(struct listeners *listeners, const struct plan *plan)
{
	for (uint32_t n = 0; n < listeners->count; n++) {
		struct listener_group *group = &listeners->groups[n];
		const struct plan_listener *row = body_listener_row(plan, n);

		if (row != NULL && row->born == group->born)
			continue;
		listener_group_remove_file(group);
		listener_group_release(group);
	}
}

int
listeners_open(struct listeners *listeners, const struct plan *plan, char *why,
    size_t why_size)
{
	int rc;

	*listeners = (struct listeners){
	    .passed = listeners->passed,
	    .found = listeners->found,
	};
	rc = listeners_prepare(listeners, NULL, plan, why, why_size);
	if (rc == 0) {
		rc = listeners_listen(listeners, NULL, plan, why, why_size);
		if (rc < 0)
			listeners_abort(listeners);
	}
	if (rc < 0)
		listeners_release(listeners);
	else
		listeners_commit(listeners, plan);
	return rc;
}

int
listeners_fd(const struct listeners *listeners, uint32_t number,
    uint32_t worker)
{
	const struct listener_group *group;

	if (number >= listeners->count)
		return -1;
	group = &listeners->groups[number];
	if (group->count == 0)
		return -1;
	return group->fds[worker % group->count];
}

int
listeners_member(const struct listeners *listeners, uint32_t number,
    uint32_t seat)
{
	if (number >= listeners->count ||
	    seat >= listeners->groups[number].settled)
		return -1;
	return listeners->groups[number].fds[seat];
}

uint32_t
listeners_seats(const struct listeners *listeners)
{
	uint32_t most = 0;

	for (uint32_t n = 0; n < listeners->count; n++) {
		if (listeners->groups[n].settled > most)
			most = listeners->groups[n].settled;
	}
	return most;
}

void
listeners_keep_found(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++)
		listeners->groups[n].is_found = false;
	listeners->found = NULL;
}

void
listeners_close(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++)
		listener_group_cut(&listeners->groups[n], 0);
}

void
listeners_remove_files(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++)
		listener_group_remove_file(&listeners->groups[n]);
}

void
listeners_release(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++)
		listener_group_release(&listeners->groups[n]);
	free(listeners->groups);
	*listeners = (struct listeners){.passed = listeners->passed};
}
