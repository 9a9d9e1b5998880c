/*
 * control_peer - who has connected to the control socket, by the kernel's
 * word alone.
 *
 * Runs in: master.  Asks no name service.
 */
#ifndef SRVD_MASTER_CONTROL_PEER_H
#define SRVD_MASTER_CONTROL_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/attr.h"

struct control_peer {
	struct ucred cred;
	bool is_privileged; /* root or the master's own user */
	bool may_change;
};

/*
 * Ask about the peer of the connected socket fd; members of admin_gid
 * (PLAN_NO_ID: nobody) may change things too.  Returns 0, or -errno: nothing
 * is known of it.
 */
must_check int control_peer_look(int fd, uint32_t admin_gid,
    struct control_peer *peer);

#endif
