/*
 * log_target - one place that lines go to: standard error, a file, the
 * journal, syslog.
 *
 * Runs in: master.  Never waits: what can't be written at once is dropped,
 * and the caller is told how many lines that were.
 */
#ifndef SRVD_MASTER_LOG_TARGET_H
#define SRVD_MASTER_LOG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/log.h"
#include "server/state/plan.h"

struct log_kind;

/* All zero is a target that is off. */
struct log_target {
	const struct log_kind *kind; /* NULL: off */
	char *path;                  /* of a file; else NULL */
	int fd;
	bool
	    is_prefixed; /* the journal reads it: it wants <N> (sd-daemon(3)) */
	bool is_regular; /* takes any length at once, and is always ready */
	bool is_torn;    /* its last line was cut off: a full disk, a death */
};

/*
 * Open what the plan names (enum plan_log_target; path: of TARGET_FILE).
 * Returns 0 or -errno, with a sentence in why; then it is off.
 */
must_check int log_target_open(struct log_target *target, uint32_t number,
    const char *path, char *why, size_t why_size);
void log_target_close(struct log_target *target);

/* Would opening it come to the same? */
bool log_target_is(const struct log_target *target, uint32_t number,
    const char *path);

/* A file is opened anew (it was rotated); on failure the old one stays.
 * Returns 0 or -errno. */
must_check int log_target_reopen(struct log_target *target);

/* How many bytes of these lines, from the first on, the target ends with:
 * whole lines, as they are.  0 if it is no file, or can't be read. */
must_check size_t log_target_written(const struct log_target *target,
    const char *lines, size_t length);

/* The others return how many lines were dropped. */

/* A message, without its newline; it gets the time and its level. */
must_check uint32_t log_target_write(struct log_target *target,
    enum log_level level, const char *line);

/* Whole lines, each with its newline, as they are. */
must_check uint32_t log_target_write_lines(struct log_target *target,
    const char *lines, size_t length);

#endif
