/*
 * listeners - the public sockets; see listeners.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/master/listeners.h"
#include "server/master/port_owner.h"
#include "server/state/body.h"

static int
set_on(int fd, int level, int option)
{
	static const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* Accepted sockets inherit these (tcp(7), socket(7)). */
static int
set_tcp_options(int fd, const struct plan_listener *listener, int family)
{
	int rc = set_on(fd, SOL_SOCKET, SO_REUSEADDR);

	if (rc == 0)
		rc = set_on(fd, SOL_SOCKET, SO_OOBINLINE);
	if (rc == 0 && family == AF_INET6)
		rc = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (rc == 0 && listener->nodelay)
		rc = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	return rc;
}

/*
 * A member of the group.  The first is bound without SO_REUSEPORT, so that a
 * stranger who has the port is an error, and gets it before listen(); the
 * others need it to be bound at all (socket(7)).
 */
static int
bind_member(const struct plan_listener *listener, const struct addr *addr,
    bool is_first)
{
	struct sockaddr_storage ss;
	int length = addr_to_sockaddr(addr, &ss);
	int fd;
	int rc;

	if (length < 0)
		return length;
	fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = set_tcp_options(fd, listener, ss.ss_family);
	if (rc == 0 && !is_first)
		rc = set_on(fd, SOL_SOCKET, SO_REUSEPORT);
	if (rc == 0 && bind(fd, (struct sockaddr *)&ss, (socklen_t)length) < 0)
		rc = -errno;
	if (rc == 0 && is_first)
		rc = set_on(fd, SOL_SOCKET, SO_REUSEPORT);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
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

static int
open_tcp_group(struct listener_group *group, const struct plan *plan)
{
	const struct plan_listener *listener =
	    plan_listener(plan, group->listener);
	uint32_t workers = plan->workers;
	int rc = 0;

	for (uint32_t i = 0; i < workers; i++) {
		int fd = bind_member(listener, &group->bound, i == 0);

		if (fd < 0)
			return fd;
		group->fds[group->count++] = fd;
		if (i == 0)
			rc = learn_port(group);
		if (rc < 0)
			return rc;
	}
	for (uint32_t i = 0; i < workers; i++) {
		if (listen(group->fds[i], (int)listener->backlog) < 0)
			return -errno;
	}
	return 0;
}

/* A socket's file that nobody listens on is replaced; nothing else is. */
static int
clear_path(const struct sockaddr_un *sun, socklen_t length)
{
	struct stat st;
	int fd;
	int rc = 0;

	if (sun->sun_path[0] == '\0' || lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sun, length) == 0 ||
	    errno != ECONNREFUSED)
		rc = -EADDRINUSE;
	close(fd);
	if (rc == 0 && unlink(sun->sun_path) < 0)
		rc = -errno;
	return rc;
}

static int
set_file(struct listener_group *group, const struct plan_listener *listener,
    const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	group->file_dev = st.st_dev;
	group->file_ino = st.st_ino;
	if (listener->uid != PLAN_NO_ID || listener->gid != PLAN_NO_ID) {
		/* An id of -1 is left alone (chown(2)). */
		if (lchown(path, listener->uid, listener->gid) < 0)
			return -errno;
	}
	return chmod(path, listener->mode) < 0 ? -errno : 0;
}

static int
open_unix(struct listener_group *group, const struct plan_listener *listener)
{
	struct sockaddr_storage ss;
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&ss;
	int length = addr_to_sockaddr(&group->bound, &ss);
	mode_t mask;
	int rc;
	int fd;

	if (length < 0)
		return length;
	rc = clear_path(sun, (socklen_t)length);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	group->fds[group->count++] = fd;
	/* Nobody connects before owner and mode are what they shall be. */
	mask = umask(0777);
	rc = bind(fd, (struct sockaddr *)&ss, (socklen_t)length) < 0 ? -errno
								     : 0;
	(void)umask(mask);
	if (rc == 0 && sun->sun_path[0] != '\0')
		rc = set_file(group, listener, sun->sun_path);
	if (rc == 0 && listen(fd, (int)listener->backlog) < 0)
		rc = -errno;
	return rc;
}

static void
describe_owner(const struct addr *addr, char *text, size_t size)
{
	char name[128];
	pid_t pid = port_owner(addr, name, sizeof(name));

	if (pid == getpid())
		(void)snprintf(text, size,
		    "; another listener of this configuration has it");
	else if (pid != 0 && strncmp(name, "srvd: ", strlen("srvd: ")) == 0)
		(void)snprintf(text, size,
		    "; it is held by %s (process %d), of a srvd that runs or "
		    "whose master was killed: then end its holders first, "
		    "and its workers, with SIGKILL",
		    name, pid);
	else if (pid != 0)
		(void)snprintf(text, size, "; it is held by %s (process %d)",
		    name, pid);
}

static void
explain(const struct plan *plan, const struct listener_group *group, int rc,
    char *why, size_t why_size)
{
	const struct plan_listener *listener =
	    plan_listener(plan, group->listener);
	const char *service =
	    plan_string(plan, plan_service(plan, listener->service)->name);
	char owner[384] = "";

	if (rc == -EADDRINUSE)
		describe_owner(&group->bound, owner, sizeof(owner));
	if (rc == -EEXIST)
		(void)snprintf(why, why_size,
		    "service %s can't listen on %s: there is a file of "
		    "another kind at that path, which is not replaced",
		    service, plan_string(plan, listener->text));
	else
		(void)snprintf(why, why_size,
		    "service %s can't listen on %s: %s%s", service,
		    plan_string(plan, listener->text), strerror(-rc), owner);
}

/* "*" is 0.0.0.0 and, as the second socket with the same port, [::]. */
static void
group_init(struct listeners *listeners, const struct plan *plan,
    uint32_t number)
{
	struct listener_group *group = &listeners->groups[number];
	const struct plan_listener *listener = plan_listener(plan, number / 2);

	group->listener = number / 2;
	group->bound = listener->addr;
	if (listener->addr.kind != ADDR_ANY)
		return;
	memset(group->bound.ip, 0, sizeof(group->bound.ip));
	group->bound.kind = number % 2 == 0 ? ADDR_TCP4 : ADDR_TCP6;
	if (number % 2 == 1)
		group->bound.port = listeners->groups[number - 1].bound.port;
}

static int
group_open(struct listener_group *group, const struct plan *plan)
{
	const struct plan_listener *listener =
	    plan_listener(plan, group->listener);

	group->fds = calloc(plan->workers, sizeof(int));
	if (group->fds == NULL)
		return -ENOMEM;
	if (group->bound.kind == ADDR_UNIX)
		return open_unix(group, listener);
	return open_tcp_group(group, plan);
}

int
listeners_open(struct listeners *listeners, const struct plan *plan, char *why,
    size_t why_size)
{
	int rc;

	listeners->count = 2 * plan->listeners.count;
	listeners->groups =
	    calloc(listeners->count + 1, sizeof(*listeners->groups));
	if (listeners->groups == NULL)
		return -ENOMEM;
	for (uint32_t n = 0; n < listeners->count; n++) {
		if (n % 2 >= body_listener_sockets(plan_listener(plan, n / 2)))
			continue;
		group_init(listeners, plan, n);
		rc = group_open(&listeners->groups[n], plan);
		if (rc == 0)
			continue;
		explain(plan, &listeners->groups[n], rc, why, why_size);
		listeners_remove_files(listeners);
		listeners_release(listeners);
		return rc;
	}
	return 0;
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

void
listeners_close(struct listeners *listeners)
{
	for (uint32_t n = 0; n < listeners->count; n++) {
		struct listener_group *group = &listeners->groups[n];

		while (group->count > 0)
			close(group->fds[--group->count]);
	}
}

void
listeners_remove_files(struct listeners *listeners)
{
	struct stat st;

	for (uint32_t n = 0; n < listeners->count; n++) {
		struct listener_group *group = &listeners->groups[n];

		if (group->file_ino != 0 &&
		    lstat(group->bound.path, &st) == 0 &&
		    st.st_ino == group->file_ino &&
		    st.st_dev == group->file_dev)
			(void)unlink(group->bound.path);
		group->file_ino = 0;
	}
}

void
listeners_release(struct listeners *listeners)
{
	listeners_close(listeners);
	for (uint32_t n = 0; n < listeners->count; n++)
		free(listeners->groups[n].fds);
	free(listeners->groups);
	listeners->groups = NULL;
	listeners->count = 0;
}
