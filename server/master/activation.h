/*
 * activation - take over the sockets that the service manager passed
 * (sd_listen_fds(3)).
 *
 * They are kept for the master's life, whether the configuration has a use for
 * them or not: a reload may.  They are not srvd's alone: nobody shuts one down,
 * and their files are not touched.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_ACTIVATION_H
#define SRVD_MASTER_ACTIVATION_H

#include <stddef.h>

#include "common/attr.h"
#include "server/config/passed.h"
#include "server/state/plan.h"

/*
 * Take what the environment names, and take that out of the environment.
 * Returns 0, or -errno with a sentence in why: what was passed is not a
 * listening stream socket, and what to write in its unit.
 */
must_check int activation_open(struct passed *passed, char *why,
    size_t why_size);
void activation_close(struct passed *passed);

/* Log those that the plan in force has no use for; each once, until it has
 * been in use. */
void activation_tell_missed(const struct passed *passed,
    const struct plan *plan);

#endif
