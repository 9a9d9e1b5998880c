/*
 * orphans - workers whose holder died before the master knew them.
 *
 * The master is their subreaper (prctl(2)): the kernel makes them its
 * children, and tells which those are.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_ORPHANS_H
#define SRVD_MASTER_ORPHANS_H

#include <sys/types.h>

struct bodies;

/*
 * A child of this process that is neither a holder nor a known worker; 0 if
 * there is none, or the kernel doesn't tell (CONFIG_PROC_CHILDREN).  It is
 * not reaped yet, so its number is safe to use.
 */
pid_t orphans_find(const struct bodies *bodies);

/* Kill and reap them all. */
void orphans_end(const struct bodies *bodies);

#endif
