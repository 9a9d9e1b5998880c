/*
 * command - srvctl's command line: what was asked for, and the table of verbs.
 *
 * A verb is one row of verbs_table (verbs.c): usage, the checks of arguments
 * and options, the help texts and the default timeout come from it.  An
 * option is one row of the table in option.c.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_COMMAND_H
#define SRVD_CTL_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* clang-format off */
#define CTL_EXITS(X)                                                  \
	/* enum           status  meaning */                           \
	X(CTL_DONE,       0,      "done")                               \
	X(CTL_REFUSED,    1,      "refused by the gateway")             \
	X(CTL_USAGE,      2,      "wrong usage")                        \
	X(CTL_UNREACHED,  3,      "no gateway reached or no answer in time") \
	X(CTL_FORBIDDEN,  4,      "not permitted")                      \
	X(CTL_STOPPING,   5,      "the gateway is being stopped")
/* clang-format on */

#define CTL_EXIT_ENUM(name, status, meaning) name = (status),
enum ctl_exit {
	CTL_EXITS(CTL_EXIT_ENUM)
};
#undef CTL_EXIT_ENUM

struct command {
	const char *program; /* argv[0] */
	const char *socket;  /* where the gateway is */
	uint64_t timeout_s;  /* 0: not given */
	uint64_t timeout_ms; /* for each answer */
	bool json;
	bool help;
	bool version;

	json_t *filter; /* an object: criteria as the gateway takes them */
	bool dry_run;
	bool wide;
	bool reset;
	bool yes;
	bool no_wait;
	int64_t drain_s; /* -1: not given */

	int argc; /* arguments of the verb, without its name */
	char **argv;
};

typedef enum ctl_exit verb_fn(const struct command *command);

/* Which options a verb takes: sets of rows of the table of options. */
enum option_set {
	OPTIONS_ALWAYS = 0x01,  /* --help */
	OPTIONS_ALONE = 0x02,   /* --version: wants no verb */
	OPTIONS_GATEWAY = 0x04, /* where it is and how to answer */
	OPTIONS_FILTER = 0x08,  /* which connections */
	OPTIONS_RELOAD = 0x10,
	OPTIONS_LIST = 0x20,
	OPTIONS_CLOSE = 0x40,
	OPTIONS_STOP = 0x80,
};

/* One row of the table of verbs. */
struct verb {
	const char *name;
	const char *alias;     /* another name, or NULL */
	const char *arguments; /* as in the usage */
	const char *summary;   /* a line */
	const char *text;      /* more, for the help of the verb */
	int least;             /* number of arguments */
	int most;
	unsigned options;   /* sets of options besides OPTIONS_ALWAYS */
	unsigned timeout_s; /* if no other is given */
	verb_fn *run;
};

extern const struct verb verbs_table[];
extern const size_t verbs_count;

/* By name or alias; NULL if there is none. */
const struct verb *verb_find(const char *name);

verb_fn verb_call;
verb_fn verb_check;
verb_fn verb_close;
verb_fn verb_connections;
verb_fn verb_log;
verb_fn verb_rebalance;
verb_fn verb_reload;
verb_fn verb_status;
verb_fn verb_stop;
verb_fn verb_upgrade;

/* Read the command line and do what it says. */
enum ctl_exit command_run(int argc, char **argv);

#endif
