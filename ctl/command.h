/*
 * command - srvctl's command line: the options, the table of verbs.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_COMMAND_H
#define SRVD_CTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

enum ctl_exit {
	CTL_DONE = 0,
	CTL_REFUSED = 1,   /* the gateway said no */
	CTL_USAGE = 2,     /* the command line is wrong */
	CTL_UNREACHED = 3, /* no gateway, or no answer in time */
	CTL_FORBIDDEN = 4, /* not permitted */
};

struct command {
	const char *program; /* argv[0] */
	const char *socket;  /* where the gateway is */
	uint64_t timeout_ms; /* for each answer */
	bool json;
	int argc; /* arguments of the verb, without its name */
	char **argv;
};

typedef enum ctl_exit verb_fn(const struct command *command);

/* One row of the table of verbs. */
struct verb {
	const char *name;
	const char *arguments; /* as in the usage */
	const char *help;
	int least; /* number of arguments */
	int most;
	bool local; /* asks no gateway: takes none of the options */
	verb_fn *run;
};

verb_fn verb_call;
verb_fn verb_check;
verb_fn verb_status;

/* Read the command line and do what it says. */
enum ctl_exit command_run(int argc, char **argv);

#endif
