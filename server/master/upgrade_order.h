/*
 * upgrade_order - what the program before an upgrade leaves for the next one:
 * its word, in a variable of the environment (LAUNCH_VARIABLE).
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_UPGRADE_ORDER_H
#define SRVD_MASTER_UPGRADE_ORDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/control.h"
#include "server/state/versions.h"

#define UPGRADE_ORDER_SIZE (256 + PATH_MAX)

struct upgrade_order {
	uint64_t started_ms; /* when the first program of this process was */
	int waiter_fd;       /* of who waits; -1: nobody */
	bool waiter_is_last;
	struct control_heir heir;      /* its control socket */
	char from[VERSIONS_NAME_SIZE]; /* its version; empty: there was none */
	char home[PATH_MAX]; /* the file of the first program, or empty */
};

void upgrade_order_write(const struct upgrade_order *order,
    char text[UPGRADE_ORDER_SIZE]);

/* text may be NULL, or meant for another process.  False if there was no
 * program before; then nothing is in the order. */
must_check bool upgrade_order_read(struct upgrade_order *order,
    const char *text, uint64_t now_ms);

#endif
