/*
 * deaths - how workers died, as their holders wrote it down.
 *
 * Runs in: master.  The worker can write there too: what is read is copied,
 * and believed only as far as it can do no harm.
 */
#ifndef SRVD_MASTER_DEATHS_H
#define SRVD_MASTER_DEATHS_H

#include "server/master/body_ref.h"

/* Has a worker died since the last look?  Then log it. */
void deaths_note(struct body_ref *ref);

/* Of the last one: "killed", "signal", "watchdog", "exit" or "unknown". */
const char *deaths_cause(const struct body_ref *ref);

#endif
