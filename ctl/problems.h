/*
 * problems - what in a gateway's status wants a person's attention.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_PROBLEMS_H
#define SRVD_CTL_PROBLEMS_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/table.h"

/* A line for each, beginning with '!'; returns how many there are. */
size_t problems_print(const json_t *status, FILE *out,
    const struct table_look *look);

/* How many backends of a service take connections. */
size_t problems_backends_usable(const json_t *service);

#endif
