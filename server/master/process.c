/*
 * process - what the kernel tells of a process; see process.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/master/process.h"

int
process_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

bool
process_is_there(int pidfd)
{
	return pidfd >= 0 &&
	    syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
}

void
process_kill(int pidfd)
{
	if (pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

bool
process_has_ended(pid_t pid)
{
	struct pollfd item = {.fd = process_open(pid), .events = POLLIN};
	bool has_ended;

	if (item.fd < 0)
		return item.fd == -ESRCH;
	has_ended = poll(&item, 1, 0) == 1;
	(void)close(item.fd);
	return has_ended;
}

pid_t
process_parent(pid_t pid)
{
	char path[64];
	char text[512];
	const char *end;
	char *rest;
	FILE *file;
	size_t n;
	long parent;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[n] = '\0';
	/* The name in brackets may hold anything, brackets too. */
	end = strrchr(text, ')');
	if (end == NULL || strlen(end) < sizeof(") S ") - 1)
		return 0;
	parent = strtol(end + sizeof(") S ") - 1, &rest, 10);
	return *rest == ' ' ? (pid_t)parent : 0;
}

bool
process_is_named(pid_t pid, const char *prefix)
{
	char path[64];
	char name[32] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	(void)fclose(file);
	return strncmp(name, prefix, strlen(prefix)) == 0;
}
