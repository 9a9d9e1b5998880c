/*
 * orphans - workers whose holder died before the master knew them; orphans.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/master/body_ref.h"
#include "server/master/orphans.h"
#include "server/master/process.h"

static bool
is_known(const struct bodies *bodies, pid_t pid)
{
	BODIES_EACH(bodies, ref)
	{
		if (ref->holder_pid == pid || ref->worker_pid == pid)
			return true;
	}
	return false;
}

/* Other children are not: the configuration's, which is waited for elsewhere,
 * and any that were there before we were executed.  A worker has its holder's
 * name at first. */
static bool
is_ours(pid_t pid)
{
	return process_is_named(pid, PROCESS_WORKER) ||
	    process_is_named(pid, PROCESS_HOLDER);
}

pid_t
orphans_find(const struct bodies *bodies)
{
	char path[64];
	char word[32];
	pid_t found = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    getpid());
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (found == 0 && fscanf(file, "%31s", word) == 1) {
		pid_t pid = (pid_t)strtol(word, NULL, 10);

		if (pid > 0 && !is_known(bodies, pid) && is_ours(pid))
			found = pid;
	}
	(void)fclose(file);
	return found;
}

void
orphans_end(const struct bodies *bodies)
{
	pid_t pid;

	while ((pid = orphans_find(bodies)) != 0) {
		(void)kill(pid, SIGKILL);
		if (waitpid(pid, NULL, 0) < 0 && errno != EINTR)
			return;
	}
}
