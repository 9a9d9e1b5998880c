/*
 * succession - the rows of a plan that follows another.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_SUCCESSION_H
#define SRVD_CONFIG_SUCCESSION_H

#include "server/config/build.h"

/*
 * Give every row of a whole build, in the order of the configuration so far,
 * the index that it has to have after plan previous (P2, P4 in plan.h), and
 * take over from there what connections may still use.  Reports to the
 * build's report what finds no room.
 */
void succession_apply(struct build *build, const struct plan *previous);

#endif
