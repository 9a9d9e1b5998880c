/*
 * answer - what the configuration's child tells its parent.
 *
 * A head with the number of errors, the errors, and a mark at the end.  The
 * parent believes none of it: lengths are held against what was received,
 * and text is made printable.
 *
 * Runs in: the configuration's child (write), master (read).
 */
#ifndef SRVD_CONFIG_ANSWER_H
#define SRVD_CONFIG_ANSWER_H

#include <stddef.h>

#include "common/attr.h"
#include "server/config/config.h"
#include "server/config/report.h"

/* Enough for REPORT_FINDINGS_MAX errors with the longest names of files. */
#define ANSWER_BYTES_MAX ((size_t)1 << 20)

/* Blocks until the parent has taken it all. */
must_check int answer_write(int fd, const struct report *report);

/*
 * Add the errors in an answer to *result.  Returns 0, -EBADMSG for anything
 * but one whole answer, or -ENOMEM.
 */
must_check int answer_read(const char *bytes, size_t length,
    struct config_result *result);

/* Add one error; -ENOMEM leaves the result as it was. */
int answer_add_error(struct config_result *result, const char *file,
    uint32_t line, const char *message);

#endif
