/*
 * software - programs of others, before and behind a gateway.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_SOFTWARE_H
#define SRVD_TESTS_SOFTWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gateway.h"

/* Are they all installed?  If not, the test is skipped aloud. */
bool software_has(const char *const names[], size_t count);

/* A port that was free a moment ago, and that no dial gets meanwhile. */
int software_free_port(void);
/* Of a service's first listener. */
int software_port_of(const struct gateway *g, const char *service);

/* Start a shell command line, which is to exec what it runs. */
pid_t software_start(const char *command, const char *log);
/* The server answers at address. */
void software_wait(pid_t pid, const char *address);

/* Redis, which keeps nothing, answering at the port and the path. */
pid_t software_start_redis(int port, const char *socket);

#endif
