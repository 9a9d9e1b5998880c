/*
 * brood - kills a process at its n-th stop at a system call from its birth on.
 *
 * Nobody can attach to a process before it runs.  So its parent, or its
 * parent's parent, is traced from before (the root), and the kernel attaches
 * us to what they give birth to.  The first child of the wanted generation is
 * the one that is killed; whoever else is born runs on undisturbed.
 *
 * Stops are counted as killer.h says.  A successor's are until it waits for
 * events for the first time: its sweep is over then.  Those of the first worker
 * of a body are until brood_disarm(): plan and listeners come as an event.
 *
 * Runs in: a test, as root.
 */
#ifndef SRVD_TESTS_BROOD_H
#define SRVD_TESTS_BROOD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "killer.h"

enum brood_root {
	BROOD_OF_HOLDER, /* its children are meant: successors */
	BROOD_OF_MASTER, /* its children's children: first workers */
};

struct brood {
	pid_t root;
	enum brood_root generation;
	unsigned point; /* the stop to kill at, from 1; 0: never */
	pid_t child;    /* 0: none was born yet */
	unsigned seen;  /* its stops until now */
	bool is_counting;
	bool has_killed;
	_Atomic bool is_over;
	sem_t armed;
	pthread_t thread;
};

/* Attach to the root; returns once it has been done. */
void brood_arm(struct brood *brood, pid_t root, enum brood_root generation,
    unsigned point);

/* Leave all that are traced.  Of the child. */
struct killer_trial brood_disarm(struct brood *brood);

#endif
