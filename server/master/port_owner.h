/*
 * port_owner - who holds an address that is in use, where the kernel tells.
 *
 * Runs in: master, while it reports a failed bind.  Reads /proc; blocks for as
 * long as that takes.
 */
#ifndef SRVD_MASTER_PORT_OWNER_H
#define SRVD_MASTER_PORT_OWNER_H

#include <stddef.h>
#include <sys/types.h>

#include "common/addr.h"

#define PORT_OWNER_UNKNOWN ((uid_t)-1)

/*
 * The process, and its name in text; 0 and nothing if it can't be told, as that
 * of another user's processes if we are not root.  In uid is whose socket it is,
 * which is told to everybody, or PORT_OWNER_UNKNOWN.
 */
pid_t port_owner(const struct addr *addr, char *text, size_t size, uid_t *uid);

/* A process that has an address. */
enum port_srvd {
	PORT_STRANGER, /* of another program */
	PORT_SERVED,   /* of a srvd, whose master it is or descends from */
	PORT_ORPHAN    /* of a srvd without a master */
};
enum port_srvd port_owner_srvd(pid_t pid, pid_t *master);

#endif
