/*
 * timers - one deadline a slot, in a wheel.
 *
 * A cache of what the slots say: it stands in the worker's own memory and is
 * filled anew by the sweep.  Activity on a connection does not touch it: a
 * timer that fires too early is simply set again by who looks at the slot.
 *
 * Runs in: worker.  Knows nothing of: connections, epoll.
 */
#ifndef SRVD_WORKER_TIMERS_H
#define SRVD_WORKER_TIMERS_H

#include <stdint.h>

#include "common/attr.h"

#define TIMERS_TICK_MS 8
#define TIMERS_BUCKETS 1024

struct timer_entry {
	uint64_t due_ms; /* 0: not set */
	uint32_t next;   /* number + 1, 0: the end */
	uint32_t prev;
	uint32_t bucket;
};

struct timers {
	struct timer_entry *entries; /* by number; touched as used */
	uint32_t count;
	uint32_t set;     /* how many are */
	uint64_t tick;    /* all buckets before it have been run */
	uint64_t soonest; /* no bucket from tick to before it has an entry */
	uint32_t buckets[TIMERS_BUCKETS + 1]; /* the last: expired ones */
};

typedef void timers_due_fn(void *arg, uint32_t number);

/* Room for count timers, none set.  Returns 0 or -errno. */
must_check int timers_init(struct timers *t, uint32_t count, uint64_t now_ms);
void timers_release(struct timers *t);

/* Fire at due_ms, or at the next run if that is past; moves a set one. */
void timers_set(struct timers *t, uint32_t number, uint64_t due_ms);
/* The same, unless it is set to an earlier time. */
void timers_hasten(struct timers *t, uint32_t number, uint64_t due_ms);
void timers_cancel(struct timers *t, uint32_t number);

/* Fire, and unset, what is due; due may set and cancel any. */
void timers_run(struct timers *t, uint64_t now_ms, timers_due_fn *due,
    void *arg);

/* Milliseconds from now_ms to when a run may find something, at most
 * limit_ms. */
uint32_t timers_wait(struct timers *t, uint64_t now_ms, uint32_t limit_ms);

#endif
