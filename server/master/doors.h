/*
 * doors - where the workers of a dead master wait for the next one.
 *
 * A directory beside the control socket, that only the master's user can
 * enter, with a listening socket for each body, named by its row.  The master
 * makes them; they stand in the bodies' tables; only a master that comes
 * later connects to one (server/worker/door.h has the other side).
 *
 * Runs in: master.
 *
 * Invariants
 *  O1  Who has the directory locked is the one master of its bodies.
 */
#ifndef SRVD_MASTER_DOORS_H
#define SRVD_MASTER_DOORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

struct doors {
	bool is_open;
	int dir_fd;
	char path[256];
};

/* Make or find the directory, and lock it.  Returns 0, or -errno with a
 * sentence in why. */
must_check int doors_open(struct doors *doors, const char *control_path,
    char *why, size_t why_size);
/* is_over: no body is left.  Without a door the directory goes, too. */
void doors_close(struct doors *doors, bool is_over);

/* A listening socket for the body of row, or -errno. */
must_check int doors_make(const struct doors *doors, uint32_t row);
bool doors_has(const struct doors *doors, uint32_t row);
void doors_remove(const struct doors *doors, uint32_t row);
/* Nobody is to take over what is there now. */
void doors_remove_all(const struct doors *doors);

/*
 * Connect to the one of row: a channel (channel_open_door()).  Returns it;
 * -ECONNREFUSED or -ENOENT if there is no such body (any more); or -errno.
 */
must_check int doors_knock(const struct doors *doors, uint32_t row);

#endif
