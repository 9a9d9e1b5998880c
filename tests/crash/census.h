/*
 * census - what a process has open, and of a body whether all of it is
 * somebody's.
 *
 * A body's own account (server/state/body.h) is held against what the kernel
 * says of its descriptor table: every descriptor stands in one place there, and
 * what stands there is open.
 *
 * Runs in: a test, as root.
 */
#ifndef SRVD_TESTS_CENSUS_H
#define SRVD_TESTS_CENSUS_H

#include <sys/types.h>

#include "gateway.h"

/*
 * Wait until the body of this holder has just so many slots in use, and no
 * descriptor that nothing claims.  It has never used more than most slots: one
 * that was given back is used again.
 */
void census_expect_body(pid_t holder, unsigned slots, unsigned most);

/* What kinds of descriptors the first worker's body and the master have, a line
 * each; of the body's all but the pipes, which a worker keeps for another
 * time. */
struct census {
	char *body;
	char *master;
};

void census_learn(struct census *census, const struct gateway *g);
/* Wait until they are these again. */
void census_expect(const struct census *census, const struct gateway *g);
void census_forget(struct census *census);

#endif
