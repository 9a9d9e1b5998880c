/*
 * listener_group - the sockets of one address; see listener_group.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/master/listener_group.h"
#include "server/state/body.h"

void
listener_group_cut(struct listener_group *group, uint32_t count)
{
	while (group->count > count)
		close(group->fds[--group->count]);
}

void
listener_group_remove_file(struct listener_group *group)
{
	if (!group->is_found &&
	    listener_file_is_at(&group->file, group->bound.path))
		(void)unlink(group->bound.path);
	group->file.inode = 0;
}

void
listener_group_release(struct listener_group *group)
{
	listener_group_cut(group, 0);
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
group_init(const struct listener_step *step)
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
is_given_up(const struct listener_step *step)
{
	const struct listeners *listeners = step->listeners;

	for (uint32_t n = 0; n < listeners->count; n++) {
		const struct listener_group *group = &listeners->groups[n];
		const struct plan_listener *row =
		    body_listener_row(step->to, n);

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
bind_member(const struct listener_step *step)
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

bool
listener_group_has_path(const struct listener_group *group)
{
	return group->bound.kind == ADDR_UNIX && group->bound.path[0] == '/';
}

/* Two paths of one configuration may be one file: what is bound and does not
 * listen yet must not be taken for a socket that nobody uses. */
static bool
path_is_ours(const struct listener_step *step)
{
	struct listener_file there;

	if (!listener_group_has_path(step->group) ||
	    listener_file_note(step->group->bound.path, &there) < 0)
		return false;
	for (uint32_t n = 0; n < step->listeners->count; n++) {
		if (listener_file_is(&step->listeners->groups[n].file, &there))
			return true;
	}
	return false;
}

static int
bind_unix(const struct listener_step *step)
{
	struct listener_group *group = step->group;
	int fd;

	if (path_is_ours(step))
		return -EADDRINUSE;
	fd = listener_bind_unix(step->row, &group->bound, &group->file);
	return fd < 0 ? fd : group_add(group, fd);
}

/* Its file, if it is still ours, gets the owner and mode of the plan. */
static int
touch_file(const struct listener_step *step)
{
	struct listener_access access = listener_access_of(step->row);
	struct listener_group *group = step->group;
	int rc;

	if (!listener_file_is_at(&group->file, group->bound.path))
		return 0;
	rc =
	    listener_file_look(group->bound.path, &group->file, &group->before);
	if (rc < 0)
		return rc;
	group->is_touched = true;
	return listener_file_give(group->bound.path, &group->file, &access);
}

static int
touch_kept(const struct listener_step *step)
{
	const struct plan_listener *before =
	    plan_listener(step->from, step->number / 2);

	if (before->mode == step->row->mode && before->uid == step->row->uid &&
	    before->gid == step->row->gid)
		return 0;
	return touch_file(step);
}

static int
take_passed(const struct listener_step *step)
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

static int
touch_found(const struct listener_step *step)
{
	struct listener_group *group = step->group;

	if (listener_file_of(group->fds[0], &group->bound, &group->file) < 0)
		return 0;
	return touch_file(step);
}

/* What the bodies of a dead master have of it. */
static int
take_found(const struct listener_step *step)
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
	return rc == 0 && group->is_found && listener_group_has_path(group)
	    ? touch_found(step)
	    : rc;
}

int
listener_group_prepare(const struct listener_step *step)
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
	return listener_group_has_path(group) ? touch_kept(step) : 0;
}
