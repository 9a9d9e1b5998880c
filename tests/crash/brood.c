/*
 * brood - kills a process at its n-th stop from birth; see brood.h.
 */
#include "brood.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "killer.h"
#include "proc.h"

#define OPTIONS                                                             \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	    PTRACE_O_TRACECLONE)

static bool
is_of_generation(const struct brood *b, pid_t pid)
{
	char parent[16];
	bool is_child;

	proc_status(pid, "PPid", parent, sizeof parent);
	is_child = strtol(parent, NULL, 10) == b->root;
	return is_child == (b->generation == BROOD_OF_HOLDER);
}

/* Its first stop: it has not run yet. */
static void
on_birth(struct brood *b, pid_t pid)
{
	if (!is_of_generation(b, pid)) {
		/* Its own children are ours as well. */
		(void)ptrace(PTRACE_CONT, pid, NULL, NULL);
	} else if (b->child != 0) {
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	} else {
		b->child = pid;
		b->is_counting = true;
		(void)ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	}
}

/* Is the child about to wait for events, with its sweep behind it? */
static bool
has_begun(const struct brood *b)
{
	struct __ptrace_syscall_info info;

	if (b->generation == BROOD_OF_MASTER ||
	    ptrace(PTRACE_GET_SYSCALL_INFO, b->child, sizeof info, &info) <= 0)
		return false;
	return info.op == PTRACE_SYSCALL_INFO_ENTRY &&
#ifdef SYS_epoll_wait
	    (info.entry.nr == SYS_epoll_wait ||
		info.entry.nr == SYS_epoll_pwait);
#else
	    info.entry.nr == SYS_epoll_pwait;
#endif
}

static void
on_call(struct brood *b)
{
	if (has_begun(b)) {
		b->is_counting = false;
		(void)ptrace(PTRACE_DETACH, b->child, NULL, NULL);
	} else if (++b->seen == b->point) {
		b->has_killed = kill(b->child, SIGKILL) == 0;
		b->is_counting = false;
	} else {
		(void)ptrace(PTRACE_SYSCALL, b->child, NULL, NULL);
	}
}

static void
on_stop(struct brood *b, pid_t pid, int status)
{
	bool is_counted = pid == b->child && b->is_counting;
	int event = status >> 16;
	long signal = 0;

	if (event == PTRACE_EVENT_STOP && pid != b->root && pid != b->child) {
		on_birth(b, pid);
		return;
	}
	if (is_counted && event == 0 && WSTOPSIG(status) == KILLER_CALL_STOP) {
		on_call(b);
		return;
	}
	if (event == 0 && WSTOPSIG(status) != KILLER_CALL_STOP)
		signal = WSTOPSIG(status); /* it is meant for the process */
	(void)ptrace(is_counted ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL,
	    signal);
}

/* All that are still traced are let go when this thread ends (ptrace(2)). */
static void *
trace(void *arg)
{
	struct brood *b = arg;
	int status;
	pid_t pid;

	if (ptrace(PTRACE_SEIZE, b->root, NULL, (long)OPTIONS) < 0)
		b->root = 0;
	sem_post(&b->armed);
	while (b->root != 0 && !atomic_load(&b->is_over)) {
		/* Of this thread alone: the test has children, too. */
		pid = waitpid(-1, &status, __WALL | __WNOTHREAD);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return NULL; /* nobody is left */
		if (WIFSTOPPED(status))
			on_stop(b, pid, status);
	}
	return NULL;
}

void
brood_arm(struct brood *b, pid_t root, enum brood_root generation,
    unsigned point)
{
	ck_assert_int_gt(root, 1);
	*b = (struct brood){
	    .root = root, .generation = generation, .point = point};
	killer_catch_wake();
	ck_assert_int_eq(sem_init(&b->armed, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&b->thread, NULL, trace, b), 0);
	while (sem_wait(&b->armed) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(b->root == root, "process %d can't be traced", (int)root);
}

struct killer_trial
brood_disarm(struct brood *b)
{
	atomic_store(&b->is_over, true);
	killer_join(b->thread);
	sem_destroy(&b->armed);
	return (struct killer_trial){b->seen, b->has_killed};
}
