/*
 * orders - what the master tells this worker, and what is told back.
 *
 * Runs in: worker.  Every order may come twice.
 */
#ifndef SRVD_WORKER_ORDERS_H
#define SRVD_WORKER_ORDERS_H

#include "common/log.h"
#include "server/worker/worker.h"

/* Say hello; the master sends what this body has not acknowledged yet. */
void orders_open(struct worker *w);

void orders_on_event(struct worker *w);

/* Between events: go over to the plan in force, if it has arrived (B2). */
void orders_follow(struct worker *w);

/* Between events: what is still to be said, and whether anybody is left to
 * say it to. */
void orders_check(struct worker *w);

/* A log sink: the master writes the log. */
void orders_log(enum log_level level, const char *line);

#endif
