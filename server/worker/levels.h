/*
 * levels - which lines are worth a message to the master.
 *
 * There is one level for all, and one for any service that was given its own:
 * that decides alone about lines which belong to the service or to one of its
 * connections, so that it can say more than the others, or less.
 *
 * Runs in: worker.  A cache: the master says it again after a hello.
 */
#ifndef SRVD_WORKER_LEVELS_H
#define SRVD_WORKER_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "server/worker/worker.h"

/* A line that belongs to no service. */
#define LEVELS_GENERAL UINT32_MAX

/* The level that the body was made with, or was given last. */
void levels_init(struct worker *w);

/* As ordered: of a service, or of all (CHANNEL_ALL), which ends what was said
 * of single ones.  Nonsense is passed over. */
void levels_set(struct worker *w, uint32_t service, uint32_t level);

/* Is a line of this level wanted, about this service or LEVELS_GENERAL? */
bool levels_want(const struct worker *w, uint32_t service,
    enum log_level level);

/* The plan is another one: what was said of a service that is no more does
 * not hold for the next one in its row. */
void levels_follow(struct worker *w);

#endif
