/*
 * verb_close - srvctl close: close the connections that the filters hold for.
 *
 * A person at a terminal is told how many there are, and asked.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/reply.h"
#include "ctl/text.h"

#define ANSWER_SIZE 64

static void
count_batch(const struct command *command, void *arg, const json_t *parameters)
{
	int64_t *count = arg;

	(void)command;
	*count += (int64_t)json_array_size(json_object_get(parameters,
	    "connections"));
}

static void
close_print(const struct command *command, void *arg, const json_t *parameters)
{
	char text[TEXT_SIZE];

	(void)command;
	(void)arg;
	printf("%s closed\n",
	    text_connections(json_number_of(parameters, "closed"), text));
}

static bool
answer_is_yes(void)
{
	char answer[ANSWER_SIZE];

	if (fgets(answer, sizeof(answer), stdin) == NULL) {
		fputc('\n', stderr);
		return false;
	}
	answer[strcspn(answer, "\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

/* CTL_DONE with *go: whether to go on. */
static enum ctl_exit
ask_first(const struct command *command, struct ctl_client *client, bool *go)
{
	char text[TEXT_SIZE];
	int64_t count = 0;
	enum ctl_exit status = reply_exchange(command, client,
	    &(struct question){.method = REPLY_INTERFACE ".ListConnections",
		.parameters = json_pack("{s:O}", "filter", command->filter),
		.streams = true,
		.inner = true,
		.print = count_batch,
		.arg = &count});

	*go = false;
	if (status != CTL_DONE)
		return status;
	if (count == 0) {
		fputs("no connections match\n", stderr);
		return CTL_DONE;
	}
	fprintf(stderr, "%s %s? [y/N] ", command->reset ? "reset" : "close",
	    text_connections(count, text));
	(void)fflush(stderr);
	*go = answer_is_yes();
	if (*go)
		return CTL_DONE;
	fputs("nothing was closed\n", stderr);
	return CTL_REFUSED;
}

static enum ctl_exit
close_now(const struct command *command, struct ctl_client *client)
{
	json_t *parameters = json_pack("{s:O}", "filter", command->filter);

	if (command->reset)
		(void)json_object_set_new(parameters, "reset", json_true());
	return reply_exchange(command, client,
	    &(struct question){.method = REPLY_INTERFACE ".CloseConnections",
		.parameters = parameters,
		.changes = true,
		.print = close_print});
}

enum ctl_exit
verb_close(const struct command *command)
{
	struct ctl_client client;
	enum ctl_exit status;
	bool go = true;

	if (json_object_size(command->filter) == 0) {
		fputs("srvctl: close: which connections? At least one filter "
		      "is needed; see srvctl close --help\n",
		    stderr);
		return CTL_USAGE;
	}
	status = reply_open(command, &client);
	if (status != CTL_DONE)
		return status;
	if (!command->yes && isatty(STDIN_FILENO) == 1 &&
	    isatty(STDOUT_FILENO) == 1)
		status = ask_first(command, &client, &go);
	if (status == CTL_DONE && go)
		status = close_now(command, &client);
	ctl_client_close(&client);
	return status;
}
