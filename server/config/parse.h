/*
 * parse - from canonical text to the rows of a plan, through libconfuse.
 *
 * Runs in: the configuration's child.  Nothing else includes libconfuse.
 */
#ifndef SRVD_CONFIG_PARSE_H
#define SRVD_CONFIG_PARSE_H

#include "server/config/build.h"
#include "server/config/canon.h"

/* Reports to the build's report what the values are wrong about. */
void parse_canon(const struct canon *canon, struct build *build);

/* The same of the values that were kept aside, which no plan is made of. */
void parse_asides(const struct canon *canon,
    const struct config_request *request, struct report *report);

#endif
