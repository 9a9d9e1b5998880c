/*
 * pick - which backend a connection is given; see pick.h.
 */
#include <stddef.h>
#include <stdlib.h>

#include "server/worker/conn.h"
#include "server/worker/pick.h"

struct choice {
	const struct slot *slot;
	const struct plan_service *service;
	bool backup; /* choose among the backups */
};

typedef bool pick_fn(struct worker *w, const struct choice *choice,
    uint32_t *backend);

static bool
is_candidate(const struct worker *w, const struct choice *choice, uint32_t i)
{
	const struct plan_backend *backend = plan_backend(w->plan, i);

	if (backend->weight == 0 || (backend->backup != 0) != choice->backup)
		return false;
	for (uint32_t t = 0; t < choice->slot->tried_count; t++) {
		if (choice->slot->tried[t] == i)
			return false;
	}
	return true;
}

/*
 * Smooth weighted round robin: everyone gains his weight, the richest is
 * picked and pays the sum.  Weights 5, 1, 1 give a a b a c a a.
 */
static bool
pick_roundrobin(struct worker *w, const struct choice *choice,
    uint32_t *backend)
{
	const struct plan_service *service = choice->service;
	int64_t total = 0;
	bool found = false;

	for (uint32_t i = service->first_backend; i != PLAN_END;
	     i = plan_backend(w->plan, i)->next) {
		if (!is_candidate(w, choice, i))
			continue;
		w->turns[i] += (int32_t)plan_backend(w->plan, i)->weight;
		total += plan_backend(w->plan, i)->weight;
		if (!found || w->turns[i] > w->turns[*backend])
			*backend = i;
		found = true;
	}
	if (found)
		w->turns[*backend] -= (int32_t)total;
	return found;
}

/* Connections of a backend, in all workers. */
static uint64_t
live_of(const struct worker *w, uint32_t backend)
{
	return board_sum(w->board,
	    offsetof(struct board_row, backends[backend].connections),
	    w->plan->max_connections);
}

/* A counter that may wrap. */
static uint32_t
next_turn(struct worker *w, uint32_t backend)
{
	uint32_t turn = (uint32_t)w->turns[backend];

	w->turns[backend] = (int32_t)(turn + 1);
	return turn;
}

/* The backend n places behind i, in a ring. */
static uint32_t
behind(const struct plan *plan, const struct plan_service *service, uint32_t i,
    uint32_t n)
{
	for (; n > 0; n--) {
		i = plan_backend(plan, i)->next;
		if (i == PLAN_END)
			i = service->first_backend;
	}
	return i;
}

/* The fewest connections for its weight; among equals, in turn. */
static bool
pick_leastconn(struct worker *w, const struct choice *choice, uint32_t *backend)
{
	const struct plan_service *service = choice->service;
	uint64_t best_live = 0;
	uint32_t best_weight = 0;
	uint32_t i = service->first_backend;

	i = behind(w->plan, service, i, next_turn(w, i) % service->backends);
	for (uint32_t n = 0; n < service->backends;
	     n++, i = behind(w->plan, service, i, 1)) {
		uint32_t weight;
		uint64_t live;

		if (!is_candidate(w, choice, i))
			continue;
		weight = plan_backend(w->plan, i)->weight;
		live = live_of(w, i) + 1;
		if (best_weight != 0 &&
		    live * best_weight >= best_live * weight)
			continue;
		best_live = live;
		best_weight = weight;
		*backend = i;
	}
	return best_weight != 0;
}

/* clang-format off */
static pick_fn *const algorithms[] = {
	[BALANCE_ROUNDROBIN] = pick_roundrobin,
	[BALANCE_LEASTCONN]  = pick_leastconn,
};
/* clang-format on */

bool
pick_backend(struct worker *w, const struct slot *slot, uint32_t *backend)
{
	struct choice choice = {
	    .slot = slot,
	    .service = conn_service(w, slot),
	};
	pick_fn *pick = algorithms[choice.service->balance];

	/* One that was removed has none. */
	if (choice.service->backends == 0 ||
	    slot->tried_count > choice.service->retries ||
	    slot->tried_count >= SLOT_TRIED_MAX)
		return false;
	if (pick(w, &choice, backend))
		return true;
	choice.backup = true;
	return pick(w, &choice, backend);
}

/* Does a service that had turns go on? */
static bool
has_turns(const struct worker *w, uint32_t service)
{
	return w->turns != NULL && service < w->plan->services.count &&
	    plan_service(w->plan, service)->state == ROW_ACTIVE;
}

static void
keep_turns(const struct worker *w, const struct plan *plan,
    const struct plan_service *service, int32_t *turns)
{
	for (uint32_t i = service->first_backend; i != PLAN_END;
	     i = plan_backend(plan, i)->next) {
		if (i < w->plan->backends.count)
			turns[i] = w->turns[i];
	}
}

int32_t *
pick_turns(const struct worker *w, const struct plan *plan)
{
	int32_t *turns = calloc(plan->backends.count + 1, sizeof(*turns));

	for (uint32_t i = 0; turns != NULL && i < plan->services.count; i++) {
		const struct plan_service *service = plan_service(plan, i);

		if (service->state != ROW_ACTIVE)
			continue;
		/* The workers of a gateway begin at different places, or the
		 * first connection of each would go to the same backend. */
		if (has_turns(w, i))
			keep_turns(w, plan, service, turns);
		else
			turns[behind(plan, service, service->first_backend,
			    w->head->seat % service->backends)] += 1;
	}
	return turns;
}
