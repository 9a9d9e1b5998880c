/*
 * killer - kills a process at its n-th stop at a system call.
 *
 * A call has two stops, before it is carried out and after: killed at the
 * first it was never made, killed at the second its result is never seen.
 * They are counted from killer_arm() on.
 *
 * A thread of its own traces, since only the thread that has attached may
 * (ptrace(2)).  Workers are not dumpable: it takes root.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_KILLER_H
#define SRVD_TESTS_KILLER_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define KILLER_NEVER 0
/* PTRACE_O_TRACESYSGOOD tells a call's stop from a SIGTRAP by a bit. */
#define KILLER_CALL_STOP (SIGTRAP | 0x80)

/* What came of killing at a stop. */
struct killer_trial {
	unsigned seen; /* so many stops there were, up to that one */
	bool has_killed;
};

struct killer {
	pid_t pid;
	unsigned point; /* the stop to kill at, from 1; KILLER_NEVER */
	unsigned seen;  /* stops until now */
	_Atomic bool has_killed;
	_Atomic bool is_over;
	sem_t armed;
	pthread_t thread;
};

/* May this process trace others?  If not the test is skipped aloud. */
bool killer_can_trace(void);

/* Attach; returns once stops are counted. */
void killer_arm(struct killer *killer, pid_t pid, unsigned point);

/* Detach, if it still lives.  If it was killed a child of this process has been
 * reaped. */
struct killer_trial killer_disarm(struct killer *killer);

/* Of any thread that traces: a signal shall interrupt its waitpid(); and end
 * it, once it knows that it is over. */
void killer_catch_wake(void);
void killer_join(pthread_t thread);

#endif
