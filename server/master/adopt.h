/*
 * adopt - bodies of a dead master become ours.
 *
 * Runs in: master, at its start.
 */
#ifndef SRVD_MASTER_ADOPT_H
#define SRVD_MASTER_ADOPT_H

#include "common/attr.h"

struct master;
struct takeover;

/* All that were collected; their descriptors go with them.  Returns 0 or
 * -errno: bodies_release() gives back those that were. */
must_check int adopt_bodies(struct master *m, struct takeover *t);

#endif
