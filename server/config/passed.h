/*
 * passed - listening sockets that the service manager passed at the start, and
 * whose they are.
 *
 * They are what they are for the master's whole life.  A listener takes one by
 * its name, systemd:NAME, or because it has the same address.
 *
 * Runs in: master, the configuration's child (which has the list, but none of
 * the descriptors).
 */
#ifndef SRVD_CONFIG_PASSED_H
#define SRVD_CONFIG_PASSED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

/* The longest name is 255 bytes (systemd.socket(5)). */
#define PASSED_NAME_SIZE 256

struct passed_socket {
	int fd;
	struct addr addr; /* its own; ADDR_ANY: one for both families */
	char name[PASSED_NAME_SIZE];
	bool is_used;   /* a listener of the plan in force has it */
	bool is_missed; /* nobody took it, and that was said */
};

struct passed {
	struct passed_socket *sockets;
	uint32_t count;
};

/* How many have that name?  passed may be NULL, here and below: none. */
uint32_t passed_count(const struct passed *passed, const char *name);

/* The one that socket number n (0, or of "*" 0 and 1) of a listener with that
 * address is; NULL: none, it is to be made. */
struct passed_socket *passed_find(const struct passed *passed,
    const struct addr *addr, uint32_t n);

#endif
