/*
 * found - listening sockets that the bodies of a dead master had.
 *
 * Runs in: master, at its start.
 */
#ifndef SRVD_MASTER_FOUND_H
#define SRVD_MASTER_FOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/state/plan.h"

struct found_socket {
	int fd;          /* -1: it has been taken */
	uint32_t row;    /* of the body that sent it */
	uint32_t seat;   /* whose member of the group it is */
	uint32_t number; /* in the plan that was in force */
	uint64_t inode;  /* of the socket itself: it may come twice */
	struct addr addr;
};

struct found {
	struct found_socket *sockets;
	uint32_t count;
	uint32_t room;
	const struct plan *plan; /* that the numbers are of, or NULL */
};

/* Keep a socket of which somebody says what as does.  Returns 0; or -EPROTO
 * for what no worker sends, or -errno, and has closed it. */
must_check int found_add(struct found *found, int fd,
    const struct found_socket *as);

/* Forget what the body of row sent. */
void found_drop(struct found *found, uint32_t row);

/* All have come: bring them in the order of seats, each once. */
void found_settle(struct found *found);

/*
 * The next socket from *at on that is number of listener's row, which keeps
 * it (P4), and is bound to address; NULL: none.  found may be NULL.
 */
struct found_socket *found_next(const struct found *found, uint32_t *at,
    const struct plan_listener *row, uint32_t number,
    const struct addr *address);

/* Does one that nobody has taken have such an address? */
bool found_overlaps(const struct found *found, const struct addr *address);

/* Remove the files of those that nobody has taken, where plan has them and
 * they were not passed. */
void found_remove_files(const struct found *found);

void found_release(struct found *found);

#endif
