/*
 * upgrade_ready - srvd --upgrade-check: could this program serve in the place
 * of the one that asks?
 *
 * Runs in: a child of the master of another srvd, with that one's arguments
 * and environment; see launch.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "server/config/config.h"
#include "server/master/activation.h"
#include "server/master/launch.h"
#include "server/master/master.h"
#include "server/state/versions.h"

/* Workers are found by the path of the control socket. */
static bool
is_found(const struct plan *plan)
{
	const char *path = plan_string(plan, plan->control.path);
	const char *in_force = getenv(LAUNCH_VARIABLE);

	if (in_force == NULL || strcmp(path, in_force) == 0)
		return true;
	(void)fprintf(stderr,
	    "control.path is %s now and %s where it runs, which needs a "
	    "restart\n",
	    path, in_force);
	return false;
}

int
master_check_upgrade(const struct master_options *options)
{
	struct rlimit limit = {.rlim_max = 1024};
	struct passed passed;
	struct config_request request = {
	    .path = options->config_path,
	    .generation = 1,
	    .passed = &passed,
	};
	struct config_result result;
	char line[VERSIONS_LINE_SIZE];
	char why[640] = "";

	if (activation_open(&passed, why, sizeof(why)) < 0) {
		(void)fprintf(stderr, "%s\n", why);
		return EXIT_FAILURE;
	}
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	request.nofile = limit.rlim_max;
	(void)config_load(&request, &result);
	if (result.plan == NULL) {
		config_say_errors(&result, stderr);
		return EXIT_FAILURE;
	}
	if (!is_found(result.plan))
		return EXIT_FAILURE;
	versions_write(line);
	return fputs(line, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE
							      : EXIT_SUCCESS;
}
