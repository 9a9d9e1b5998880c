/*
 * limit - resource limits of processes that run already.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_LIMIT_H
#define SRVD_TESTS_LIMIT_H

#include <sys/resource.h>
#include <sys/types.h>

#include "gateway.h"

/* Set the soft limit, as the process's own user; RLIM_INFINITY: to the hard
 * one. */
void limit_process(pid_t pid, int resource, rlim_t limit);

/* Descriptors of worker index, and of its holder, which successors inherit
 * them from. */
void limit_descriptors(const struct gateway *g, unsigned index, rlim_t limit);

#endif
