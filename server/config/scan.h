/*
 * scan - the shape of the configuration: statements, sections, includes.
 *
 * Holds every statement to the tables of key.h, reports what is unknown,
 * misplaced, missing or given twice, and passes on only what is sound.  One
 * mistake hides no other: a statement that is wrong is left out, the values in
 * it are kept aside to be checked, and the scan goes on behind it.
 *
 * Runs in: the configuration's child.  Knows nothing of what values mean.
 */
#ifndef SRVD_CONFIG_SCAN_H
#define SRVD_CONFIG_SCAN_H

#include <stdbool.h>

#include "common/attr.h"
#include "server/config/canon.h"
#include "server/config/report.h"

/* False if not all of it could be read: what is missing may stand there. */
must_check bool scan_files(const char *path, struct report *report,
    struct canon *canon);

#endif
