/*
 * strange - what a gateway may be told to upgrade to, and should not: it does
 * what its name says.
 *
 * Runs in: the child of a master that asks it whether it could serve.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/attr.h"
#include "server/state/versions.h"

static void
say_right(void)
{
	char line[VERSIONS_LINE_SIZE];

	versions_write(line);
	(void)fputs(line, stdout);
	(void)fflush(stdout);
}

static int
hangs(const char *path)
{
	(void)path;
	say_right();
	while (pause() < 0)
		continue;
	return 0;
}

/* The one that it leaves has its output, and would say more. */
static int
leaves(const char *path)
{
	(void)path;
	if (fork() == 0)
		while (pause() < 0)
			continue;
	return 7;
}

static int
crashes(const char *path)
{
	(void)path;
	say_right();
	(void)raise(SIGSEGV);
	return 0;
}

static int
mumbles(const char *path)
{
	static const char bytes[] = "srvd-upgrade\0program=1.0\n\xff\033[2J\n";

	(void)path;
	return fwrite(bytes, sizeof(bytes), 1, stdout) == 1 ? 0 : 1;
}

static int
chatters(const char *path)
{
	(void)path;
	while (puts("srvd-upgrade program=1.0") >= 0)
		continue;
	return 0;
}

static int
repeats(const char *path)
{
	(void)path;
	say_right();
	say_right();
	return 0;
}

static int
complains(const char *path)
{
	(void)path;
	(void)fputs("the moon\033[2J\nis in the wrong place\n", stderr);
	return 5;
}

static int
keeps_silent(const char *path)
{
	(void)path;
	return 0;
}

/* It could, and then it can't be executed. */
static int
locks(const char *path)
{
	if (chmod(path, 0600) != 0)
		return 1;
	say_right();
	return 0;
}

/* It could, it says; and then its end is that of the master. */
static int
lies(const char *path)
{
	(void)path;
	say_right();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *path);
	} ways[] = {
	    {"hangs", hangs},
	    {"leaves", leaves},
	    {"crashes", crashes},
	    {"mumbles", mumbles},
	    {"chatters", chatters},
	    {"repeats", repeats},
	    {"complains", complains},
	    {"silent", keeps_silent},
	    {"locks", locks},
	    {"lies", lies},
	};
	const char *slash = argc < 2 ? NULL : strrchr(argv[0], '/');

	if (slash == NULL || strcmp(argv[1], "--upgrade-check") != 0)
		return 99;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (strcmp(slash + 1, ways[i].name) == 0)
			return ways[i].run(argv[0]);
	}
	return 98;
}
