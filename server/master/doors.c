/*
 * doors - where workers wait for the next master; see doors.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/master/doors.h"
#include "server/state/board.h"
#include "server/state/channel.h"

#define BACKLOG 4

/* A master that is just ending has the lock a moment longer than its
 * control socket. */
#define LOCK_TRIES   100
#define LOCK_STEP_MS 20L

static int
lock(int fd)
{
	static const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (i == LOCK_TRIES)
			return -EBUSY;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}

/* It must be ours, and nobody else's to enter. */
static int
check_dir(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0 : -EPERM;
}

/* Whoever had the lock before may have removed it meanwhile. */
static bool
is_removed(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

static int
open_dir(struct doors *doors)
{
	int rc;

	if (mkdir(doors->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	doors->dir_fd =
	    open(doors->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (doors->dir_fd < 0)
		return -errno;
	rc = check_dir(doors->dir_fd);
	if (rc == 0)
		rc = lock(doors->dir_fd);
	if (rc == 0 && is_removed(doors->dir_fd))
		rc = -EAGAIN;
	if (rc == 0)
		return 0;
	close(doors->dir_fd);
	return rc;
}

static const char *
kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	return S_ISLNK(mode) ? "a symbolic link" : "a file";
}

/* If the error is that what stands at the path is another user's, or open to
 * others, or no directory: say whose it is, for somebody to judge. */
static bool
explain_found(const char *path, int error, char *why, size_t why_size)
{
	const struct passwd *entry;
	struct stat st;

	if (error != -EPERM && error != -EACCES && error != -ENOTDIR &&
	    error != -ELOOP)
		return false;
	if (lstat(path, &st) < 0)
		return false;
	entry = getpwuid(st.st_uid);
	(void)snprintf(why, why_size,
	    "%s is %s of user %.32s (uid %u) with mode %04o, not a directory "
	    "of uid %u alone (mode 0700): if no srvd has it, remove it, or "
	    "name another path in control { path }",
	    path, kind_of(st.st_mode), entry == NULL ? "?" : entry->pw_name,
	    st.st_uid, st.st_mode & 07777, geteuid());
	return true;
}

static void
explain(const struct doors *doors, const char *control_path, int error,
    char *why, size_t why_size)
{
	if (error == -ENOENT)
		(void)snprintf(why, why_size,
		    "the directory of the control socket %s does not exist: "
		    "make it, or name another path in control { path }",
		    control_path);
	else if (error == -EBUSY)
		(void)snprintf(why, why_size,
		    "another srvd is starting or ending with the control "
		    "socket %s: try again, or name another path in control "
		    "{ path }",
		    control_path);
	else if (!explain_found(doors->path, error, why, why_size))
		(void)snprintf(why, why_size,
		    "cannot make the directory %s: %s", doors->path,
		    strerror(-error));
}

int
doors_open(struct doors *doors, const char *control_path, char *why,
    size_t why_size)
{
	int rc;

	(void)snprintf(doors->path, sizeof(doors->path), "%s.bodies",
	    control_path);
	do
		rc = open_dir(doors);
	while (rc == -EAGAIN);
	if (rc < 0)
		explain(doors, control_path, rc, why, why_size);
	doors->is_open = rc == 0;
	return rc;
}

/* The directory's own path may be as long as an address can be. */
static socklen_t
address(const struct doors *doors, uint32_t row, struct sockaddr_un *to)
{
	*to = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(to->sun_path, sizeof(to->sun_path),
	    "/proc/self/fd/%d/%u", doors->dir_fd, row);
	return sizeof(*to);
}

int
doors_make(const struct doors *doors, uint32_t row)
{
	struct sockaddr_un at;
	socklen_t length = address(doors, row, &at);
	int fd;
	int rc;

	doors_remove(doors, row);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, length) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static const char *
name_of(uint32_t row, char name[16])
{
	(void)snprintf(name, 16, "%u", row);
	return name;
}

bool
doors_has(const struct doors *doors, uint32_t row)
{
	char name[16];

	return faccessat(doors->dir_fd, name_of(row, name), F_OK,
		   AT_SYMLINK_NOFOLLOW) == 0;
}

void
doors_remove(const struct doors *doors, uint32_t row)
{
	char name[16];

	if (doors->is_open)
		(void)unlinkat(doors->dir_fd, name_of(row, name), 0);
}

/* Whoever listens there was made to by a master of our user. */
static int
check_peer(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	return peer.uid == geteuid() ? 0 : -EPERM;
}

int
doors_knock(const struct doors *doors, uint32_t row)
{
	struct sockaddr_un at;
	socklen_t length = address(doors, row, &at);
	int fd;
	int rc = channel_open_door(&fd);

	if (rc < 0)
		return rc;
	if (connect(fd, (struct sockaddr *)&at, length) < 0)
		rc = -errno;
	if (rc == 0)
		rc = check_peer(fd);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

void
doors_remove_all(const struct doors *doors)
{
	for (uint32_t row = 0; row < BOARD_ROWS; row++)
		doors_remove(doors, row);
}

void
doors_close(struct doors *doors, bool is_over)
{
	if (!doors->is_open)
		return;
	if (is_over)
		doors_remove_all(doors);
	/* It stays where there are doors in it. */
	(void)rmdir(doors->path);
	close(doors->dir_fd);
	doors->is_open = false;
}
