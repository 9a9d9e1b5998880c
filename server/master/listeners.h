/*
 * listeners - the public sockets: bound by the master, accepted on by workers.
 *
 * For a TCP address there is one listening socket a worker, all of one
 * SO_REUSEPORT group; a Unix-domain one is shared.  The master keeps a
 * descriptor of each, so that neither a dead worker's queue nor the group
 * ever loses one.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_LISTENERS_H
#define SRVD_MASTER_LISTENERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/state/plan.h"

/* One socket address: of socket number n in the bodies' tables. */
struct listener_group {
	struct addr bound; /* with the port the kernel chose */
	uint32_t listener; /* index in the plan */
	int *fds;          /* one a worker; a shared one alone in fds[0] */
	uint32_t count;    /* 0: no such socket */
	dev_t file_dev;    /* of a Unix-domain socket's file */
	ino_t file_ino;
};

struct listeners {
	struct listener_group *groups; /* by socket number */
	uint32_t count;                /* 2 a listener of the plan */
};

/* Bind and listen on all of the plan.  Returns 0, or -errno with a sentence
 * in why; nothing is left open or bound then. */
must_check int listeners_open(struct listeners *listeners,
    const struct plan *plan, char *why, size_t why_size);

/* The socket of a number for a worker; -1 if there is none. */
int listeners_fd(const struct listeners *listeners, uint32_t number,
    uint32_t worker);

/* Close them all; the bodies' own keep the queues. */
void listeners_close(struct listeners *listeners);
/* Remove the files of Unix-domain sockets, where they are still ours. */
void listeners_remove_files(struct listeners *listeners);
void listeners_release(struct listeners *listeners);

#endif
