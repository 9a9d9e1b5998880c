/*
 * loop - the master's event loop: descriptors and timers.
 *
 * Runs in: master.  Level-triggered epoll.  Handlers must not block.  A
 * handler may add and remove any watch and timer, its own included: events
 * of a removed watch are not delivered any more, not even ones already
 * fetched.
 */
#ifndef SRVD_MASTER_LOOP_H
#define SRVD_MASTER_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/attr.h"

struct loop_watch;
struct loop_timer;

typedef void loop_ready_fn(struct loop_watch *watch, uint32_t events);
typedef void loop_due_fn(struct loop_timer *timer);

/* Owned and kept alive by who adds it, until removed. */
struct loop_watch {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT, … */
	loop_ready_fn *ready;
	void *arg;
	int slot; /* private; -1: not watched */
};

struct loop_timer {
	loop_due_fn *due;
	void *arg;
	uint64_t at_ms;               /* private */
	uint32_t pass;                /* private */
	bool armed;                   /* private; false at first */
	TAILQ_ENTRY(loop_timer) link; /* private */
};

struct loop;

/* All: 0 or -errno. */
must_check int loop_new(struct loop **loop);
/* What is still watched or armed is forgotten, not touched. */
void loop_free(struct loop *loop);

must_check int loop_add(struct loop *loop, struct loop_watch *watch);
must_check int loop_change(struct loop *loop, struct loop_watch *watch,
    uint32_t events);
/* Before the descriptor is closed.  Nothing happens if it is not watched. */
void loop_remove(struct loop *loop, struct loop_watch *watch);

/* Fire once after_ms from now; setting an armed timer moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer,
    uint64_t after_ms);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* Milliseconds of CLOCK_MONOTONIC as of this round. */
uint64_t loop_now_ms(const struct loop *loop);

/*
 * Handle events until loop_stop().  Returns 0, or -errno if epoll fails.
 * After loop_stop() no further handler is called; it holds for one loop_run(),
 * also for one that has not begun yet.
 */
must_check int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
