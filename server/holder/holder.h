/*
 * holder - the sleeping parent of one worker, and owner of its body.
 *
 * A holder shares its descriptor table with the worker it clones, so that the
 * kernel closes nothing when the worker dies; it waits for the worker, writes
 * down how it ended, and clones the next into the same body.
 *
 * Runs in: holder.  Knows nothing of: connections, the plan, messages.
 *
 * Invariants
 *  H1  After its first clone a holder uses, opens and closes no descriptor.
 *  H2  No successor is cloned before the predecessor is reaped.
 *  H3  Nothing that a worker writes into the body can end the holder.
 */
#ifndef SRVD_HOLDER_HOLDER_H
#define SRVD_HOLDER_HOLDER_H

#include "server/state/body.h"

/* Does this command line name a holder (as the master executes it)? */
int holder_is_asked_for(int argc, char **argv);

/*
 * Run holder index with the fixed descriptors of body.h open; returns the
 * program's exit status when the last worker has ended for good.
 */
int holder_main(worker_main_fn *worker, const char *argv0);

#endif
