/*
 * refusal - the gateway's errors, as sentences and as exit statuses.
 *
 * Runs in: srvctl.  An error is one row of a table; one that is not in it is
 * shown by name, with its parameters.
 */
#ifndef SRVD_CTL_REFUSAL_H
#define SRVD_CTL_REFUSAL_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/command.h"

enum ctl_exit refusal_status(const char *error, const json_t *parameters);
void refusal_print(const char *error, const json_t *parameters, FILE *out);

#endif
