/*
 * timers - one deadline a slot, in a wheel; see timers.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "server/worker/timers.h"

int
timers_init(struct timers *t, uint32_t count, uint64_t now_ms)
{
	/* Mapped, not allocated: a page costs memory once it is touched. */
	void *entries = mmap(NULL, (count + 1) * sizeof(*t->entries),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	    -1, 0);

	if (entries == MAP_FAILED)
		return -errno;
	memset(t, 0, sizeof(*t));
	t->entries = entries;
	t->count = count;
	t->tick = now_ms / TIMERS_TICK_MS;
	return 0;
}

void
timers_release(struct timers *t)
{
	if (t->entries != NULL)
		munmap(t->entries, (t->count + 1) * sizeof(*t->entries));
	t->entries = NULL;
}

static void
link_entry(struct timers *t, uint32_t number, uint32_t bucket)
{
	struct timer_entry *e = &t->entries[number];
	uint32_t *head = &t->buckets[bucket];

	e->bucket = bucket;
	e->prev = 0;
	e->next = *head;
	if (*head != 0)
		t->entries[*head - 1].prev = number + 1;
	*head = number + 1;
}

static void
unlink_entry(struct timers *t, uint32_t number)
{
	struct timer_entry *e = &t->entries[number];

	if (e->prev != 0)
		t->entries[e->prev - 1].next = e->next;
	else
		t->buckets[e->bucket] = e->next;
	if (e->next != 0)
		t->entries[e->next - 1].prev = e->prev;
}

void
timers_cancel(struct timers *t, uint32_t number)
{
	if (t->entries[number].due_ms == 0)
		return;
	unlink_entry(t, number);
	t->entries[number].due_ms = 0;
	t->set--;
}

void
timers_set(struct timers *t, uint32_t number, uint64_t due_ms)
{
	uint64_t tick = (due_ms + TIMERS_TICK_MS - 1) / TIMERS_TICK_MS;

	timers_cancel(t, number);
	if (tick < t->tick)
		tick = t->tick;
	/* Far ones stand in a bucket that comes round sooner. */
	if (tick >= t->tick + TIMERS_BUCKETS)
		tick = t->tick + (tick - t->tick) % TIMERS_BUCKETS;
	if (tick < t->soonest)
		t->soonest = tick;
	t->entries[number].due_ms = due_ms == 0 ? 1 : due_ms;
	link_entry(t, number, (uint32_t)(tick % TIMERS_BUCKETS));
	t->set++;
}

void
timers_hasten(struct timers *t, uint32_t number, uint64_t due_ms)
{
	uint64_t set_ms = t->entries[number].due_ms;

	if (set_ms == 0 || set_ms > due_ms)
		timers_set(t, number, due_ms);
}

/* Move what is due in a bucket to the expired ones. */
static void
expire(struct timers *t, uint32_t bucket, uint64_t now_ms)
{
	uint32_t number = t->buckets[bucket];

	while (number != 0) {
		struct timer_entry *e = &t->entries[number - 1];
		uint32_t next = e->next;

		if (e->due_ms <= now_ms) {
			unlink_entry(t, number - 1);
			link_entry(t, number - 1, TIMERS_BUCKETS);
		}
		number = next;
	}
}

void
timers_run(struct timers *t, uint64_t now_ms, timers_due_fn *due, void *arg)
{
	uint64_t now = now_ms / TIMERS_TICK_MS;
	uint64_t from = t->tick;

	if (now < from)
		return;
	if (now - from >= TIMERS_BUCKETS)
		from = now - TIMERS_BUCKETS + 1;
	/* What due sets from here on goes to a later tick. */
	t->tick = now + 1;
	for (; from <= now; from++)
		expire(t, (uint32_t)(from % TIMERS_BUCKETS), now_ms);
	while (t->buckets[TIMERS_BUCKETS] != 0) {
		uint32_t number = t->buckets[TIMERS_BUCKETS] - 1;

		timers_cancel(t, number);
		due(arg, number);
	}
}

uint32_t
timers_wait(struct timers *t, uint64_t now_ms, uint32_t limit_ms)
{
	uint64_t last = (now_ms + limit_ms) / TIMERS_TICK_MS;
	uint64_t tick = t->soonest < t->tick ? t->tick : t->soonest;

	if (t->set == 0)
		return limit_ms;
	if (last >= t->tick + TIMERS_BUCKETS)
		last = t->tick + TIMERS_BUCKETS - 1;
	while (tick <= last && t->buckets[tick % TIMERS_BUCKETS] == 0)
		tick++;
	t->soonest = tick;
	if (tick > last)
		return limit_ms;
	tick *= TIMERS_TICK_MS;
	return tick <= now_ms ? 0 : (uint32_t)(tick - now_ms);
}
