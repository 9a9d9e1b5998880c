/*
 * upgrade_check - a child runs the program that is to come, and asks it
 * whether it could.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_UPGRADE_CHECK_H
#define SRVD_MASTER_UPGRADE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "server/master/launch.h"
#include "server/master/loop.h"
#include "server/state/versions.h"

#define UPGRADE_CHECK_MS 10000
/* What it may say: errors of a configuration are many lines. */
#define UPGRADE_SAID_MAX 16384

struct upgrade_check {
	struct loop *loop;
	pid_t pid; /* 0: none runs */
	struct loop_watch watch;
	struct loop_timer deadline;
	bool is_late;
	size_t length;
	char said[UPGRADE_SAID_MAX + 2];
};

/* Start it.  Returns 0 or -errno. */
must_check int upgrade_check_begin(struct upgrade_check *check,
    struct loop *loop, const struct launch *launch,
    const struct launch_program *program, uint32_t sockets, const char *order);

/* It has ended, and is not reaped yet: what it has left goes with it. */
void upgrade_check_end_all(const struct upgrade_check *check);

/* It was reaped with this status.  Returns 0 and the program's version in
 * name, or -errno with a sentence in why. */
must_check int upgrade_check_end(struct upgrade_check *check, int status,
    char name[VERSIONS_NAME_SIZE], char *why, size_t why_size);

/* Kill and forget it; it is still to be reaped. */
void upgrade_check_abandon(struct upgrade_check *check);

#endif
