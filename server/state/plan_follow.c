/*
 * plan_follow - can a plan take the place of another?  See plan.h.
 *
 * What runs by the old plan keeps its numbers: connections name services and
 * backends by index, workers hold listening sockets by index.  So a row that
 * changed its meaning would mix up what it names, and sockets that no row
 * stands for would never be closed.
 *
 * Runs in: master.
 */
#include <errno.h>
#include <string.h>

#include "server/state/plan.h"

static bool
has_same_text(const struct plan *from, uint32_t a, const struct plan *to,
    uint32_t b)
{
	return strcmp(plan_string(from, a), plan_string(to, b)) == 0;
}

/* May a row in state before be in state after, if it has kept its name? */
static bool
may_follow(uint32_t before, uint32_t after, bool is_same)
{
	if (before == ROW_EMPTY)
		return after != ROW_REMOVED;
	if (after == ROW_EMPTY)
		return before == ROW_REMOVED;
	return is_same;
}

static bool
service_follows(const struct plan *from, const struct plan *to, uint32_t i)
{
	const struct plan_service *b = plan_service(to, i);
	const struct plan_service *a;

	if (i >= from->services.count)
		return may_follow(ROW_EMPTY, b->state, false);
	a = plan_service(from, i);
	return may_follow(a->state, b->state,
	    has_same_text(from, a->name, to, b->name));
}

static bool
backend_follows(const struct plan *from, const struct plan *to, uint32_t i)
{
	const struct plan_backend *b = plan_backend(to, i);
	const struct plan_backend *a;

	if (i >= from->backends.count)
		return may_follow(ROW_EMPTY, b->state, false);
	a = plan_backend(from, i);
	return may_follow(a->state, b->state,
	    a->service == b->service &&
		has_same_text(from, a->name, to, b->name));
}

/* What has sockets keeps them, and they are bound to its address; they may
 * become another service's. */
static bool
listener_follows(const struct plan *from, const struct plan *to, uint32_t i)
{
	const struct plan_listener *b = plan_listener(to, i);
	const struct plan_listener *a;

	if (b->state == ROW_EMPTY)
		return true;
	if (i >= from->listeners.count)
		return b->born == to->generation;
	a = plan_listener(from, i);
	if (a->state == ROW_EMPTY)
		return b->born == to->generation;
	return a->born == b->born && addr_equal(&a->addr, &b->addr);
}

static bool
rows_follow(const struct plan *from, const struct plan *to)
{
	for (uint32_t i = 0; i < to->services.count; i++) {
		if (!service_follows(from, to, i))
			return false;
	}
	for (uint32_t i = 0; i < to->backends.count; i++) {
		if (!backend_follows(from, to, i))
			return false;
	}
	for (uint32_t i = 0; i < to->listeners.count; i++) {
		if (!listener_follows(from, to, i))
			return false;
	}
	return true;
}

int
plan_check_succession(const struct plan *from, const struct plan *to,
    const char **why)
{
	*why = NULL;
	if (to->services.count < from->services.count ||
	    to->listeners.count < from->listeners.count ||
	    to->backends.count < from->backends.count)
		*why = "a table has lost rows";
	else if (to->generation <= from->generation)
		*why = "its generation is not a later one";
	else if (!rows_follow(from, to))
		*why = "a row has changed its meaning";
	return *why == NULL ? 0 : -EINVAL;
}
