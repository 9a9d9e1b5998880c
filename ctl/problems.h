/*
 * problems - what in a gateway's status wants a person's attention.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_PROBLEMS_H
#define SRVD_CTL_PROBLEMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A line for each, beginning with '!'; returns how many there are. */
size_t problems_print(const json_t *status, FILE *out, bool color);

#endif
