/*
 * reply - one question to the gateway, from the call to the exit status.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_REPLY_H
#define SRVD_CTL_REPLY_H

#include <jansson.h>
#include <stddef.h>

#include "ctl/command.h"

/* Print the parameters of one answer. */
typedef void reply_fn(const struct command *command, json_t *parameters);

/*
 * Call interface.Method and print every answer: with --json as it is, else by
 * print.  Takes over parameters.  Whatever goes wrong is said on stderr.
 */
enum ctl_exit reply_ask(const struct command *command, const char *method,
    json_t *parameters, reply_fn *print);

#endif
