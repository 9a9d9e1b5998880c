/*
 * launch - how this program was started, kept so that another one can be
 * started in the same way: its file, arguments and environment.
 *
 * Runs in: master, and its child that runs srvd --upgrade-check.
 */
#ifndef SRVD_MASTER_LAUNCH_H
#define SRVD_MASTER_LAUNCH_H

#include <stdint.h>

#include "common/attr.h"

/* What a program that is to take over is told in its environment; one that is
 * asked whether it could: the path of the control socket. */
#define LAUNCH_VARIABLE "SRVD_UPGRADE"
#define LAUNCH_KEPT     2
/* The option that asks a program whether it could. */
#define LAUNCH_OPTION "--upgrade-check"

struct launch {
	char *program;      /* the path of the file, as it was then */
	char **arguments;   /* the first is a name */
	char **environment; /* without LAUNCH_VARIABLE */
};

/* What is to be started. */
struct launch_program {
	char *path; /* it is called so */
	int fd;     /* it is this file */
};

/* Keep copies, before anything changes one of them: the title, or who takes
 * what a service manager says out of the environment.  Returns 0 or -errno. */
must_check int launch_keep(struct launch *launch, char *const *arguments);

/*
 * In a child: become the program, asked with LAUNCH_OPTION before
 * the arguments.  What it says goes to out_fd.  It gets the first sockets
 * descriptors from 3 on, which a service manager passed, as if they had been
 * passed to it, and no other.
 */
no_return void launch_check(const struct launch *launch,
    const struct launch_program *program, int out_fd, uint32_t sockets,
    const char *order);

/*
 * Become the program, with the same arguments and environment
 * and "LAUNCH_VARIABLE=order" besides.  It keeps the first sockets descriptors
 * from 3 on, and those of kept that are not -1.  Returns only if that fails, with -errno
 * and nothing changed.
 */
must_check int launch_exec(const struct launch *launch,
    const struct launch_program *program, uint32_t sockets,
    const int kept[LAUNCH_KEPT], const char *order);

#endif
