/*
 * limit - resource limits of processes that run already; see limit.h.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"

/* In a child that becomes the process's user: root without CAP_SYS_RESOURCE
 * may not change the limits of another user's processes. */
static no_return void
limit_as_its_user(pid_t pid, int resource, rlim_t limit)
{
	char ids[64];
	struct rlimit both;

	proc_status(pid, "Gid", ids, sizeof ids);
	if (getuid() == 0 &&
	    (setgroups(0, NULL) != 0 ||
		setgid((gid_t)strtoul(ids, NULL, 10)) != 0))
		_exit(errno);
	proc_status(pid, "Uid", ids, sizeof ids);
	if (getuid() == 0 && setuid((uid_t)strtoul(ids, NULL, 10)) != 0)
		_exit(errno);
	if (prlimit(pid, (enum __rlimit_resource)resource, NULL, &both) != 0)
		_exit(errno);
	both.rlim_cur = limit < both.rlim_max ? limit : both.rlim_max;
	if (prlimit(pid, (enum __rlimit_resource)resource, &both, NULL) != 0)
		_exit(errno);
	_exit(0);
}

void
limit_process(pid_t pid, int resource, rlim_t limit)
{
	pid_t child = fork();
	int error;

	ck_assert_msg(child >= 0, "fork: %s", strerror(errno));
	if (child == 0)
		limit_as_its_user(pid, resource, limit);
	error = proc_wait(child, 5000);
	ck_assert_msg(error == 0, "prlimit %d: %s", (int)pid, strerror(error));
}

void
limit_descriptors(const struct gateway *g, unsigned index, rlim_t limit)
{
	limit_process(gateway_holder(g, index), RLIMIT_NOFILE, limit);
	limit_process(gateway_worker(g, index), RLIMIT_NOFILE, limit);
}
