/*
 * child - tests that must happen in a process of their own: because it
 * aborts, loses its privileges, or has its descriptors closed.
 *
 * A child says what is wrong with CHILD_CHECK() (Check's assertions need a
 * descriptor that a sweep would close), and ends with status 0 if nothing is.
 */
#ifndef SRVD_TESTS_CHILD_H
#define SRVD_TESTS_CHILD_H

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define CHILD_FAILED 99

#define CHILD_CHECK(condition) \
	child_check_at((condition), __FILE__, __LINE__, #condition)

static inline void
child_check_at(bool is_so, const char *file, int line, const char *what)
{
	if (is_so)
		return;
	(void)dprintf(STDERR_FILENO, "%s:%d: not so: %s\n", file, line, what);
	_exit(CHILD_FAILED);
}

/* Run it in a forked child; returns the wait status. */
static inline int
child_run(void (*run)(void *arg), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)alarm(20);
		run(arg);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* It must come to its end with nothing found wrong. */
static inline void
child_passes(void (*run)(void *arg), void *arg)
{
	int status = child_run(run, arg);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the child ended with wait status %#x", (unsigned)status);
}

/* It must end by abort(). */
static inline void
child_aborts(void (*run)(void *arg), void *arg)
{
	int status = child_run(run, arg);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
	    "the child ended with wait status %#x", (unsigned)status);
}

/* How many descriptors this process has open. */
static inline int
count_fds(void)
{
	int count = 0;
	DIR *dir = opendir("/proc/self/fd");

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count;
}

#endif
