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
#include <sys/resource.h>
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

/*
 * From here on this process gets descriptors with numbers below that only, until
 * limit_end() of what it returns.  A child sees to both: under valgrind a process
 * that limits itself changes valgrind's mind and not the kernel's, and can't
 * fork while it is limited.
 */
static inline pid_t
limit_descriptors(rlim_t below)
{
	struct rlimit limit;
	struct rlimit few;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)alarm(20);
		CHILD_CHECK(prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) ==
		    0);
		few = limit;
		few.rlim_cur = below;
		CHILD_CHECK(prlimit(getppid(), RLIMIT_NOFILE, &few, NULL) == 0);
		(void)raise(SIGSTOP);
		CHILD_CHECK(prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL) ==
		    0);
		_exit(0);
	}
	CHILD_CHECK(waitpid(pid, &status, WUNTRACED) == pid);
	CHILD_CHECK(WIFSTOPPED(status));
	return pid;
}

static inline void
limit_end(pid_t pid)
{
	int status = 0;

	CHILD_CHECK(kill(pid, SIGCONT) == 0);
	CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
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
