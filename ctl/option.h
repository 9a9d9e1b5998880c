/*
 * option - srvctl's options: one table, and what reads the command line by it.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_OPTION_H
#define SRVD_CTL_OPTION_H

#include <stdint.h>

#include "common/attr.h"
#include "ctl/command.h"

struct option_row {
	const char *name;
	const char *value; /* as in the help; NULL: it has none */
	const char *help;
	enum option_set set;
	/* Set it in command.  -EINVAL: what is wrong has been said. */
	int (*take)(struct command *command, const struct option_row *row,
	    const char *value);
};

extern const struct option_row options_table[];
extern const size_t options_count;

/*
 * Read the options; what is not one stays in command->argv.  *given gets a
 * bit for each row of the table that was there.  Returns 0 or -EINVAL; what
 * is wrong has been said.
 */
must_check int options_read(struct command *command, int argc, char **argv,
    uint32_t *given);

/* 0 if none is given that is not in sets; else it has been said. */
must_check int options_check(uint32_t given, unsigned sets, const char *verb);

#endif
