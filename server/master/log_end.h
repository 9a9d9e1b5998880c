/*
 * log_end - what the file of a log ends with.
 *
 * Logs are opened for writing alone; this opens them once more to read, by
 * /proc/self/fd (proc(5)), so what is read is the same file whatever has
 * become of its name.
 *
 * Runs in: master, when a log is opened or taken over.  Blocks no longer than
 * reading a file does.
 */
#ifndef SRVD_MASTER_LOG_END_H
#define SRVD_MASTER_LOG_END_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"

/* fd is the log's.  What is no regular file, or can't be read, is empty. */

/* Does it end in the middle of a line? */
must_check bool log_end_is_torn(int fd);

/* How many bytes of these lines, from the first on, stand at its end: whole
 * lines; one that is torn may follow in the file, if it is the next of them. */
must_check size_t log_end_overlap(int fd, const char *lines, size_t length);

#endif
