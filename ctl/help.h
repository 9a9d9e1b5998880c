/*
 * help - usage and help texts, from the tables of verbs and options.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_HELP_H
#define SRVD_CTL_HELP_H

#include <stdio.h>

#include "ctl/command.h"

/* All verbs, and the options that most of them take. */
void help_print(FILE *out);
/* All about one verb; its usage alone. */
void help_print_verb(const struct verb *verb, FILE *out);
void help_print_usage(const struct verb *verb, FILE *out);

#endif
