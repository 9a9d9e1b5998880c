/*
 * verb_check - srvctl check: let srvd itself check a configuration.
 *
 * This process becomes srvd -n: its words and its exit status are the answer.
 * The srvd that belongs to this srvctl is preferred to one in the PATH.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"

/* From srvctl's directory: beside it, installed, in a build tree. */
static const char *const places[] = {"srvd", "../sbin/srvd", "../server/srvd"};

static int
own_directory(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (length <= 0)
		return -errno;
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return -ENOENT;
	slash[1] = '\0';
	return 0;
}

enum ctl_exit
verb_check(const struct command *command)
{
	char name[] = "srvd";
	char check[] = "-n";
	char file[] = "-f";
	char *argv[] = {name, check, NULL, NULL, NULL};
	char directory[PATH_MAX];
	char path[2 * PATH_MAX];

	/* Without a file srvd takes its own default. */
	if (command->argc == 1) {
		argv[2] = file;
		argv[3] = command->argv[0];
	}
	if (own_directory(directory) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(places); i++) {
			(void)snprintf(path, sizeof(path), "%s%s", directory,
			    places[i]);
			(void)execv(path, argv);
		}
	}
	(void)execvp("srvd", argv);
	fprintf(stderr,
	    "srvctl: check: srvd cannot be run, neither beside srvctl nor from "
	    "the PATH: %s\n",
	    strerror(errno));
	return CTL_UNREACHED;
}
