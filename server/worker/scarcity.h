/*
 * scarcity - what this worker is short of: said once, shown on the board.
 *
 * A shortage begins when it is met and is over when it has not been met for
 * some seconds; both are one line of the log, however many connections meet
 * it.  Meanwhile it is a bit in this worker's row of the board, which a
 * successor takes over as it stands.
 *
 * Runs in: worker.  Knows nothing of what is done about a shortage.
 */
#ifndef SRVD_WORKER_SCARCITY_H
#define SRVD_WORKER_SCARCITY_H

#include <stdbool.h>

#include "common/shortage.h"
#include "server/worker/worker.h"

/* Is it an error of a system call for want of descriptors or memory? */
bool scarcity_is(int error);

/* Such an error was met. */
void scarcity_met(struct worker *w, int error);
/* Pipes were. */
void scarcity_met_pipes(struct worker *w);
/* No local port was left for a connection to slot's backend. */
void scarcity_met_ports(struct worker *w, const struct slot *slot);
/* max_connections is reached: of a service, or LEVELS_GENERAL. */
void scarcity_met_limit(struct worker *w, uint32_t service);

/* Is it under way? */
bool scarcity_has(const struct worker *w, enum shortage shortage);

/* At a worker's start: go on with what the board says. */
void scarcity_recover(struct worker *w);
/* Now and then: see which are over. */
void scarcity_check(struct worker *w);

#endif
