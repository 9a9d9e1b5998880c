/*
 * levels - which lines are worth a message to the master; see levels.h.
 *
 * The log's own level is the greatest of all, and who makes a line asks
 * levels_want() first.  Errors are always wanted: they need not ask.
 */
#include <string.h>

#include "server/state/channel.h"
#include "server/worker/levels.h"

_Static_assert(CHANNEL_ALL == LEVELS_GENERAL, "one number for all services");

static enum log_level
greatest(const struct worker *w)
{
	uint32_t most = w->log_level;

	for (uint32_t i = 0; i < PLAN_SERVICES_MAX; i++) {
		if (w->levels[i] > most + 1)
			most = w->levels[i] - 1u;
	}
	return (enum log_level)most;
}

void
levels_init(struct worker *w)
{
	w->log_level =
	    w->head->log_level > LEVEL_DEBUG ? LEVEL_DEBUG : w->head->log_level;
	memset(w->levels, 0, sizeof(w->levels));
	log_set_level(greatest(w));
}

void
levels_set(struct worker *w, uint32_t service, uint32_t level)
{
	if (level > LEVEL_DEBUG)
		return;
	if (service == CHANNEL_ALL) {
		w->head->log_level = level;
		levels_init(w);
	} else if (service < PLAN_SERVICES_MAX) {
		w->levels[service] = (uint8_t)(level + 1);
		log_set_level(greatest(w));
	}
}

bool
levels_want(const struct worker *w, uint32_t service, enum log_level level)
{
	if (service < PLAN_SERVICES_MAX && w->levels[service] != 0)
		return (uint32_t)level < w->levels[service];
	return (uint32_t)level <= w->log_level;
}

void
levels_follow(struct worker *w)
{
	for (uint32_t i = 0; i < PLAN_SERVICES_MAX; i++) {
		if (i >= w->plan->services.count ||
		    plan_service(w->plan, i)->state == ROW_EMPTY)
			w->levels[i] = 0;
	}
	log_set_level(greatest(w));
}
