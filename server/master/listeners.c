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
#include "server/master/listeners.h"
#include "server/state/body.h"

/* What a file's mode is if nobody says. */
#define DEFAULT_MODE 0666

/* A step of a reload, for one group. */
struct step {
	struct listeners *listeners;
	const struct plan *from; /* NULL: none */
	const struct plan *to;
	uint32_t number;
	struct listener_group *group;
	const struct plan_listener *row; /* in to */
};

typedef int step_fn(const struct step *step);

/* The row that wants socket number, or NULL. */
static const struct plan_listener *
row_for(const struct plan *plan, uint32_t number)
{
	const struct plan_listener *row;

	if (number / 2 >= plan->listeners.count)
		return NULL;
	row = plan_listener(plan, number / 2);
	return number % 2 < body_listener_sockets(row) ? row : NULL;
}

/* One step for all groups of plan to; the first failure ends it. */
static int
each_group(struct step *step, step_fn *run, char *why, size_t why_size)
{
	struct listener_failure failure = {
	    .listeners = step->listeners,
	    .from = step->from,
	    .to = step->to,
	};

	for (uint32_t n = 0; n < step->listeners->count; n++) {
		step->row = row_for(step->to, n);
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

/* Groups */

static void
group_cut(struct listener_group *group, uint32_t count)
{
	while (group->count > count)
		close(group->fds[--group->count]);
}

static void
group_remove_file(struct listener_group *group)
{
	if (!group->is_found &&
	    listener_file_is_at(&group->file, group->bound.path))
		(void)unlink(group->bound.path);
	group->file.inode = 0;
}

static void
group_release(struct listener_group *group)
{
	group_cut(group, 0);
	free(group->fds);
	*group = (struct listener_group){.count = 0};
}

static int
group_add(struct listener_group *group, int fd)
{
	int *fds = reallocarray(group->fds, group->count + 1, sizeof(int));

	if (fds == NULL) {
		close(fd);
		return -ENOMEM;
	}
	group->fds = fds;
	group->fds[group->count++] = fd;
	return 0;
}

/* "*" is 0.0.0.0 and, as the second socket with the same port, [::]. */
static void
group_init(const struct step *step)
{
	struct listener_group *group = step->group;

	group->bound = step->row->addr;
	group->born = step->row->born;
	group->settled = 0;
	if (step->row->addr.kind != ADDR_ANY)
		return;
	memset(group->bound.ip, 0, sizeof(group->bound.ip));
	group->bound.kind = step->number % 2 == 0 ? ADDR_TCP4 : ADDR_TCP6;
	if (step->number % 2 == 1)
		group->bound.port =
		    step->listeners->groups[step->number - 1].bound.port;
}

static int
learn_port(struct listener_group *group)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	if (getsockname(group->fds[0], (struct sockaddr *)&ss, &length) < 0)
		return -errno;
	addr_from_sockaddr(&group->bound, (struct sockaddr *)&ss, length);
	return 0;
}

/* Is the address held by a group that this reload removes?  Then the two may
 * stand side by side until it is gone. */
static bool
is_given_up(const struct step *step)
{
	const struct listeners *listeners = step->listeners;

	for (uint32_t n = 0; n < listeners->count; n++) {
		const struct listener_group *group = &listeners->groups[n];
		const struct plan_listener *row = row_for(step->to, n);

		if (group->settled > 0 &&
		    (row == NULL || row->born != group->born) &&
		    listener_overlaps(&group->bound, &step->group->bound))
			return true;
	}
	return found_overlaps(listeners->found, &step->group->bound);
}

/*
 * The first member is bound without SO_REUSEPORT, so that a stranger who has
 * the port is an error, and gets it before listen(); the others need it to be
 * bound at all (socket(7)).
 */
static int
bind_member(const struct step *step)
{
	struct listener_group *group = step->group;
	bool is_first = group->count == 0;
	int fd = listener_bind_tcp(step->row, &group->bound, !is_first);

	if (fd == -EADDRINUSE && is_first && is_given_up(step))
		fd = listener_bind_tcp(step->row, &group->bound, true);
	if (fd < 0)
		return fd;
	fd = group_add(group, fd);
	return fd == 0 && is_first ? learn_port(group) : fd;
}

static bool
is_path(const struct listener_group *group)
{
	return group->bound.kind == ADDR_UNIX && group->bound.path[0] == '/';
}

/* Two paths of one configuration may be one file: what is bound and does not
 * listen yet must not be taken for a socket that nobody uses. */
static bool
path_is_ours(const struct step *step)
{
	struct listener_file there;

	if (!is_path(step->group) ||
	    listener_file_note(step->group->bound.path, &there) < 0)
		return false;
	for (uint32_t n = 0; n < step->listeners->count; n++) {
		if (listener_file_is(&step->listeners->groups[n].file, &there))
			return true;
	}
	return false;
}

static int
bind_unix(const struct step *step)
{
	struct listener_group *group = step->group;
	int fd;

	if (path_is_ours(step))
		return -EADDRINUSE;
	fd = listener_bind_unix(step->row, &group->bound, &group->file);
	return fd < 0 ? fd : group_add(group, fd);
}

/* The file of a listener that is kept. */
static int
touch_file(const struct step *step)
{
	const struct plan_listener *before =
	    plan_listener(step->from, step->number / 2);
	struct listener_access access = listener_access_of(step->row);
	struct listener_group *group = step->group;
	int rc;

	if ((before->mode == step->row->mode && before->uid == step->row->uid &&
		before->gid == step->row->gid) ||
	    !listener_file_is_at(&group->file, group->bound.path))
		return 0;
	rc =
	    listener_file_look(group->bound.path, &group->file, &group->before);
	if (rc < 0)
		return rc;
	group->is_touched = true;
	return listener_file_give(group->bound.path, &group->file, &access);
}

static int
take_passed(const struct step *step)
{
	const struct passed_socket *socket =
	    passed_find(step->listeners->passed, &step->row->addr,
		step->number % 2);
	int fd;

	if (socket == NULL)
		return -ENOENT;
	fd = listener_take(step->row, socket);
	if (fd < 0)
		return fd;
	step->group->bound = socket->addr;
	return group_add(step->group, fd);
}

/* The file of one that was found, as the plan wants it now. */
static int
touch_found(const struct step *step)
{
	struct listener_access access = listener_access_of(step->row);
	struct listener_group *group = step->group;
	int rc;

	rc = listener_file_of(group->fds[0], &group->bound, &group->file);
	if (rc < 0 || !listener_file_is_at(&group->file, group->bound.path))
		return 0;
	rc =
	    listener_file_look(group->bound.path, &group->file, &group->before);
	if (rc < 0)
		return rc;
	group->is_touched = true;
	return listener_file_give(group->bound.path, &group->file, &access);
}

/* What the bodies of a dead master have of it. */
static int
take_found(const struct step *step)
{
	struct listener_group *group = step->group;
	const struct addr address = group->bound;
	struct found_socket *socket;
	uint32_t at = 0;
	int rc = 0;

	while (rc == 0 &&
	    (socket = found_next(step->listeners->found, &at, step->row,
		 step->number, &address)) != NULL) {
		rc = group_add(group, socket->fd);
		socket->fd = -1;
		group->bound = socket->addr;
		group->is_found = true;
		if (rc == 0)
			listener_adopt(group->fds[group->count - 1], step->row);
	}
	return rc == 0 && group->is_found && is_path(group) ? touch_found(step)
							    : rc;
}

static int
prepare_group(const struct step *step)
{
	struct listener_group *group = step->group;
	bool is_new = group->settled == 0;
	int rc = 0;

	if (is_new)
		group_init(step);
	if (body_listener_is_passed(step->row, step->number))
		return is_new ? take_passed(step) : 0;
	if (is_new)
		rc = take_found(step);
	if (rc < 0 || (group->is_found && group->bound.kind == ADDR_UNIX))
		return rc;
	if (group->bound.kind != ADDR_UNIX) {
		while (rc == 0 && group->count < step->to->workers)
			rc = bind_member(step);
		return rc;
	}
	if (is_new)
		return bind_unix(step);
	return is_path(group) ? touch_file(step) : 0;
}

/* A client that is queued on a socket which no body has would be lost with
 * us: members for workers that are not there yet listen when those have them
 * (accept_open() in the worker).  At a first start nobody can lose anything. */
static uint32_t
members_to_listen(const struct step *step)
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
listen_group(const struct step *step)
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
	struct step step = {.listeners = listeners, .from = from, .to = to};
	int rc = make_room(listeners, to);

	if (rc == 0)
		rc = each_group(&step, prepare_group, why, why_size);
	if (rc < 0)
		listeners_abort(listeners);
	return rc;
}

int
listeners_listen(struct listeners *listeners, const struct plan *from,
    const struct plan *to, char *why, size_t why_size)
{
	struct step step = {.listeners = listeners, .from = from, .to = to};

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
			group_remove_file(group);
			group_release(group);
		} else {
			group_cut(group, group->settled);
		}
	}
}

/* What is said of a file whose mode is its unit's. */
static void
tell_file_options(const struct step *step)
{
	const struct plan_listener *row = step->row;
	const struct plan *plan = step->to;

	if (!body_listener_is_passed(row, step->number) ||
	    !is_path(step->group) ||
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
commit_group(const struct step *step)
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
	struct step step = {.listeners = listeners, .to = to};

	(void)!each_group(&step, commit_group, NULL, 0);
}

void
listeners_retire(struct listeners *listeners, const struct plan *plan)
{
	for (uint32_t n = 0; n < listeners->count; n++) {
		struct listener_group *group = &listeners->groups[n];
		const struct plan_listener *row = row_for(plan, n);

		if (row != NULL && row->born == group->born)
			continue;
		group_remove_file(group);
		group_release(group);
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
		group_cut(&listeners->groups[n], 0);
}

void
listeners_remove_files(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++)
		group_remove_file(&listeners->groups[n]);
}

void
listeners_release(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++)
		group_release(&listeners->groups[n]);
	free(listeners->groups);
	*listeners = (struct listeners){.passed = listeners->passed};
}
