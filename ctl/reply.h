/*
 * reply - questions to the gateway, from the call to the exit status.
 *
 * Runs in: srvctl.  Whatever goes wrong is said on stderr here.
 */
#ifndef SRVD_CTL_REPLY_H
#define SRVD_CTL_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl/client.h"
#include "ctl/command.h"

#define REPLY_INTERFACE "io.srvd.Control"

/* Print the parameters of one answer. */
typedef void reply_fn(const struct command *command, void *arg,
    const json_t *parameters);

struct question {
	const char *method; /* interface.Method */
	json_t *parameters; /* taken over */
	bool streams;       /* more than one answer may come */
	bool changes;       /* something may have happened without an answer */
	bool inner;         /* for srvctl itself: print gets it with --json,
			      * too */
	reply_fn *print;
	void *arg; /* for print */
};

/* Say that something cannot be sent because it is not UTF-8. */
enum ctl_exit reply_not_utf8(const char *what);

/* CTL_DONE with client open, or it has been said what is wrong. */
must_check enum ctl_exit reply_open(const struct command *command,
    struct ctl_client *client);
/* Ask, and print every answer: with --json as it is, else by print. */
must_check enum ctl_exit reply_exchange(const struct command *command,
    struct ctl_client *client, const struct question *question);

/* All of it, for one question. */
must_check enum ctl_exit reply_ask(const struct command *command,
    const struct question *question);

#endif
