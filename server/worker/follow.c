/*
 * follow - plans: kept, judged, followed and given up; see follow.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/worker/accept.h"
#include "server/worker/count.h"
#include "server/worker/follow.h"
#include "server/worker/leave.h"
#include "server/worker/levels.h"
#include "server/worker/pick.h"
#include "server/worker/review.h"
#include "server/worker/sockets.h"

static uint64_t
generation_in_force(const struct worker *w)
{
	return atomic_load_explicit(&w->board->head->generation,
	    memory_order_acquire);
}

/* Entries */

static struct body_plan *
find_entry(struct worker *w, uint64_t generation)
{
	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		if (generation != 0 &&
		    w->head->plans[i].generation == generation)
			return &w->head->plans[i];
	}
	return NULL;
}

/* Is it worked by, or about to be? */
static bool
is_needed(const struct worker *w, uint64_t generation)
{
	return generation == w->generation ||
	    generation == generation_in_force(w);
}

static void
forget_entry(struct worker *w, struct body_plan *entry)
{
	int fd = entry->fd;

	if (entry->generation == 0)
		return;
	if (w->beside != NULL && w->beside->generation == entry->generation) {
		plan_unmap(w->beside);
		w->beside = NULL;
	}
	entry->generation = 0;
	atomic_signal_fence(memory_order_seq_cst);
	close(fd);
}

/* The place for another plan; one that was given up makes room. */
static struct body_plan *
make_room(struct worker *w)
{
	struct body_plan *room = NULL;

	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		struct body_plan *entry = &w->head->plans[i];

		if (entry->generation == 0)
			return entry;
		if (!is_needed(w, entry->generation))
			room = entry;
	}
	if (room != NULL)
		forget_entry(w, room);
	return room;
}

static int
map_entry(const struct body_plan *entry, const struct plan **plan)
{
	int rc = plan_map(entry->fd, plan);

	if (rc < 0 || (*plan)->generation == entry->generation)
		return rc;
	plan_unmap(*plan);
	*plan = NULL;
	return -EINVAL;
}

/* The plan of a generation: the one in use, or mapped beside it.  Returns 0,
 * -ENOENT if it is not here, or -errno. */
static int
find_plan(struct worker *w, uint64_t generation, const struct plan **plan)
{
	const struct body_plan *entry = find_entry(w, generation);
	int rc;

	*plan = NULL;
	if (entry == NULL)
		return -ENOENT;
	if (w->plan != NULL && generation == w->generation)
		*plan = w->plan;
	else if (w->beside != NULL && w->beside->generation == generation)
		*plan = w->beside;
	if (*plan != NULL)
		return 0;
	rc = map_entry(entry, plan);
	if (rc < 0)
		return rc;
	plan_unmap(w->beside);
	w->beside = *plan;
	return 0;
}

/* Sockets that were made for a plan which is not kept (any more). */
static void
close_leftovers(struct worker *w)
{
	const struct plan *beside = NULL;

	if (w->plan == NULL)
		return;
	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		uint64_t generation = w->head->plans[i].generation;

		if (generation != 0 && generation != w->generation &&
		    find_plan(w, generation, &beside) < 0)
			return;
	}
	sockets_close_others(w->head, w->plan, beside);
}

/* Taking */

void
follow_take_plan(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	struct body_plan *entry;

	if (message->generation == 0 || extra->fds_count != 1 ||
	    find_entry(w, message->generation) != NULL)
		return;
	entry = make_room(w);
	if (entry == NULL)
		return;
	entry->fd = extra->fds[0];
	entry->extras = message->count;
	extra->fds_count = 0;
	atomic_signal_fence(memory_order_seq_cst);
	entry->generation = message->generation;
	close_leftovers(w);
}

/* The i-th that came with the message. */
static bool
take_socket(struct worker *w, const struct plan *plan,
    const struct channel_message *message, uint32_t i, int fd)
{
	uint32_t n = message->first + i;

	return message->seat == w->head->seat
	    ? sockets_take(w->head, plan, w->plan, n, fd)
	    : sockets_take_extra(w->head, plan, n, message->seat, fd);
}

bool
follow_take_sockets(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	const struct plan *plan;
	uint32_t kept = 0;
	int rc = find_plan(w, message->generation, &plan);

	if (rc < 0)
		return rc != -ENOENT;
	if (message->first >= BODY_LISTENERS_MAX || w->is_draining ||
	    w->head->is_retiring != 0)
		return true;
	for (uint32_t i = 0; i < extra->fds_count; i++) {
		if (!take_socket(w, plan, message, i, extra->fds[i]))
			extra->fds[kept++] = extra->fds[i];
	}
	extra->fds_count = kept;
	if (plan == w->plan)
		accept_open(w);
	return true;
}

/* Judging */

static const char *
name_of_service(const struct worker *w, uint32_t i)
{
	return w->plan == NULL || i >= w->plan->services.count
	    ? ""
	    : plan_string(w->plan, plan_service(w->plan, i)->name);
}

static const char *
name_of_backend(const struct worker *w, uint32_t i)
{
	return w->plan == NULL || i >= w->plan->backends.count
	    ? ""
	    : plan_string(w->plan, plan_backend(w->plan, i)->name);
}

static bool
lacks_service(const struct plan *plan, const struct slot *slot)
{
	return slot->service >= plan->services.count ||
	    plan_service(plan, slot->service)->state == ROW_EMPTY;
}

static bool
lacks_backend(const struct plan *plan, const struct slot *slot)
{
	return slot->has_backend != 0 &&
	    (slot->backend >= plan->backends.count ||
		plan_backend(plan, slot->backend)->state == ROW_EMPTY);
}

/* A connection whose service or backend the plan has forgotten (P2). */
static const struct slot *
find_homeless(const struct worker *w, const struct plan *plan)
{
	for (uint32_t i = 0; i < w->head->slots_used; i++) {
		const struct slot *slot = worker_slot(w, i);

		if (slot->state != CONN_FREE &&
		    (lacks_service(plan, slot) || lacks_backend(plan, slot)))
			return slot;
	}
	return NULL;
}

static enum follow_answer
refuse(const struct worker *w, const struct plan *plan, const struct slot *slot,
    char *why, size_t why_size)
{
	const char *service = name_of_service(w, slot->service);

	if (lacks_service(plan, slot))
		(void)snprintf(why, why_size,
		    "connections still use service %s, which was removed; "
		    "try again",
		    service);
	else
		(void)snprintf(why, why_size,
		    "connections still use backend %s of service %s, which "
		    "was removed; try again",
		    name_of_backend(w, slot->backend), service);
	return FOLLOW_REFUSED;
}

enum follow_answer
follow_judge(struct worker *w, uint64_t generation, char *why, size_t why_size)
{
	const struct slot *homeless;
	const struct plan *plan;
	int rc = find_plan(w, generation, &plan);

	if (rc < 0) {
		(void)snprintf(why, why_size, "%s",
		    rc == -ENOENT
			? "it has no place for another plan: it does not "
			  "follow the last one yet; try again"
			: strerror(-rc));
		return FOLLOW_REFUSED;
	}
	if (w->head->is_retiring == 0 &&
	    !sockets_are_complete(w->head, plan,
		find_entry(w, generation)->extras))
		return FOLLOW_INCOMPLETE;
	homeless = plan == w->plan ? NULL : find_homeless(w, plan);
	return homeless == NULL ? FOLLOW_READY
				: refuse(w, plan, homeless, why, why_size);
}

void
follow_abort(struct worker *w, uint64_t generation)
{
	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		struct body_plan *entry = &w->head->plans[i];

		if (entry->generation <= generation &&
		    !is_needed(w, entry->generation))
			forget_entry(w, entry);
	}
	close_leftovers(w);
}

/* Following */

/* What a plan says of this worker itself; w->plan is one. */
static void
apply(struct worker *w)
{
	w->head->watchdog_ms = w->plan->watchdog_ms;
	levels_follow(w);
	if (!w->is_draining && w->head->is_retiring == 0) {
		accept_open(w);
		atomic_store(&w->row->accepts, w->generation);
	}
	review_begin(w);
}

static void
forget_older(struct worker *w)
{
	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		struct body_plan *entry = &w->head->plans[i];

		if (entry->generation < w->generation)
			forget_entry(w, entry);
	}
}

bool
follow_next(struct worker *w)
{
	uint64_t generation = generation_in_force(w);
	const struct plan *old = w->plan;
	const struct plan *plan;
	int32_t *turns;

	if (generation <= w->generation || find_plan(w, generation, &plan) < 0)
		return false;
	turns = pick_turns(w, plan);
	if (turns == NULL)
		return false;
	if (old != NULL && !w->is_draining)
		leave_removed(w, plan);
	worker_journal(w, JOURNAL_NONE, 0);
	free(w->turns);
	w->turns = turns;
	w->beside = NULL;
	w->plan = plan;
	w->generation = generation;
	plan_unmap(old);
	/* A body that was lost may have left live counts in our row. */
	if (old == NULL)
		count_recover(w);
	apply(w);
	forget_older(w);
	return true;
}

/* After a death */

int
follow_recover_plan(struct worker *w)
{
	uint64_t in_force = generation_in_force(w);
	const struct body_plan *entry = NULL;
	const struct plan *plan;
	int rc;

	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		const struct body_plan *other = &w->head->plans[i];

		if (other->generation != 0 && other->generation <= in_force &&
		    (entry == NULL || other->generation < entry->generation))
			entry = other;
	}
	if (entry == NULL)
		return 0;
	/* Without a plan all connections would be given up: not for a lack
	 * that may pass. */
	rc = map_entry(entry, &plan);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	w->turns = pick_turns(w, plan);
	if (w->turns == NULL) {
		plan_unmap(plan);
		return -ENOMEM;
	}
	w->plan = plan;
	w->generation = entry->generation;
	return 0;
}

void
follow_recover(struct worker *w)
{
	close_leftovers(w);
	if (!follow_next(w) && w->plan != NULL)
		apply(w);
}
