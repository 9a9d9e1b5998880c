/*
 * spawn - start a holder; see spawn.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/attr.h"
#include "server/master/spawn.h"
#include "server/state/body.h"

/* Out of the way of the fixed numbers. */
#define ASIDE 64

struct placement {
	int from;
	int to;
};

/* Move descriptors to their fixed numbers.  They are copied aside first: one
 * may stand on another's number. */
static int
place(struct placement *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		places[i].from = fcntl(places[i].from, F_DUPFD, ASIDE);
		if (places[i].from < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++) {
		if (dup2(places[i].from, places[i].to) < 0)
			return -errno;
	}
	return 0;
}

static int
place_all(const struct spawn_fds *fds)
{
	struct placement places[] = {
	    {open("/dev/null", O_RDWR), BODY_FD_NULL},
	    {STDERR_FILENO, BODY_FD_OUT},
	    {STDERR_FILENO, BODY_FD_LOG},
	    {fds->channel_fd, BODY_FD_CHANNEL},
	    {epoll_create1(0), BODY_FD_EPOLL},
	    {fds->body_fd, BODY_FD_BODY},
	    {fds->board_read_fd, BODY_FD_BOARD_READ},
	    {fds->door_fd >= 0 ? fds->door_fd : open("/dev/null", O_RDWR),
		BODY_FD_DOOR},
	    {fds->board_write_fd, BODY_FD_BOARD_WRITE},
	};
	int rc = place(places, ARRAY_LEN(places));

	if (rc == 0 && close_range(BODY_FD_HOLDER_END, ~0U, 0) < 0)
		rc = -errno;
	return rc;
}

static no_return void
become_holder(uint32_t index, const struct spawn_fds *fds)
{
	static char *no_environment[] = {NULL};
	char title[32];
	char *arguments[] = {title, NULL};
	sigset_t none;

	(void)snprintf(title, sizeof(title), "srvd: holder %u", index);
	/* Away from the terminal's signals. */
	(void)setsid();
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* What a service manager gave the master to bind low ports with would
	 * outlive the exec. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (place_all(fds) == 0)
		(void)execve("/proc/self/exe", arguments, no_environment);
	_exit(127);
}

pid_t
spawn_holder(uint32_t index, const struct spawn_fds *fds)
{
	pid_t pid = fork();

	if (pid == 0)
		become_holder(index, fds);
	return pid < 0 ? -errno : pid;
}
