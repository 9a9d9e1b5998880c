/*
 * listener_explain - why an address can't be had, in words that help.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_LISTENER_EXPLAIN_H
#define SRVD_MASTER_LISTENER_EXPLAIN_H

#include "server/master/listeners.h"

/* What was tried. */
struct listener_failure {
	const struct listeners *listeners;
	const struct plan *from; /* in force, or NULL */
	const struct plan *to;
	uint32_t number; /* of the group */
	int error;       /* -errno */
};

void listener_explain(const struct listener_failure *failure, char *why,
    size_t why_size);

#endif
