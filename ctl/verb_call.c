/*
 * verb_call - srvctl call: any method, by name, with JSON parameters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/reply.h"

#define METHOD_SIZE 256
#define METHOD_LETTERS                                                   \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
	".-_"

static void
call_print(const struct command *command, void *arg, const json_t *parameters)
{
	char *text = json_dumps(parameters, JSON_INDENT(2) | JSON_ENSURE_ASCII);

	(void)command;
	(void)arg;
	puts(text == NULL ? "null" : text);
	free(text);
}

enum ctl_exit
verb_call(const struct command *command)
{
	const char *name = command->argv[0];
	const char *text = command->argc > 1 ? command->argv[1] : "{}";
	char method[METHOD_SIZE];
	json_error_t error;
	json_t *parameters;
	int length = strchr(name, '.') != NULL
	    ? snprintf(method, sizeof(method), "%s", name)
	    : snprintf(method, sizeof(method), "%s.%s", REPLY_INTERFACE, name);

	if (length < 0 || (size_t)length >= sizeof(method) ||
	    strspn(name, METHOD_LETTERS) != strlen(name)) {
		fputs("srvctl: call: that is no name of a method\n", stderr);
		return CTL_USAGE;
	}
	parameters = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(parameters)) {
		fprintf(stderr,
		    "srvctl: call: the parameters must be a JSON object, as in "
		    "'{\"service\":\"web\"}'%s%s\n",
		    parameters == NULL ? ": " : "",
		    parameters == NULL ? error.text : "");
		json_decref(parameters);
		return CTL_USAGE;
	}
	return reply_ask(command,
	    &(struct question){.method = method,
		.parameters = parameters,
		.streams = true,
		.changes = true,
		.print = call_print});
}
