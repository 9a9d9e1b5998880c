/*
 * drop - give up every privilege, for good.
 *
 * Runs in: holder, before its first clone (workers inherit it).
 */
#ifndef SRVD_HOLDER_DROP_H
#define SRVD_HOLDER_DROP_H

#include <stdint.h>

#include "common/attr.h"

/* Who to become; uid PLAN_NO_ID: stay who we are. */
struct drop_spec {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	uint32_t groups_count;
};

/*
 * Become that user, without capabilities, with no_new_privs, not dumpable and
 * without core dumps.  Returns 0 or -errno; after a failure the process must
 * end.
 */
must_check int drop_privileges(const struct drop_spec *spec);

#endif
