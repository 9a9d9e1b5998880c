/*
 * reply - questions to the gateway; see reply.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/refusal.h"
#include "ctl/reply.h"
#include "ctl/text.h"

static void
json_line(const json_t *value)
{
	/* ASCII alone: no text of the server's can steer a terminal. */
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);

	puts(text == NULL ? "null" : text);
	free(text);
}

static enum ctl_exit
reply_print(const struct command *command, const struct ctl_reply *reply,
    const struct question *question)
{
	json_t *line;

	if (reply->error == NULL && (!command->json || question->inner)) {
		question->print(command, question->arg, reply->parameters);
		return CTL_DONE;
	}
	if (reply->error == NULL) {
		json_line(reply->parameters);
		return CTL_DONE;
	}
	if (!command->json) {
		(void)fflush(stdout);
		refusal_print(reply->error, reply->parameters, stderr);
		return refusal_status(reply->error, reply->parameters);
	}
	line = json_pack("{s:s, s:O}", "error", reply->error, "parameters",
	    reply->parameters);
	json_line(line);
	json_decref(line);
	return refusal_status(reply->error, reply->parameters);
}

enum ctl_exit
reply_not_utf8(const char *what)
{
	fprintf(stderr, "srvctl: %s is not UTF-8\n", what);
	return CTL_USAGE;
}

/* The path is the user's own word, but may have come from a script. */
static void
socket_print(const struct command *command)
{
	text_put(stderr, command->socket);
	fputs(": ", stderr);
}

static bool
has_entry(DIR *dir)
{
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			return true;
	}
	return false;
}

/* A master that dies leaves a directory behind, with an entry for each worker
 * that waits for the next one.  Its user alone may look. */
static const char *
away_hint(const char *socket)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s.bodies", socket);
	DIR *dir =
	    length > 0 && (size_t)length < sizeof(path) ? opendir(path) : NULL;
	bool is_hidden = dir == NULL && errno == EACCES;
	bool has_door = dir != NULL && has_entry(dir);

	if (dir != NULL)
		(void)closedir(dir);
	if (has_door)
		return " (the master is away: workers go on without it, and "
		       "srvd takes them over when it is started)";
	if (is_hidden)
		return " (the master is away: if workers go on without it, "
		       "srvd takes them over when it is started)";
	return " (is srvd running? --socket or $SRVD_SOCKET name another one)";
}

static enum ctl_exit
unreached(const struct command *command, int error)
{
	const char *hint = "";

	if (error == -ENOENT || error == -ECONNREFUSED)
		hint = away_hint(command->socket);
	else if (error == -EACCES || error == -EPERM)
		hint = " (root and the group of the socket may connect)";
	fputs("srvctl: no gateway reached at ", stderr);
	socket_print(command);
	fprintf(stderr, "%s%s\n", strerror(-error), hint);
	return error == -EACCES || error == -EPERM ? CTL_FORBIDDEN
						   : CTL_UNREACHED;
}

static const char *
unanswered_why(const struct command *command, int error, char why[128])
{
	switch (error) {
	case -ETIMEDOUT:
		(void)snprintf(why, 128, "not within %llu s",
		    (unsigned long long)(command->timeout_ms / 1000));
		return why;
	case -ECONNRESET:
		return "it hung up (it is ending, or has too many clients)";
	case -EBADMSG:
		return "what came is not Varlink (is this srvd's socket?)";
	case -EMSGSIZE:
		return "what came is too long (is this srvd's socket?)";
	default:
		return strerror(-error);
	}
}

static enum ctl_exit
unanswered(const struct command *command, const struct question *question,
    int error)
{
	char why[128];

	(void)fflush(stdout);
	fputs("srvctl: no answer from the gateway at ", stderr);
	socket_print(command);
	fprintf(stderr, "%s\n", unanswered_why(command, error, why));
	if (question->changes)
		fputs("srvctl: what was asked for may happen all the same: see "
		      "srvctl status\n",
		    stderr);
	return CTL_UNREACHED;
}

enum ctl_exit
reply_open(const struct command *command, struct ctl_client *client)
{
	int error =
	    ctl_client_open(client, command->socket, command->timeout_ms);

	return error < 0 ? unreached(command, error) : CTL_DONE;
}

/* The next answer, and whether it is what may follow. */
static int
reply_next(struct ctl_client *client, const struct question *question,
    struct ctl_reply *reply)
{
	int error = ctl_client_reply(client, reply);

	if (error < 0)
		return error;
	if (!reply->continues || (question->streams && reply->error == NULL))
		return 0;
	ctl_reply_release(reply);
	return -EBADMSG;
}

enum ctl_exit
reply_exchange(const struct command *command, struct ctl_client *client,
    const struct question *question)
{
	struct ctl_reply reply;
	enum ctl_exit status = CTL_DONE;
	bool continues = true;
	int error = ctl_client_call(client, question->method,
	    question->parameters, question->streams);

	while (error == 0 && continues) {
		error = reply_next(client, question, &reply);
		if (error < 0)
			break;
		status = reply_print(command, &reply, question);
		continues = reply.continues;
		ctl_reply_release(&reply);
		/* Whoever reads it has gone: so may we. */
		if (fflush(stdout) != 0)
			break;
	}
	return error < 0 ? unanswered(command, question, error) : status;
}

enum ctl_exit
reply_ask(const struct command *command, const struct question *question)
{
	struct ctl_client client;
	enum ctl_exit status = reply_open(command, &client);

	if (status != CTL_DONE) {
		json_decref(question->parameters);
		return status;
	}
	status = reply_exchange(command, &client, question);
	ctl_client_close(&client);
	return status;
}
