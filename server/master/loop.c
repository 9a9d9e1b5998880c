/*
 * loop - the master's event loop: descriptors and timers.
 *
 * Runs in: master.  Knows nothing of: what its handlers do.
 *
 * Invariants
 *  L1  The kernel is told a slot and its round of use, never a pointer: an
 *      event of a watch that has been removed finds another count in its
 *      slot, or no watch, and is dropped.
 *  L2  The timers stand in order of time, equal ones in order of setting.
 *  L3  A timer set while timers fire waits for the next round, even if it is
 *      due at once: timers cannot keep descriptors from being served.
 */
#include "server/master/loop.h"
#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH       64
#define FIRST_SLOTS 16

TAILQ_HEAD(loop_timers, loop_timer);

struct loop_slot {
	struct loop_watch *watch; /* NULL: free */
	uint32_t use;             /* counted up by every removal (L1) */
};

struct loop {
	int epoll_fd;
	bool stopped;
	bool in_round;
	uint64_t now_ms;
	uint32_t pass; /* of firing timers (L3) */
	struct loop_slot *slots;
	uint32_t slots_count;
	struct loop_timers timers; /* L2 */
};

int
loop_new(struct loop **loop)
{
	struct loop *new;

	*loop = NULL;
	new = calloc(1, sizeof(*new));
	if (new == NULL)
		return -ENOMEM;
	new->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (new->epoll_fd == -1) {
		int error = errno;

		free(new);
		return -error;
	}
	TAILQ_INIT(&new->timers);
	new->now_ms = clock_monotonic_ms();
	*loop = new;
	return 0;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	(void)close(loop->epoll_fd);
	free(loop->slots);
	free(loop);
}

static int
slots_grow(struct loop *loop)
{
	uint32_t count =
	    loop->slots_count == 0 ? FIRST_SLOTS : loop->slots_count * 2;
	struct loop_slot *slots;

	if (count > INT_MAX)
		return -ENOMEM;
	slots = reallocarray(loop->slots, count, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = loop->slots_count; i < count; i++)
		slots[i] = (struct loop_slot){.watch = NULL};
	loop->slots = slots;
	loop->slots_count = count;
	return 0;
}

static int
slot_find_free(struct loop *loop, uint32_t *slot)
{
	uint32_t i;

	for (i = 0; i < loop->slots_count; i++) {
		if (loop->slots[i].watch == NULL)
			break;
	}
	*slot = i;
	return i < loop->slots_count ? 0 : slots_grow(loop);
}

static int
watch_tell(struct loop *loop, int operation, const struct loop_watch *watch,
    uint32_t slot)
{
	struct epoll_event event = {
	    .events = watch->events,
	    .data.u64 = (uint64_t)loop->slots[slot].use << 32 | slot,
	};

	if (epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) == -1)
		return -errno;
	return 0;
}

static bool
watch_is_ours(const struct loop *loop, const struct loop_watch *watch)
{
	return watch->slot >= 0 && (uint32_t)watch->slot < loop->slots_count &&
	    loop->slots[watch->slot].watch == watch;
}

int
loop_add(struct loop *loop, struct loop_watch *watch)
{
	uint32_t slot;
	int error;

	watch->slot = -1;
	error = slot_find_free(loop, &slot);
	if (error < 0)
		return error;
	error = watch_tell(loop, EPOLL_CTL_ADD, watch, slot);
	if (error < 0)
		return error;
	loop->slots[slot].watch = watch;
	watch->slot = (int)slot;
	return 0;
}

int
loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	uint32_t before = watch->events;
	int error;

	if (!watch_is_ours(loop, watch))
		return -ENOENT;
	if (before == events)
		return 0;
	watch->events = events;
	error = watch_tell(loop, EPOLL_CTL_MOD, watch, (uint32_t)watch->slot);
	if (error < 0)
		watch->events = before;
	return error;
}

void
loop_remove(struct loop *loop, struct loop_watch *watch)
{
	if (!watch_is_ours(loop, watch))
		return;
	/* Fails only if the descriptor is closed already: as good. */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	loop->slots[watch->slot].watch = NULL;
	loop->slots[watch->slot].use++;
	watch->slot = -1;
}

void
loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	if (!timer->armed)
		return;
	TAILQ_REMOVE(&loop->timers, timer, link);
	timer->armed = false;
}

void
loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t after_ms)
{
	struct loop_timer *before;

	loop_timer_cancel(loop, timer);
	/* Between rounds the time of the last one may be long ago. */
	if (!loop->in_round)
		loop->now_ms = clock_monotonic_ms();
	timer->at_ms = after_ms > UINT64_MAX - loop->now_ms
	    ? UINT64_MAX
	    : loop->now_ms + after_ms;
	timer->pass = loop->pass;
	timer->armed = true;

	/* Most are the latest: search from the end. */
	TAILQ_FOREACH_REVERSE(before, &loop->timers, loop_timers, link)
	{
		if (before->at_ms <= timer->at_ms)
			break;
	}
	if (before == NULL)
		TAILQ_INSERT_HEAD(&loop->timers, timer, link);
	else
		TAILQ_INSERT_AFTER(&loop->timers, before, timer, link);
}

uint64_t
loop_now_ms(const struct loop *loop)
{
	return loop->in_round ? loop->now_ms : clock_monotonic_ms();
}

static void
timers_fire(struct loop *loop)
{
	struct loop_timer *timer;

	loop->pass++;
	while (!loop->stopped && (timer = TAILQ_FIRST(&loop->timers)) != NULL &&
	    timer->at_ms <= loop->now_ms && timer->pass != loop->pass) {
		loop_timer_cancel(loop, timer);
		timer->due(timer);
	}
}

static int
timers_wait_ms(const struct loop *loop)
{
	const struct loop_timer *first = TAILQ_FIRST(&loop->timers);
	uint64_t now_ms = clock_monotonic_ms();

	if (first == NULL)
		return -1;
	if (first->at_ms <= now_ms)
		return 0;
	if (first->at_ms - now_ms > INT_MAX)
		return INT_MAX;
	return (int)(first->at_ms - now_ms);
}

static void
events_deliver(struct loop *loop, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count && !loop->stopped; i++) {
		uint32_t slot = (uint32_t)events[i].data.u64;
		uint32_t use = (uint32_t)(events[i].data.u64 >> 32);
		struct loop_watch *watch = loop->slots[slot].watch;

		if (watch != NULL && loop->slots[slot].use == use)
			watch->ready(watch, events[i].events);
	}
}

int
loop_run(struct loop *loop)
{
	struct epoll_event events[BATCH];
	int count;

	while (!loop->stopped) {
		count = epoll_wait(loop->epoll_fd, events, BATCH,
		    timers_wait_ms(loop));
		if (count == -1 && errno != EINTR)
			return -errno;
		loop->now_ms = clock_monotonic_ms();
		loop->in_round = true;
		events_deliver(loop, events, count);
		timers_fire(loop);
		loop->in_round = false;
	}
	loop->stopped = false;
	return 0;
}

void
loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
