/*
 * reply - one question to the gateway; see reply.h.
 *
 * An error of the gateway's becomes a sentence by one table; one that is not
 * in it is shown by name, with its parameters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/reply.h"
#include "ctl/text.h"

/* clang-format off */
static const struct error_row {
	const char *name;
	const char *sentence;
	const char *key; /* of the parameter that the sentence ends with */
	enum ctl_exit status;
} errors[] = {
	{ "io.srvd.Control.NoSuchService",
	  "there is no such service", "service", CTL_REFUSED },
	{ "org.varlink.service.InterfaceNotFound",
	  "the gateway has no such interface", "interface", CTL_REFUSED },
	{ "org.varlink.service.MethodNotFound",
	  "the gateway has no such method", "method", CTL_REFUSED },
	{ "org.varlink.service.MethodNotImplemented",
	  "the gateway does not do this", "method", CTL_REFUSED },
	{ "org.varlink.service.InvalidParameter",
	  "this parameter is missing, unknown or wrong", "parameter",
	  CTL_REFUSED },
	{ "org.varlink.service.PermissionDenied",
	  "you may not do this: root, the gateway's own user and its "
	  "admin_group may", NULL, CTL_FORBIDDEN },
};
/* clang-format on */

static void
json_line(json_t *value)
{
	/* ASCII alone: no text of the server's can steer a terminal. */
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);

	puts(text == NULL ? "null" : text);
	free(text);
}

static enum ctl_exit
error_print(const struct ctl_reply *reply)
{
	char shown[TEXT_SIZE];
	char *parameters;

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		const struct error_row *row = &errors[i];
		const char *value;

		if (strcmp(row->name, reply->error) != 0)
			continue;
		value = row->key == NULL
		    ? NULL
		    : json_string_value(json_object_get(reply->parameters,
			  row->key));
		fprintf(stderr, "srvctl: %s%s%s\n", row->sentence,
		    value == NULL ? "" : ": ",
		    value == NULL ? "" : text_show(value, shown));
		return row->status;
	}
	parameters =
	    json_dumps(reply->parameters, JSON_COMPACT | JSON_ENSURE_ASCII);
	fprintf(stderr, "srvctl: the gateway refused: %s %s\n",
	    text_show(reply->error, shown),
	    parameters == NULL ? "" : parameters);
	free(parameters);
	return CTL_REFUSED;
}

static enum ctl_exit
error_status(const char *error)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		if (strcmp(errors[i].name, error) == 0)
			return errors[i].status;
	}
	return CTL_REFUSED;
}

static enum ctl_exit
reply_print(const struct command *command, const struct ctl_reply *reply,
    reply_fn *print)
{
	json_t *line;

	if (reply->error == NULL && !command->json) {
		print(command, reply->parameters);
		return CTL_DONE;
	}
	if (reply->error == NULL) {
		json_line(reply->parameters);
		return CTL_DONE;
	}
	if (!command->json)
		return error_print(reply);
	line = json_pack("{s:s, s:O}", "error", reply->error, "parameters",
	    reply->parameters);
	json_line(line);
	json_decref(line);
	return error_status(reply->error);
}

static enum ctl_exit
unreached(const struct command *command, int error)
{
	const char *hint = "";

	if (error == -ENOENT || error == -ECONNREFUSED)
		hint = " (is srvd running? --socket or $SRVD_SOCKET name "
		       "another one)";
	else if (error == -EACCES || error == -EPERM)
		hint = " (root and the group of the socket may connect)";
	fprintf(stderr, "srvctl: no gateway reached at %s: %s%s\n",
	    command->socket, strerror(-error), hint);
	return error == -EACCES || error == -EPERM ? CTL_FORBIDDEN
						   : CTL_UNREACHED;
}

static enum ctl_exit
unanswered(const struct command *command, int error)
{
	char why[128];

	switch (error) {
	case -ETIMEDOUT:
		(void)snprintf(why, sizeof(why), "not within %llu s",
		    (unsigned long long)(command->timeout_ms / 1000));
		break;
	case -ECONNRESET:
		(void)snprintf(why, sizeof(why),
		    "it hung up (it is ending, or has too many clients)");
		break;
	case -EBADMSG:
		(void)snprintf(why, sizeof(why),
		    "what came is not Varlink (is this srvd's socket?)");
		break;
	default:
		(void)snprintf(why, sizeof(why), "%s", strerror(-error));
		break;
	}
	fprintf(stderr, "srvctl: no answer from the gateway at %s: %s\n",
	    command->socket, why);
	return CTL_UNREACHED;
}

enum ctl_exit
reply_ask(const struct command *command, const char *method, json_t *parameters,
    reply_fn *print)
{
	struct ctl_client client;
	struct ctl_reply reply;
	enum ctl_exit status = CTL_DONE;
	bool continues = true;
	int error =
	    ctl_client_open(&client, command->socket, command->timeout_ms);

	if (error < 0) {
		json_decref(parameters);
		return unreached(command, error);
	}
	error = ctl_client_call(&client, method, parameters);
	while (error == 0 && continues) {
		error = ctl_client_reply(&client, &reply);
		if (error < 0)
			break;
		status = reply_print(command, &reply, print);
		continues = reply.continues;
		ctl_reply_release(&reply);
		(void)fflush(stdout);
	}
	ctl_client_close(&client);
	return error < 0 ? unanswered(command, error) : status;
}
