/*
 * verb_log - srvctl log: set the log level, or open log files again.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/reply.h"
#include "ctl/text.h"

static void
reopen_print(const struct command *command, void *arg, const json_t *parameters)
{
	(void)command;
	(void)arg;
	(void)parameters;
	puts("log files have been opened again");
}

static void
level_print(const struct command *command, void *arg, const json_t *parameters)
{
	(void)arg;
	(void)parameters;
	printf("the log level is %s", command->argv[0]);
	if (command->argc > 1) {
		fputs(" for service ", stdout);
		text_put(stdout, command->argv[1]);
	}
	putchar('\n');
}

static bool
is_level(const char *word)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (strcmp(levels[i], word) == 0)
			return true;
	}
	return false;
}

static enum ctl_exit
log_reopen(const struct command *command)
{
	if (command->argc > 1) {
		fputs("srvctl: log reopen: too many arguments\n", stderr);
		return CTL_USAGE;
	}
	return reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".ReopenLogs",
		.parameters = json_object(),
		.changes = true,
		.print = reopen_print});
}

enum ctl_exit
verb_log(const struct command *command)
{
	const char *word = command->argv[0];
	json_t *parameters;

	if (strcmp(word, "reopen") == 0)
		return log_reopen(command);
	if (!is_level(word)) {
		fputs("srvctl: log: a level is error, warn, info or debug; or "
		      "reopen\n",
		    stderr);
		return CTL_USAGE;
	}
	parameters = json_pack("{s:s}", "level", word);
	if (command->argc > 1 &&
	    json_object_set_new(parameters, "service",
		json_string(command->argv[1])) < 0) {
		json_decref(parameters);
		return reply_not_utf8("the service's name");
	}
	return reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".SetLogLevel",
		.parameters = parameters,
		.changes = true,
		.print = level_print});
}
