/*
 * logger - where the gateway's log goes.
 *
 * Runs in: master, the only process that writes logs.  Never blocks: what
 * can't be written at once is counted and dropped.
 */
#ifndef SRVD_MASTER_LOGGER_H
#define SRVD_MASTER_LOGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/log.h"
#include "server/state/plan.h"

/*
 * Open the target of the plan; with to_stderr that, whatever the plan says.
 * Returns 0 or -errno, with a sentence in why.
 */
must_check int logger_open(const struct plan *plan, int to_stderr, char *why,
    size_t why_size);

/* Open a file target anew (it was rotated).  Logs its own failure. */
void logger_reopen(void);

/* The log's sink. */
void logger_write(enum log_level level, const char *line);

/* A line of worker number's. */
void logger_write_worker(enum log_level level, uint32_t number,
    const char *line);

bool logger_is_stderr(void);

/* Lines dropped so far. */
uint64_t logger_dropped(void);

#endif
