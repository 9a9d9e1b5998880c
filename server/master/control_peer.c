/*
 * control_peer - who has connected; see control_peer.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/master/control_peer.h"
#include "server/state/plan.h"

/* More than one can have: NGROUPS_MAX of the kernel. */
#define GROUPS_MAX 65536

/* The supplementary groups of the peer, which the caller frees, and how many
 * in *count.  Returns 0 or -errno. */
static int
groups_get(int fd, gid_t **groups, size_t *count)
{
	socklen_t size = 32 * sizeof(gid_t);
	gid_t *list = NULL;
	int error = -ERANGE;

	/* Where there is no room, the kernel says how much there must be. */
	while (error == -ERANGE && size <= GROUPS_MAX * sizeof(gid_t)) {
		gid_t *more = realloc(list, size);

		if (more == NULL) {
			error = -ENOMEM;
			break;
		}
		list = more;
		error =
		    getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &size) == -1
		    ? -errno
		    : 0;
	}
	if (error < 0) {
		free(list);
		return error;
	}
	*groups = list;
	*count = size / sizeof(*list);
	return 0;
}

/* Who can't be shown to be a member is none. */
static bool
is_member(int fd, gid_t primary, uint32_t gid)
{
	gid_t *groups = NULL;
	size_t count = 0;
	bool found = false;

	if (gid == PLAN_NO_ID)
		return false;
	if (primary == gid)
		return true;
	if (groups_get(fd, &groups, &count) < 0)
		return false;
	for (size_t i = 0; i < count && !found; i++)
		found = groups[i] == gid;
	free(groups);
	return found;
}

int
control_peer_look(int fd, uint32_t admin_gid, struct control_peer *peer)
{
	socklen_t length = sizeof(peer->cred);

	memset(peer, 0, sizeof(*peer));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->cred, &length) == -1)
		return -errno;
	peer->is_privileged =
	    peer->cred.uid == 0 || peer->cred.uid == geteuid();
	peer->may_change =
	    peer->is_privileged || is_member(fd, peer->cred.gid, admin_gid);
	return 0;
}
