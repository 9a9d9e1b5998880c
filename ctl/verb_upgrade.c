/*
 * verb_upgrade - srvctl upgrade: put another srvd in the place of the one that
 * runs.
 *
 * The question goes to the program that runs, and the answer comes, on the same
 * connection, from the one that took its place.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/reply.h"
#include "ctl/text.h"

static void
upgrade_print(const struct command *command, void *arg,
    const json_t *parameters)
{
	long long remaining =
	    (long long)json_number_of(parameters, "remaining");

	(void)command;
	(void)arg;
	fputs("srvd ", stdout);
	text_put(stdout, json_text_of(parameters, "to"));
	fputs(" serves in the place of ", stdout);
	text_put(stdout, json_text_of(parameters, "from"));
	fputs(": ", stdout);
	text_put(stdout, json_text_of(parameters, "program"));
	putchar('\n');
	if (remaining > 0)
		printf("%lld worker%s of before still hand%s over connections: "
		       "see srvctl status\n",
		    remaining, remaining == 1 ? "" : "s",
		    remaining == 1 ? "s" : "");
}

enum ctl_exit
verb_upgrade(const struct command *command)
{
	json_t *parameters = json_object();

	if (command->argc > 0 &&
	    json_object_set_new(parameters, "program",
		json_string(command->argv[0])) < 0) {
		json_decref(parameters);
		return reply_not_utf8("the program's path");
	}
	return reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".Upgrade",
		.parameters = parameters,
		.changes = true,
		.print = upgrade_print});
}
