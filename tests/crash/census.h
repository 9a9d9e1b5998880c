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

/*
 * Wait until the body of this holder has just so many slots in use, and no
 * descriptor that nothing claims.  It has never used more than most slots: one
 * that was given back is used again.
 */
void census_expect_body(pid_t holder, unsigned slots, unsigned most);

/* The kinds of descriptors that a process has, a line each, but for those that
 * begin so ("pipe:"; NULL: none are left out).  The caller frees it. */
char *census_kinds(pid_t pid, const char *but);
/* The master lets its control clients go, one after the other: wait until those
 * of before have left. */
void census_await_calls(const char *control);
/* Wait until they are these. */
void census_expect_kinds(pid_t pid, const char *but, const char *kinds);

#endif
