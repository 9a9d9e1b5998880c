/*
 * notify - what the service manager is told of this process (sd_notify(3)).
 *
 * Without NOTIFY_SOCKET in the environment nobody is told anything, and all of
 * this does nothing.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_NOTIFY_H
#define SRVD_MASTER_NOTIFY_H

#include "common/attr.h"

struct master;
struct notify;

/*
 * Take what the environment says, out of the environment too, and begin to
 * feed the watchdog.  A socket that can't be used is logged, and then nobody
 * is told.  Returns 0 or -errno.
 */
must_check int notify_open(struct master *m);
void notify_close(struct master *m);

/* The start takes longer: bodies of a dead master are waited for.  Outside of
 * the loop: it feeds the watchdog too. */
void notify_collecting(struct master *m);

/* A worker may have begun to serve: when all do, the gateway is ready. */
void notify_on_worker(struct master *m);

/* A reload begins, and has ended, whatever came of it. */
void notify_reloading(struct master *m);
void notify_reloaded(struct master *m);

/* Another program is about to take the place of this one: the watchdog's time
 * begins anew. */
void notify_upgrading(struct master *m, const char *version);

/* m->phase is no longer MASTER_SERVING. */
void notify_stopping(struct master *m);

/* The start failed; why is a sentence. */
void notify_failed(struct master *m, const char *why);

#endif
