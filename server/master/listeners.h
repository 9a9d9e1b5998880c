/*
 * listeners - the public sockets: bound by the master, accepted on by workers.
 *
 * For a TCP address there is one listening socket a worker, all of one
 * SO_REUSEPORT group; a Unix-domain one is shared, and so is one that the
 * service manager passed, of which there is one.  The master keeps a
 * descriptor of each, so that neither a dead worker's queue nor the group
 * ever loses one.
 *
 * A reload prepares (binds what is new), then listens and commits, or aborts;
 * when all workers follow, what was removed is retired.
 *
 * Runs in: master.
 *
 * Invariants
 *  I1  A number has one group at most: a plan gives a listener's row to
 *      another address only if it was empty in the plan before (P2).
 *  I2  The first settled members of a group belong to the plan in force (or,
 *      until it is retired, to the one before); the others are prepared.
 */
#ifndef SRVD_MASTER_LISTENERS_H
#define SRVD_MASTER_LISTENERS_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/master/found.h"
#include "server/master/listener_bind.h"
#include "server/state/plan.h"

/* One socket address: of socket number n in the bodies' tables. */
struct listener_group {
	struct addr bound; /* with the port the kernel chose */
	int *fds;          /* one a worker; a shared one alone in fds[0] */
	uint32_t count;    /* 0: no such socket */
	uint32_t settled;  /* I2 */
	uint64_t born;     /* its row's */
	struct listener_file file;     /* of a Unix-domain socket */
	struct listener_access before; /* the file's, if is_touched */
	bool is_touched;               /* prepare changed the file */
	bool is_found; /* made by a master before us: until we are in
			* command nothing of it is removed */
};

struct listeners {
	struct listener_group *groups; /* by socket number */
	uint32_t count;                /* none at or past it was ever used */
	const struct passed *passed;   /* what there is already, or NULL */
	struct found *found;           /* likewise, of bodies; or NULL */
};

/* Bind and listen on all of the plan; only passed and found are set before.  Returns 0,
 * or -errno with a sentence in why; nothing is left open or bound then. */
must_check int listeners_open(struct listeners *listeners,
    const struct plan *plan, char *why, size_t why_size);

/*
 * Bind what to has and from (NULL: nothing) has not, without listening, and
 * give files their new owner and mode.  On failure all is as before.
 */
must_check int listeners_prepare(struct listeners *listeners,
    const struct plan *from, const struct plan *to, char *why, size_t why_size);
/* Listen on what is prepared.  On failure it is still to be aborted. */
must_check int listeners_listen(struct listeners *listeners,
    const struct plan *from, const struct plan *to, char *why, size_t why_size);
void listeners_abort(struct listeners *listeners);
void listeners_commit(struct listeners *listeners, const struct plan *to);
/* Close what plan, the one in force, does not have. */
void listeners_retire(struct listeners *listeners, const struct plan *plan);

/* The socket of a number for a worker; -1 if there is none. */
int listeners_fd(const struct listeners *listeners, uint32_t number,
    uint32_t worker);

/* Of a group that has one socket a worker the one of a seat, also of one that
 * is no more; else -1. */
int listeners_member(const struct listeners *listeners, uint32_t number,
    uint32_t seat);
/* One more than the highest seat that has a socket. */
uint32_t listeners_seats(const struct listeners *listeners);

/* What was found is ours now. */
void listeners_keep_found(struct listeners *listeners);

/* Close them all; the bodies' own keep the queues. */
void listeners_close(struct listeners *listeners);
/* Remove the files of Unix-domain sockets, where they are still ours. */
void listeners_remove_files(struct listeners *listeners);
void listeners_release(struct listeners *listeners);

#endif
