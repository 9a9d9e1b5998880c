/*
 * gateway - a srvd of the test's own: started, asked, stopped.
 *
 * The program is SRVD_BIN of the environment.  Its configuration, log
 * (srvd.log, shown when the test fails), control socket and Unix-domain
 * listeners are in the directory of the test.  As root it runs its workers
 * as nobody.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_GATEWAY_H
#define SRVD_TESTS_GATEWAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"
#include "common/attr.h"
#include "harness.h"
#include "proc.h"

#define GATEWAY_FAMILY_MAX 64
/* How long starting and stopping may take. */
#define GATEWAY_TIMEOUT_MS 15000

struct gateway {
	/* Set by gateway_init; to be changed before gateway_start. */
	unsigned workers;
	const char *globals;         /* more lines of the configuration */
	const char *control_keys;    /* more of the control section */
	const char *access;          /* log { access }: off */
	struct proc_sockets sockets; /* that it is activated with: none */

	pid_t pid;
	int ended; /* if that is -1: the status, as proc_wait() tells it */
	char config[E2E_PATH_SIZE];
	char control[E2E_PATH_SIZE];
	char log[E2E_PATH_SIZE];
	pid_t family[GATEWAY_FAMILY_MAX]; /* all below pid, when last asked */
	size_t family_count;
};

const char *gateway_program(void);

void gateway_init(struct gateway *g);
/* Write the configuration, with these services. */
void gateway_configure(const struct gateway *g, const char *services, ...)
    printf_like(2, 3);
/* Write a file as it is said, such as a broken configuration. */
void gateway_write(const char *path, const char *text, size_t length);
/* Run srvd with what was written; return when all its workers are running. */
void gateway_run(struct gateway *g);
/* The same in parts, for a start that may be cut off: run it; until it is
 * ready, or was killed (false, and pid is -1). */
void gateway_begin(struct gateway *g);
bool gateway_is_ready(const struct gateway *g);
bool gateway_settles(struct gateway *g);
/* gateway_configure and gateway_run. */
void gateway_start(struct gateway *g, const char *services, ...)
    printf_like(2, 3);

void gateway_signal(struct gateway *g, int signal);
/* The master dies of SIGKILL; all below it go on. */
void gateway_kill(struct gateway *g);
/* It ends within timeout_ms with status 0, nothing is left of it. */
void gateway_expect_ended(struct gateway *g, int timeout_ms);
/* Neither the control socket is there nor the directory of the doors. */
void gateway_expect_no_files(const struct gateway *g);
/* Stop at once, and the above. */
void gateway_stop(struct gateway *g);

/*
 * Call a method of io.srvd.Control; parameters is JSON text or NULL.  Returns
 * the reply, which the caller releases, or NULL if none came in 5 s.
 */
json_t *gateway_call(const struct gateway *g, const char *method,
    const char *parameters);
/* It is no error; it may be none at all (NULL). */
void gateway_expect_success(const json_t *reply);

/* GetStatus' parameters; the caller releases them. */
json_t *gateway_status(const struct gateway *g);

/*
 * What stands at path in GetStatus' parameters: keys, indexes of arrays or
 * the names of their elements, with slashes between: "totals/connections",
 * "workers/0/pid", "services/redis/backends/a/failed".
 */
json_t *gateway_find(json_t *status, const char *path);
int64_t gateway_number(const struct gateway *g, const char *path);
/* Wait until the number there is value. */
void gateway_expect_number(const struct gateway *g, const char *path,
    int64_t value);
/* Where the listener number n of a service is bound. */
const char *gateway_address(const struct gateway *g, const char *service,
    unsigned n, char address[ADDR_TEXT_SIZE]);

pid_t gateway_worker(const struct gateway *g, unsigned index);
pid_t gateway_holder(const struct gateway *g, unsigned index);
/* Send a signal to worker index, which /proc must know by its name; returns
 * the PID it had. */
pid_t gateway_signal_worker(const struct gateway *g, unsigned index,
    int signal);
/* Worker index is running, and not as the process old any more. */
void gateway_expect_successor(const struct gateway *g, unsigned index,
    pid_t old);

#endif
