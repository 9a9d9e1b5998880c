/*
 * control - the control socket's file and its listener; see control.h.
 *
 * Invariants
 *  S1  Nobody can connect who may not: the file is made for its owner alone
 *      and gets its group, then its mode, when it is in place.
 *  S2  Only a file that is known to be this socket's is removed, or a socket
 *      that nobody listens on.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/control_client.h"
#include "server/master/loop.h"
#include "server/master/process.h"
#include "server/master/status.h"

#define BACKLOG        128
#define ACCEPTS_A_TIME 16

/* How often it is looked whether a dead process's socket is gone. */
#define LEFT_TRIES   100
#define LEFT_STEP_MS 20

const struct control_limits control_limits_default = {
    .clients = 64,
    .kept = 8,
    .idle_ms = 10000,
    .half_ms = 10000,
    .take_ms = 10000,
    .pause_ms = 1000,
};

struct control {
	struct control_clients clients;
	struct loop_watch watch;
	struct loop_timer pause;
	struct sockaddr_un address;
	dev_t device; /* of the socket's file (S2) */
	ino_t inode;
	gid_t gid;
	bool bound;
	bool starved; /* and it was said */
};

static int
path_set(struct control *control, const char *path, char *why, size_t why_size)
{
	size_t length = strlen(path);

	if (path[0] != '/') {
		(void)snprintf(why, why_size,
		    "the control socket's path must be absolute: %s", path);
		return -EINVAL;
	}
	if (length >= sizeof(control->address.sun_path)) {
		(void)snprintf(why, why_size,
		    "the control socket's path is %zu bytes long; at most "
		    "%zu fit: %s",
		    length, sizeof(control->address.sun_path) - 1, path);
		return -ENAMETOOLONG;
	}
	control->address.sun_family = AF_UNIX;
	memcpy(control->address.sun_path, path, length + 1);
	return 0;
}

/* Is what we are connected to a dead process's?  Then a child of it has the
 * socket for a moment longer: until it is a holder, say. */
static bool
is_left(int fd)
{
	struct ucred peer = {.pid = 0};
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	    peer.pid > 0 && process_has_ended(peer.pid);
}

/* Whether somebody listens: 0 if surely not; -EBUSY, somebody who has died;
 * -EAGAIN, somebody whose backlog is full; or -errno. */
static int
path_probe_once(const struct control *control)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd == -1)
		return -errno;
	error = connect(fd, (const struct sockaddr *)&control->address,
		    sizeof(control->address)) == 0
	    ? EADDRINUSE
	    : errno;
	if (error == EADDRINUSE && is_left(fd))
		error = EBUSY;
	(void)close(fd);
	return error == ECONNREFUSED || error == ENOENT ? 0 : -error;
}

static int
path_probe(const struct control *control)
{
	static const struct timespec step = {
	    .tv_nsec = LEFT_STEP_MS * 1000000L};
	int error = path_probe_once(control);

	/* Who was asked often has a full backlog in the end. */
	for (int i = 0;
	     i < LEFT_TRIES && (error == -EBUSY || (error == -EAGAIN && i > 0));
	     i++) {
		(void)nanosleep(&step, NULL);
		error = path_probe_once(control);
	}
	return error == -EBUSY || error == -EAGAIN ? -EADDRINUSE : error;
}

/* Returns 1 if a dead process has left a socket there, 0 if nothing is. */
static int
path_look(const struct control *control, char *why, size_t why_size)
{
	const char *path = control->address.sun_path;
	struct stat st;
	int error;

	/* What is wrong with the path otherwise, bind will say. */
	if (lstat(path, &st) == -1)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		(void)snprintf(why, why_size,
		    "%s exists and is not a socket: remove it, or name "
		    "another path in control { path }",
		    path);
		return -EEXIST;
	}
	error = path_probe(control);
	if (error == -EADDRINUSE)
		(void)snprintf(why, why_size,
		    "another process listens on %s: stop it, or name another "
		    "path in control { path }",
		    path);
	else if (error < 0)
		(void)snprintf(why, why_size,
		    "cannot find out who listens on %s: %s", path,
		    strerror(-error));
	return error < 0 ? error : 1;
}

/* Remove what a dead process has left at the path (S2). */
static int
path_clear(const struct control *control, char *why, size_t why_size)
{
	const char *path = control->address.sun_path;
	int error = path_look(control, why, why_size);

	if (error <= 0)
		return error;
	error = 0;
	if (unlink(path) == -1 && errno != ENOENT) {
		error = -errno;
		(void)snprintf(why, why_size,
		    "cannot remove the old socket %s: %s", path,
		    strerror(-error));
	}
	return error;
}

static int
path_bind(struct control *control, char *why, size_t why_size)
{
	const char *path = control->address.sun_path;
	mode_t umask_before = umask(S_IXUSR | S_IRWXG | S_IRWXO);
	struct stat st = {.st_dev = 0};
	int error = 0;

	if (bind(control->watch.fd, (struct sockaddr *)&control->address,
		sizeof(control->address)) == -1 ||
	    lstat(path, &st) == -1)
		error = -errno;
	(void)umask(umask_before);
	if (error == -ENOENT)
		(void)snprintf(why, why_size,
		    "the directory of the control socket %s does not exist: "
		    "make it, or name another path in control { path }",
		    path);
	else if (error < 0)
		(void)snprintf(why, why_size,
		    "cannot make the control socket %s: %s", path,
		    strerror(-error));
	if (error < 0)
		return error;
	control->bound = true;
	control->device = st.st_dev;
	control->inode = st.st_ino;
	control->gid = st.st_gid;
	return 0;
}

/* S1 */
static int
path_settle(const struct control *control, const struct plan_control *settings,
    char *why, size_t why_size)
{
	const char *path = control->address.sun_path;
	const char *what = NULL;
	int error;

	/* A service manager's filter may forbid even what changes nothing. */
	if (settings->gid != PLAN_NO_ID && settings->gid != control->gid &&
	    lchown(path, (uid_t)-1, settings->gid) == -1)
		what = "set the group of";
	/* A link that somebody else has put there meanwhile is not followed. */
	else if (fchmodat(AT_FDCWD, path, settings->mode,
		     AT_SYMLINK_NOFOLLOW) == -1)
		what = "set the mode of";
	else if (listen(control->watch.fd, BACKLOG) == -1)
		what = "listen on";
	if (what != NULL) {
		error = -errno;
		(void)snprintf(why, why_size,
		    "cannot %s the control socket %s: %s", what, path,
		    strerror(-error));
		return error;
	}
	return 0;
}

static void
path_remove(const struct control *control)
{
	const char *path = control->address.sun_path;
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == control->device &&
	    st.st_ino == control->inode && unlink(path) == -1)
		log_warn("cannot remove the control socket: %s path=%s",
		    strerror(errno), path);
}

/* Out of descriptors or memory: the queue waits, and the loop does not spin. */
static void
listener_pause(struct control *control, int error)
{
	struct loop *loop = control->clients.loop;

	if (!control->starved)
		log_warn("control clients have to wait: %s", strerror(-error));
	control->starved = true;
	if (loop_change(loop, &control->watch, 0) < 0)
		loop_remove(loop, &control->watch);
	loop_timer_set(loop, &control->pause, control->clients.limits.pause_ms);
}

static void
listener_on_pause_end(struct loop_timer *timer)
{
	struct control *control = timer->arg;
	struct loop *loop = control->clients.loop;
	int error;

	if (control->watch.slot == -1) {
		control->watch.events = EPOLLIN;
		error = loop_add(loop, &control->watch);
	} else {
		error = loop_change(loop, &control->watch, EPOLLIN);
	}
	if (error < 0)
		loop_timer_set(loop, timer, control->clients.limits.pause_ms);
}

static bool
accept_error_is_of_one(int error)
{
	return error == -EINTR || error == -ECONNABORTED || error == -EPERM ||
	    error == -EPROTO;
}

static void
listener_on_ready(struct loop_watch *watch, uint32_t events)
{
	struct control *control = watch->arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TIME; i++) {
		int fd = accept4(watch->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		int error = fd == -1 ? -errno : 0;

		if (error == -EAGAIN)
			return;
		if (error < 0 && !accept_error_is_of_one(error)) {
			listener_pause(control, error);
			return;
		}
		if (error < 0)
			continue;
		control->starved = false;
		control_clients_admit(&control->clients, fd);
	}
}

static int
listener_make(struct control *control, char *why, size_t why_size)
{
	int error = path_clear(control, why, why_size);

	if (error < 0)
		return error;
	control->watch.fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->watch.fd == -1) {
		error = -errno;
		(void)snprintf(why, why_size, "no control socket: %s",
		    strerror(-error));
		return error;
	}
	return path_bind(control, why, why_size);
}

/* Is it the socket at the path? (S2) */
static bool
heir_is_at(const struct control_heir *heir, const char *path, struct stat *st)
{
	return heir->fd >= 0 && lstat(path, st) == 0 && S_ISSOCK(st->st_mode) &&
	    st->st_dev == heir->device && st->st_ino == heir->inode;
}

static bool
listener_inherit(struct control *control, const struct control_heir *heir)
{
	struct stat st;

	if (heir == NULL)
		return false;
	if (!heir_is_at(heir, control->address.sun_path, &st)) {
		if (heir->fd >= 0)
			(void)close(heir->fd);
		return false;
	}
	control->watch.fd = heir->fd;
	control->bound = true;
	control->device = st.st_dev;
	control->inode = st.st_ino;
	control->gid = st.st_gid;
	return true;
}

static int
listener_open(struct control *control, const struct control_heir *heir,
    char *why, size_t why_size)
{
	const struct plan *plan = master_plan(control->clients.m);
	int error = path_set(control, plan_string(plan, plan->control.path),
	    why, why_size);

	if (error < 0)
		return error;
	if (!listener_inherit(control, heir))
		error = listener_make(control, why, why_size);
	if (error < 0)
		return error;
	error = path_settle(control, &plan->control, why, why_size);
	if (error < 0)
		return error;
	error = loop_add(control->clients.loop, &control->watch);
	if (error < 0)
		(void)snprintf(why, why_size,
		    "cannot watch the control socket: %s", strerror(-error));
	return error;
}

static int
open_control(struct master *m, const struct control_limits *limits,
    const struct control_heir *heir, struct control **control, char *why,
    size_t why_size)
{
	struct control *new = calloc(1, sizeof(*new));
	int error;

	*control = NULL;
	if (new == NULL) {
		(void)snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	/* Before a child could inherit the same one. */
	json_object_seed(0);
	control_clients_init(&new->clients, m, limits);
	new->watch = (struct loop_watch){.fd = -1,
	    .events = EPOLLIN,
	    .ready = listener_on_ready,
	    .arg = new,
	    .slot = -1};
	new->pause =
	    (struct loop_timer){.due = listener_on_pause_end, .arg = new};
	error = listener_open(new, heir, why, why_size);
	if (error < 0) {
		control_close(new);
		return error;
	}
	*control = new;
	return 0;
}

int
control_open_limited(struct master *m, const struct control_limits *limits,
    struct control **control, char *why, size_t why_size)
{
	return open_control(m, limits, NULL, control, why, why_size);
}

int
control_open(struct master *m, const struct control_heir *heir,
    struct control **control, char *why, size_t why_size)
{
	return open_control(m, &control_limits_default, heir, control, why,
	    why_size);
}

bool
control_is_heir(const struct control_heir *heir, const struct plan *plan)
{
	struct stat st;

	return heir_is_at(heir, plan_string(plan, plan->control.path), &st);
}

void
control_bequeath(const struct control *control, struct control_heir *heir)
{
	*heir = (struct control_heir){
	    .fd = control->watch.fd,
	    .device = control->device,
	    .inode = control->inode,
	};
}

int
control_probe(const struct plan *plan, char *why, size_t why_size)
{
	struct control probe = {.bound = false};
	int error = path_set(&probe, plan_string(plan, plan->control.path), why,
	    why_size);

	if (error == 0)
		error = path_look(&probe, why, why_size);
	return error < 0 ? error : 0;
}

struct call *
control_adopt(struct control *control, int fd, bool is_last)
{
	return control_clients_adopt(&control->clients, fd, is_last);
}

void
control_close(struct control *control)
{
	if (control == NULL)
		return;
	if (control->bound)
		path_remove(control);
	loop_timer_cancel(control->clients.loop, &control->pause);
	loop_remove(control->clients.loop, &control->watch);
	if (control->watch.fd != -1)
		(void)close(control->watch.fd);
	control_clients_release(&control->clients);
	free(control);
}
