/*
 * command - srvctl's command line; see command.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/version.h"
#include "ctl/help.h"
#include "ctl/option.h"
#include "ctl/text.h"

static enum ctl_exit
verb_unknown(const char *name)
{
	char shown[TEXT_SIZE];

	fprintf(stderr, "srvctl: there is no verb '%s'; there are:",
	    text_show(name, shown));
	for (size_t i = 0; i < verbs_count; i++)
		fprintf(stderr, " %s", verbs_table[i].name);
	fputs(" help\n", stderr);
	return CTL_USAGE;
}

/* srvctl help [VERB] */
static enum ctl_exit
help(const struct command *command, uint32_t given)
{
	const struct verb *verb;

	if (options_check(given, OPTIONS_ALWAYS, "help") < 0)
		return CTL_USAGE;
	if (command->argc > 1) {
		fputs("srvctl: help: too many arguments\n", stderr);
		return CTL_USAGE;
	}
	if (command->argc == 0) {
		help_print(stdout);
		return CTL_DONE;
	}
	verb = verb_find(command->argv[0]);
	if (verb == NULL)
		return verb_unknown(command->argv[0]);
	help_print_verb(verb, stdout);
	return CTL_DONE;
}

static enum ctl_exit
verb_run(const struct verb *verb, struct command *command, uint32_t given)
{
	uint64_t seconds = command->timeout_s;

	if (command->help) {
		help_print_verb(verb, stdout);
		return CTL_DONE;
	}
	if (options_check(given, verb->options | OPTIONS_ALWAYS, verb->name) <
	    0)
		return CTL_USAGE;
	if (command->argc < verb->least || command->argc > verb->most) {
		fprintf(stderr, "srvctl: %s: %s\n", verb->name,
		    command->argc < verb->least ? "an argument is missing"
						: "too many arguments");
		help_print_usage(verb, stderr);
		return CTL_USAGE;
	}
	command->timeout_ms = (seconds == 0 ? verb->timeout_s : seconds) * 1000;
	return verb->run(command);
}

static enum ctl_exit
command_dispatch(struct command *command, uint32_t given)
{
	const struct verb *verb;
	const char *name = command->argv[0];

	if (command->argc == 0 && command->help) {
		help_print(stdout);
		return CTL_DONE;
	}
	if (command->argc == 0 && command->version) {
		if (options_check(given, OPTIONS_ALWAYS | OPTIONS_ALONE,
			"--version") < 0)
			return CTL_USAGE;
		printf("srvctl %s\n", SRVD_VERSION);
		return CTL_DONE;
	}
	if (command->argc == 0) {
		help_print(stderr);
		return CTL_USAGE;
	}
	command->argc--;
	command->argv++;
	if (strcmp(name, "help") == 0)
		return help(command, given);
	verb = verb_find(name);
	if (verb == NULL)
		return verb_unknown(name);
	return verb_run(verb, command, given);
}

/* Whether all that was printed could be. */
static enum ctl_exit
output_end(enum ctl_exit status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	fprintf(stderr, "srvctl: cannot write the output: %s\n",
	    strerror(errno));
	return status == CTL_DONE ? CTL_REFUSED : status;
}

enum ctl_exit
command_run(int argc, char **argv)
{
	struct command command = {.program = argv[0],
	    .socket = getenv("SRVD_SOCKET"),
	    .filter = json_object(),
	    .drain_s = -1};
	enum ctl_exit status = CTL_USAGE;
	uint32_t given = 0;

	if (command.socket == NULL || command.socket[0] == '\0')
		command.socket = SRVCTL_SOCKET;
	if (options_read(&command, argc, argv, &given) == 0)
		status = command_dispatch(&command, given);
	json_decref(command.filter);
	return output_end(status);
}
