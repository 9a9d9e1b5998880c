/*
 * killer - kills a process at its n-th stop at a system call; see killer.h.
 */
#include "killer.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

bool
killer_can_trace(void)
{
	if (geteuid() == 0)
		return true;
	e2e_skip("tracing a worker takes root");
	return false;
}

static bool
is_event(int status)
{
	return status >> 16 != 0;
}

/* Let it run to its next stop. */
static void
go_on(const struct killer *k, int status)
{
	long signal = 0;

	if (!is_event(status) && WSTOPSIG(status) != KILLER_CALL_STOP)
		signal = WSTOPSIG(status); /* it is meant for the process */
	(void)ptrace(PTRACE_SYSCALL, k->pid, NULL, signal);
}

static void
on_stop(struct killer *k, int status)
{
	if (!is_event(status) && WSTOPSIG(status) == KILLER_CALL_STOP &&
	    ++k->seen == k->point) {
		k->has_killed = kill(k->pid, SIGKILL) == 0;
		return;
	}
	go_on(k, status);
}

/* It runs, or waits in a call: have it stop, and leave it. */
static void
leave(const struct killer *k)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, k->pid, NULL, NULL) == 0 &&
	    waitpid(k->pid, &status, __WALL) == k->pid && WIFSTOPPED(status))
		(void)ptrace(PTRACE_DETACH, k->pid, NULL, NULL);
}

static void *
trace(void *arg)
{
	struct killer *k = arg;
	int status;
	pid_t pid;

	if (ptrace(PTRACE_SEIZE, k->pid, NULL, (long)PTRACE_O_TRACESYSGOOD) <
		0 ||
	    ptrace(PTRACE_INTERRUPT, k->pid, NULL, NULL) < 0 ||
	    waitpid(k->pid, &status, __WALL) != k->pid || !WIFSTOPPED(status)) {
		k->pid = 0;
		sem_post(&k->armed);
		return NULL;
	}
	go_on(k, status);
	sem_post(&k->armed);
	while (!atomic_load(&k->is_over)) {
		pid = waitpid(k->pid, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid != k->pid || !WIFSTOPPED(status))
			return NULL; /* it has ended */
		on_stop(k, status);
	}
	leave(k);
	return NULL;
}

static void
wake(int signal)
{
	(void)signal;
}

void
killer_catch_wake(void)
{
	static const struct sigaction action = {.sa_handler = wake};

	/* Without SA_RESTART: it is to interrupt waitpid(). */
	ck_assert_int_eq(sigaction(SIGUSR2, &action, NULL), 0);
}

void
killer_join(pthread_t thread)
{
	/* Perhaps it has looked at is_over and not yet begun to wait. */
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		(void)pthread_kill(thread, SIGUSR2);
		e2e_pause(1);
	}
}

void
killer_arm(struct killer *k, pid_t pid, unsigned point)
{
	ck_assert_int_gt(pid, 1);
	*k = (struct killer){.pid = pid, .point = point};
	killer_catch_wake();
	ck_assert_int_eq(sem_init(&k->armed, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&k->thread, NULL, trace, k), 0);
	while (sem_wait(&k->armed) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(k->pid == pid, "process %d can't be traced", (int)pid);
}

struct killer_trial
killer_disarm(struct killer *k)
{
	atomic_store(&k->is_over, true);
	killer_join(k->thread);
	sem_destroy(&k->armed);
	return (struct killer_trial){k->seen, k->has_killed};
}
