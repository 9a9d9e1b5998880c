/*
 * disturb - what happens to a gateway while somebody else's program works
 * through it: workers are killed, the configuration is reloaded.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_DISTURB_H
#define SRVD_TESTS_DISTURB_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway.h"

/* Write the configuration of a round, which changes something. */
typedef void disturb_configure_fn(const struct gateway *g, unsigned round,
    const void *arg);

struct disturb {
	const struct gateway *gateway;
	bool kills_workers;              /* one a second, in turn */
	disturb_configure_fn *configure; /* a reload each second; or NULL */
	const void *configure_arg;

	unsigned kills; /* until now */
	unsigned reloads;
};

/*
 * Run a shell command line to its end, which must be a good one, and see that
 * at least one of each disturbance happened meanwhile.  What it printed, up to
 * size - 1 bytes, is in output.
 */
void disturb_run(struct disturb *d, const char *command, char *output,
    size_t size);

#endif
