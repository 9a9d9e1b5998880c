/*
 * logger - where the gateway's messages and its access log go.
 *
 * The two have a target each, and share nothing else.
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
 * Open the targets of the plan; with to_stderr messages go to that for good,
 * whatever this plan or a later one says.  Returns 0 or -errno, with a
 * sentence in why.
 */
must_check int logger_open(const struct plan *plan, int to_stderr, char *why,
    size_t why_size);

/*
 * A reload: open what the next plan names and is not open yet, and use it
 * from the commit on.  Returns 0 or -errno, with a sentence in why and
 * nothing left open.  Prepared twice, the last one counts.
 */
must_check int logger_prepare(const struct plan *plan, char *why,
    size_t why_size);
void logger_commit(void);
/* Nothing happens if nothing is prepared. */
void logger_abort(void);

/* Open files anew (they were rotated).  Logs its own failure.  Returns 0, or
 * -errno of the first that could not be opened, with a sentence in why. */
int logger_reopen(char *why, size_t why_size);

/* The log's sink. */
void logger_write(enum log_level level, const char *line);

/* A line of worker number's. */
void logger_write_worker(enum log_level level, uint32_t number,
    const char *line);

/* Whole lines of the access log, each with its newline. */
void logger_access_write(const char *lines, size_t length);

/* How many bytes of these lines the access log's file ends with: whole lines,
 * from the first on. */
must_check size_t logger_access_written(const char *lines, size_t length);

bool logger_is_stderr(void);

/* Lines dropped so far, of both. */
uint64_t logger_dropped(void);
/* Lines that are lost before they got here. */
void logger_add_dropped(uint64_t lines);

#endif
