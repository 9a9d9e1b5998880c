/*
 * launch - how this program was started; see launch.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/signals.h"
#include "server/master/launch.h"

#define FIRST_PASSED 3
#define DELETED      " (deleted)"

static void
free_words(char **words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

static size_t
count_words(char *const *words)
{
	size_t count = 0;

	while (words[count] != NULL)
		count++;
	return count;
}

/* Is word an assignment to name? */
static bool
assigns(const char *word, const char *name)
{
	size_t length = strcspn(name, "=");

	return strncmp(word, name, length) == 0 && word[length] == '=';
}

/* Copies of the words, without assignments to one name if it is given. */
static char **
copy_words(char *const *words, const char *without)
{
	char **copy = calloc(count_words(words) + 1, sizeof(*copy));
	size_t count = 0;

	for (size_t i = 0; copy != NULL && words[i] != NULL; i++) {
		if (without != NULL && assigns(words[i], without))
			continue;
		copy[count] = strdup(words[i]);
		if (copy[count++] == NULL) {
			free_words(copy);
			return NULL;
		}
	}
	return copy;
}

/* Where the program's file is, or was before it was replaced. */
static char *
find_program(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t end;

	if (length < 0)
		return NULL;
	path[length] = '\0';
	end = (size_t)length - sizeof(DELETED) + 1;
	if ((size_t)length >= sizeof(DELETED) &&
	    strcmp(path + end, DELETED) == 0)
		path[end] = '\0';
	return strdup(path);
}

int
launch_keep(struct launch *launch, char *const *arguments)
{
	launch->program = find_program();
	if (launch->program == NULL)
		return -errno;
	launch->arguments = copy_words(arguments, NULL);
	launch->environment = copy_words(environ, LAUNCH_VARIABLE);
	return launch->arguments == NULL || launch->environment == NULL
	    ? -ENOMEM
	    : 0;
}

/* The environment with one assignment more, or another value. */
static char **
with_assignment(char *const *environment, char *assignment)
{
	size_t count = count_words(environment);
	char **all = calloc(count + 2, sizeof(*all));
	size_t kept = 0;

	for (size_t i = 0; all != NULL && i < count; i++) {
		if (!assigns(environment[i], assignment))
			all[kept++] = environment[i];
	}
	if (all != NULL)
		all[kept] = assignment;
	return all;
}

static char *
assign(const char *order)
{
	char *text = NULL;

	return asprintf(&text, "%s=%s", LAUNCH_VARIABLE, order) < 0 ? NULL
								    : text;
}

/* The arguments, with another name and, if it is given, an option before
 * them. */
static char **
arguments_of(const struct launch *launch, const struct launch_program *program,
    char *option)
{
	size_t count = count_words(launch->arguments);
	char **all = calloc(count + 2, sizeof(*all));
	size_t at = 0;

	if (all == NULL)
		return NULL;
	all[at++] = program->path;
	if (option != NULL)
		all[at++] = option;
	for (size_t i = 1; i < count; i++)
		all[at++] = launch->arguments[i];
	return all;
}

/* Let the descriptors from first to last stay open over an exec. */
static int
keep(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last; fd++) {
		if (fcntl((int)fd, F_SETFD, 0) < 0)
			return -errno;
	}
	return 0;
}

/* The check */

static void
reset_process(void)
{
	static const struct rlimit no_core;

	signals_reset();
	(void)setrlimit(RLIMIT_CORE, &no_core);
	/* Who kills it kills what it has started, too. */
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void
launch_check(const struct launch *launch, const struct launch_program *program,
    int out_fd, uint32_t sockets, const char *order)
{
	static char option[] = LAUNCH_OPTION;
	char *assignment = assign(order);
	char **environment = assignment == NULL
	    ? NULL
	    : with_assignment(launch->environment, assignment);
	char **arguments = arguments_of(launch, program, option);
	char listen_pid[32];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	reset_process();
	(void)snprintf(listen_pid, sizeof(listen_pid), "LISTEN_PID=%d",
	    getpid());
	if (sockets > 0 && environment != NULL)
		environment = with_assignment(environment, listen_pid);
	if (arguments == NULL || environment == NULL || null < 0 ||
	    dup2(null, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
	    dup2(out_fd, STDERR_FILENO) < 0 ||
	    close_range(FIRST_PASSED, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ||
	    keep(FIRST_PASSED, FIRST_PASSED + sockets - 1) < 0)
		_exit(127);
	(void)fexecve(program->fd, arguments, environment);
	(void)dprintf(STDERR_FILENO, "it can't be executed: %s\n",
	    strerror(errno));
	_exit(127);
}

/* In place */

/* Whatever this process got from whom: only these are known to be wanted. */
static int
keep_only(uint32_t sockets, const int kept[LAUNCH_KEPT])
{
	if (close_range(FIRST_PASSED, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ||
	    keep(FIRST_PASSED, FIRST_PASSED + sockets - 1) < 0)
		return -errno;
	for (int i = 0; i < LAUNCH_KEPT; i++) {
		if (kept[i] >= 0 && fcntl(kept[i], F_SETFD, 0) < 0)
			return -errno;
	}
	return 0;
}

int
launch_exec(const struct launch *launch, const struct launch_program *program,
    uint32_t sockets, const int kept[LAUNCH_KEPT], const char *order)
{
	char *assignment = assign(order);
	char **arguments = arguments_of(launch, program, NULL);
	char **environment = NULL;
	int rc = -ENOMEM;

	if (assignment != NULL)
		environment = with_assignment(launch->environment, assignment);
	if (arguments != NULL && environment != NULL)
		rc = keep_only(sockets, kept);
	if (rc == 0) {
		(void)fexecve(program->fd, arguments, environment);
		rc = -errno;
	}
	/* Holders that are started from here have a use for none of them. */
	(void)close_range(FIRST_PASSED, ~0U, CLOSE_RANGE_CLOEXEC);
	free(environment);
	free(arguments);
	free(assignment);
	return rc;
}
