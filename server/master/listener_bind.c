/*
 * listener_bind - one public socket; see listener_bind.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/master/listener_bind.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0) /* unix(7) */
#endif

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno
									: 0;
}

/* Accepted sockets inherit these (tcp(7), socket(7)). */
static int
set_tcp_options(int fd, const struct plan_listener *listener, int family)
{
	int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (rc == 0)
		rc = set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (rc == 0 && family == AF_INET6)
		rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (rc == 0 && listener->nodelay)
		rc = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return rc;
}

int
listener_bind_tcp(const struct plan_listener *listener, const struct addr *addr,
    bool shares)
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
	if (rc == 0 && shares)
		rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0 && bind(fd, (struct sockaddr *)&ss, (socklen_t)length) < 0)
		rc = -errno;
	if (rc == 0 && !shares)
		rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int
listener_take(const struct plan_listener *listener,
    const struct passed_socket *socket)
{
	int fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
	int flags;
	int rc = 0;

	if (fd < 0)
		return -errno;
	/* Of the open file, so for all who have it: workers share it, and
	 * must not wait for a client that another one has taken. */
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		rc = -errno;
	if (rc == 0 && socket->addr.kind != ADDR_UNIX)
		rc = set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (rc == 0 && socket->addr.kind != ADDR_UNIX)
		rc =
		    set_option(fd, IPPROTO_TCP, TCP_NODELAY, listener->nodelay);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

void
listener_adopt(int fd, const struct plan_listener *listener)
{
	if (listener->addr.kind == ADDR_UNIX)
		return;
	/* One that was passed to its srvd was alone; now others join it. */
	(void)!set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

void
listener_set_options(int fd, const struct plan_listener *listener)
{
	if (listener->addr.kind != ADDR_UNIX)
		(void)!set_option(fd, IPPROTO_TCP, TCP_NODELAY,
		    listener->nodelay);
	/* A socket that listens already only gets another backlog. */
	(void)listen(fd, (int)listener->backlog);
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
note_file(int dir_fd, const char *path, int flags, struct listener_file *file)
{
	struct statx stx;

	if (statx(dir_fd, path, flags, STATX_INO | STATX_BTIME, &stx) < 0)
		return -errno;
	*file = (struct listener_file){
	    .inode = stx.stx_ino,
	    .dev_major = stx.stx_dev_major,
	    .dev_minor = stx.stx_dev_minor,
	};
	if ((stx.stx_mask & STATX_BTIME) != 0)
		file->born_ns = (uint64_t)stx.stx_btime.tv_sec * 1000000000 +
		    stx.stx_btime.tv_nsec;
	return 0;
}

int
listener_file_note(const char *path, struct listener_file *file)
{
	return note_file(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, file);
}

int
listener_file_of(int fd, const struct addr *addr, struct listener_file *file)
{
	int held;
	int rc;

	*file = (struct listener_file){.inode = 0};
	if (addr->kind != ADDR_UNIX || addr->path[0] != '/')
		return -ENOENT;
	held = ioctl(fd, SIOCUNIXFILE, 0);
	/* Only a privileged user is told: else what is there is believed. */
	if (held < 0)
		return listener_file_note(addr->path, file);
	rc = note_file(held, "", AT_EMPTY_PATH, file);
	close(held);
	return rc;
}

bool
listener_file_is(const struct listener_file *a, const struct listener_file *b)
{
	return a->inode != 0 && a->inode == b->inode &&
	    a->born_ns == b->born_ns && a->dev_major == b->dev_major &&
	    a->dev_minor == b->dev_minor;
}

bool
listener_file_is_at(const struct listener_file *file, const char *path)
{
	struct listener_file there = {.inode = 0};

	return file->inode != 0 && listener_file_note(path, &there) == 0 &&
	    listener_file_is(file, &there);
}

/*
 * A handle of the file at path, if it is that one, a socket, and has no other
 * name.  The folder may be somebody else's, who puts a link to a file of ours
 * there at any moment: what is held can't be exchanged.
 */
static int
hold_file(const char *path, const struct listener_file *file, struct stat *st)
{
	struct listener_file held = {.inode = 0};
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = note_file(fd, "", AT_EMPTY_PATH, &held);
	if (rc == 0 && fstat(fd, st) < 0)
		rc = -errno;
	if (rc == 0 &&
	    (!listener_file_is(file, &held) || !S_ISSOCK(st->st_mode) ||
		st->st_nlink != 1))
		rc = -EEXIST;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int
set_access(int fd, const struct listener_access *to)
{
	char path[64];

	/* An id of -1 is left alone (chown(2)). */
	if ((to->uid != PLAN_NO_ID || to->gid != PLAN_NO_ID) &&
	    fchownat(fd, "", to->uid, to->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	/* fchmod(2) takes no such handle. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, to->mode) < 0 ? -errno : 0;
}

int
listener_file_look(const char *path, const struct listener_file *file,
    struct listener_access *access)
{
	struct stat st = {.st_mode = 0};
	int fd = hold_file(path, file, &st);

	if (fd < 0)
		return fd;
	close(fd);
	*access = (struct listener_access){
	    .uid = st.st_uid,
	    .gid = st.st_gid,
	    .mode = st.st_mode & 07777,
	};
	return 0;
}

int
listener_file_give(const char *path, const struct listener_file *file,
    const struct listener_access *access)
{
	struct stat st = {.st_mode = 0};
	int fd = hold_file(path, file, &st);
	int rc;

	if (fd < 0)
		return fd;
	rc = set_access(fd, access);
	close(fd);
	return rc;
}

struct listener_access
listener_access_of(const struct plan_listener *listener)
{
	return (struct listener_access){
	    .uid = listener->uid,
	    .gid = listener->gid,
	    .mode = listener->mode,
	};
}

static int
bind_path(int fd, const struct sockaddr_un *sun, socklen_t length)
{
	/* Nobody connects before owner and mode are what they shall be. */
	mode_t mask = umask(0777);
	int rc =
	    bind(fd, (const struct sockaddr *)sun, length) < 0 ? -errno : 0;

	(void)umask(mask);
	return rc;
}

int
listener_bind_unix(const struct plan_listener *listener,
    const struct addr *addr, struct listener_file *file)
{
	struct sockaddr_storage ss;
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&ss;
	int length = addr_to_sockaddr(addr, &ss);
	struct listener_access access = listener_access_of(listener);
	int rc;
	int fd;

	*file = (struct listener_file){.inode = 0};
	if (length < 0)
		return length;
	rc = clear_path(sun, (socklen_t)length);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = bind_path(fd, sun, (socklen_t)length);
	if (rc == 0 && sun->sun_path[0] != '\0') {
		rc = listener_file_note(sun->sun_path, file);
		if (rc == 0)
			rc = listener_file_give(sun->sun_path, file, &access);
		if (rc < 0)
			(void)unlink(sun->sun_path);
	}
	if (rc == 0)
		return fd;
	*file = (struct listener_file){.inode = 0};
	close(fd);
	return rc;
}

bool
listener_overlaps(const struct addr *a, const struct addr *b)
{
	static const uint8_t any[sizeof(a->ip)];

	if (a->kind != b->kind || a->kind == ADDR_UNIX || a->port != b->port)
		return false;
	return memcmp(a->ip, b->ip, sizeof(any)) == 0 ||
	    memcmp(a->ip, any, sizeof(any)) == 0 ||
	    memcmp(b->ip, any, sizeof(any)) == 0;
}
