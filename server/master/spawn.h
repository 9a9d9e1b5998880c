/*
 * spawn - start a holder with exactly the descriptors it shall have.
 *
 * Runs in: master, and between its fork and the exec of the holder.
 */
#ifndef SRVD_MASTER_SPAWN_H
#define SRVD_MASTER_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"

struct spawn_fds {
	int body_fd;
	int channel_fd;
	int door_fd; /* its listening socket for the next master; -1: none */
	int board_read_fd;
	int board_write_fd;
};

/* Returns the holder's process id, or -errno. */
must_check pid_t spawn_holder(uint32_t index, const struct spawn_fds *fds);

#endif
