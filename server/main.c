/*
 * main - which process this is: the master, or a holder that it executes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/log.h"
#include "common/title.h"
#include "common/version.h"
#include "server/config/config.h"
#include "server/holder/holder.h"
#include "server/master/launch.h"
#include "server/master/master.h"
#include "server/worker/worker.h"

#define EXIT_USAGE 2

/* An option without a letter. */
#define OPTION_CHECK_UPGRADE 256

enum action {
	ACTION_SERVE,
	ACTION_CHECK,
	ACTION_CHECK_UPGRADE
};

#if defined(__SANITIZE_ADDRESS__)
/* The workers' own handler is to see the faults, and a holder can't be traced
 * for leaks. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_abort=0:"
	       "handle_sigill=0:detect_leaks=0:allow_user_segv_handler=1";
}
#endif

static void
print_usage(FILE *out)
{
	(void)fprintf(out,
	    "usage: srvd [-f FILE] [-d] [-v] [-n] [-V] [-h]\n"
	    "\n"
	    "  -f, --config FILE  read FILE instead of %s\n"
	    "  -d, --foreground   log to stderr, whatever log.target says\n"
	    "  -v, --verbose      with -d: log debug messages;\n"
	    "                     with -n: print the effective configuration\n"
	    "  -n, --check        check the configuration and exit\n"
	    "  -V, --version      print the version and exit\n"
	    "  -h, --help         print this and exit\n"
	    "\n"
	    "It never goes to the background.  Signals: TERM drains and stops\n"
	    "(a second one at once), INT stops at once, HUP reloads the\n"
	    "configuration, USR1 opens log files again.  See srvd(8),\n"
	    "srvd.conf(5), srvctl(1).\n",
	    SRVD_CONFIG_FILE);
}

static int
check(const struct master_options *options)
{
	struct rlimit limit = {.rlim_max = 1024};
	struct config_request request = {
	    .path = options->config_path,
	    .check_only = true,
	    .generation = 1,
	};
	struct config_result result;
	int status = EXIT_SUCCESS;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	request.nofile = limit.rlim_max;
	config_load(&request, &result);
	config_say_errors(&result, stderr);
	if (result.plan == NULL ||
	    (options->verbose > 0 && config_print(result.plan, stdout) < 0))
		status = EXIT_FAILURE;
	config_result_release(&result);
	if (fflush(stdout) != 0)
		status = EXIT_FAILURE;
	return status;
}

/* Returns the exit status to end with, or -1 to go on. */
static int
read_options(int argc, char **argv, struct master_options *options,
    enum action *action)
{
	static const struct option names[] = {
	    {"config", required_argument, NULL, 'f'},
	    {"foreground", no_argument, NULL, 'd'},
	    {"verbose", no_argument, NULL, 'v'},
	    {"check", no_argument, NULL, 'n'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    /* Of one srvd to another, see srvd(8), Upgrade. */
	    {&LAUNCH_OPTION[2], no_argument, NULL, OPTION_CHECK_UPGRADE},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "f:dvnVh", names, NULL)) !=
	    -1) {
		switch (option) {
		case 'f':
			options->config_path = optarg;
			break;
		case 'd':
			options->log_to_stderr = true;
			break;
		case 'v':
			options->verbose++;
			break;
		case 'n':
			*action = ACTION_CHECK;
			break;
		case OPTION_CHECK_UPGRADE:
			*action = ACTION_CHECK_UPGRADE;
			break;
		case 'V':
			(void)puts("srvd " SRVD_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			print_usage(stdout);
			return EXIT_SUCCESS;
		default:
			print_usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	(void)fprintf(stderr, "srvd: unexpected argument: %s\n", argv[optind]);
	print_usage(stderr);
	return EXIT_USAGE;
}

/* The title will be written over the arguments. */
static int
keep_path(struct master_options *options)
{
	options->config_path = strdup(options->config_path);
	return options->config_path == NULL ? -1 : 0;
}

int
main(int argc, char **argv)
{
	struct launch launch;
	struct master_options options = {
	    .config_path = SRVD_CONFIG_FILE,
	    .launch = &launch,
	};
	enum action action = ACTION_SERVE;
	int status;

	if (argc < 1)
		return EXIT_USAGE;
	title_init(argc, argv);
	if (holder_is_asked_for(argc, argv))
		return holder_main(worker_main, argv[0]);
	status = read_options(argc, argv, &options, &action);
	if (status >= 0)
		return status;
	if (launch_keep(&launch, argv) < 0 || keep_path(&options) < 0)
		return EXIT_FAILURE;
	if (action == ACTION_CHECK)
		return check(&options);
	if (action == ACTION_CHECK_UPGRADE)
		return master_check_upgrade(&options);
	return master_run(&options);
}
