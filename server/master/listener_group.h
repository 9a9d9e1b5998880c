/*
 * listener_group - the sockets of one address: bound, taken or found.
 *
 * Runs in: master.  A part of listeners.h, which alone knows all groups.
 */
#ifndef SRVD_MASTER_LISTENER_GROUP_H
#define SRVD_MASTER_LISTENER_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/listeners.h"

/* A step of a reload, for one group. */
struct listener_step {
	struct listeners *listeners;
	const struct plan *from; /* NULL: none */
	const struct plan *to;
	uint32_t number;
	struct listener_group *group;
	const struct plan_listener *row; /* in to */
};

typedef int listener_step_fn(const struct listener_step *step);

/* Get what is missing of the group's sockets, without listening; give its file
 * its owner and mode.  Returns 0 or -errno. */
must_check int listener_group_prepare(const struct listener_step *step);

/* Keep the first count sockets. */
void listener_group_cut(struct listener_group *group, uint32_t count);
/* Remove its file, if it is ours. */
void listener_group_remove_file(struct listener_group *group);
void listener_group_release(struct listener_group *group);

/* Is it a Unix-domain socket with a file? */
bool listener_group_has_path(const struct listener_group *group);

#endif
