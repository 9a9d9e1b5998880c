/*
 * verb_rebalance - srvctl rebalance: even out connections over the workers.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/reply.h"
#include "ctl/text.h"

static void
rebalance_print(const struct command *command, void *arg,
    const json_t *parameters)
{
	char text[TEXT_SIZE];

	(void)command;
	(void)arg;
	printf("%s moved\n",
	    text_connections(json_number_of(parameters, "moved"), text));
}

enum ctl_exit
verb_rebalance(const struct command *command)
{
	return reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".Rebalance",
		.parameters = json_object(),
		.changes = true,
		.print = rebalance_print});
}
