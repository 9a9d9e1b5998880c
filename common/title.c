/*
 * title - what ps(1) shows for this process; see title.h.
 *
 * The kernel reads cmdline from the memory the arguments stood in.  If the
 * last byte of that is not NUL it takes the process to have written a title
 * there, reads to the first NUL, and on into the environment, which stands
 * right behind (fs/proc/base.c, get_mm_cmdline; so since Linux 2.4, and again
 * since 5.3).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/title.h"

static char *area;
static size_t args_size; /* of the arguments alone */
static size_t area_size; /* with the environment behind them */

static void
move_environment(void)
{
	size_t count = 0;
	char **copy;

	while (environ[count] != NULL)
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy != NULL && i < count; i++) {
		copy[i] = strdup(environ[i]);
		if (copy[i] == NULL)
			copy = NULL;
	}
	if (copy == NULL) {
		fputs("srvd: no memory for the environment\n", stderr);
		exit(1);
	}
	environ = copy;
}

void
title_init(int argc, char **argv)
{
	char *end;

	if (argc < 1)
		return;
	area = argv[0];
	end = area;
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	args_size = (size_t)(end - area);
	for (char **e = environ; *e != NULL && *e == end; e++)
		end += strlen(*e) + 1;
	area_size = (size_t)(end - area);
	move_environment();
}

void
title_set(const char *title)
{
	size_t length = strlen(title);

	(void)prctl(PR_SET_NAME, title);
	if (area == NULL)
		return;
	if (length + 1 == args_size) {
		memmove(area, title, args_size);
		return;
	}
	memset(area, 0, area_size);
	(void)snprintf(area, area_size, "%s", title);
	if (length < args_size)
		area[args_size - 1] = '.';
}
