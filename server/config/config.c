/*
 * config - start the configuration's child and take its answer; see config.h.
 *
 * The plan's memfd is made here and lent to the child; it is sealed, mapped
 * and checked only after the child has ended, so nothing can change it then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/config/answer.h"
#include "server/config/child.h"
#include "server/config/config.h"
#include "server/config/memory.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void
release_child(struct config_child *child)
{
	close_fd(&child->fd);
	close_fd(&child->plan_fd);
	free(child->path);
	free(child->answer);
	child->path = NULL;
	child->answer = NULL;
	child->pid = -1;
}

/* The child's end of the pipe is in *write_fd. */
static int
open_channels(struct config_child *child, const char *path, int *write_fd)
{
	int ends[2];

	child->path = strdup(path);
	if (child->path == NULL)
		return -ENOMEM;
	child->plan_fd =
	    memfd_create("srvd-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (child->plan_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child->fd = ends[0];
	*write_fd = ends[1];
	/* Only our end: the child's stays blocking. */
	if (fcntl(child->fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int
config_begin(const struct config_request *request, struct config_child *child)
{
	int write_fd = -1;
	int error;

	*child = (struct config_child){.pid = -1,
	    .fd = -1,
	    .plan_fd = -1,
	    .generation = request->generation,
	    .began_ms = (int64_t)clock_monotonic_ms()};
	error = open_channels(child, request->path, &write_fd);
	if (error == 0) {
		child->pid = fork();
		if (child->pid < 0)
			error = -errno;
	}
	if (child->pid == 0)
		child_run(request, child->plan_fd, write_fd);
	close_fd(&write_fd);
	if (error != 0)
		release_child(child);
	return error;
}

/* Milliseconds that the child still has. */
static int
time_left(const struct config_child *child)
{
	int64_t left = child->began_ms + CHILD_SECONDS_MAX * INT64_C(1000) -
	    (int64_t)clock_monotonic_ms();

	return left > 0 ? (int)left : 0;
}

/* Wait until fd is readable; false when the child's time is over. */
static bool
wait_for(const struct config_child *child, int fd)
{
	struct pollfd item = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&item, 1, time_left(child));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Take what is there.  Returns 0 at the end, -EAGAIN, -EMSGSIZE when it is more
 * than it may be, or another -errno. */
static int
receive_some(struct config_child *child)
{
	ssize_t got = 1;

	if (child->answer == NULL)
		child->answer = malloc(ANSWER_BYTES_MAX + 1);
	if (child->answer == NULL)
		return -ENOMEM;
	while (got != 0) {
		if (child->length > ANSWER_BYTES_MAX)
			return -EMSGSIZE;
		got = read(child->fd, child->answer + child->length,
		    ANSWER_BYTES_MAX + 1 - child->length);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			child->length += (size_t)got;
	}
	return 0;
}

int
config_receive(struct config_child *child)
{
	/* config_finish() meets any other error again. */
	return receive_some(child) == -EAGAIN ? -EAGAIN : 0;
}

/* Up to the end.  Returns 0, -ETIMEDOUT, -EMSGSIZE or another -errno. */
static int
receive(struct config_child *child)
{
	int rc;

	while ((rc = receive_some(child)) == -EAGAIN) {
		/* Who is dead says no more, whoever else has the pipe. */
		if (child->is_reaped || !wait_for(child, child->fd))
			return -ETIMEDOUT;
	}
	return rc;
}

/*
 * See the child ended, by force if it has to be; returns its wait status.  It
 * ends right after its answer, unless something is wrong with it.
 */
static int
reap(const struct config_child *child, bool failed)
{
	int status = 0;
	pid_t reaped;

	if (child->is_reaped)
		return child->status;
	while (!failed &&
	    (reaped = waitpid(child->pid, &status, WNOHANG)) <= 0) {
		if (reaped < 0 && errno != EINTR)
			return 0;
		failed = time_left(child) == 0;
		(void)poll(NULL, 0, 1);
	}
	if (!failed)
		return status;
	(void)kill(child->pid, SIGKILL);
	do
		reaped = waitpid(child->pid, &status, 0);
	while (reaped < 0 && errno == EINTR);
	return status;
}

static const char *
describe_end(int status)
{
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (signal == SIGALRM || signal == SIGXCPU || signal == SIGKILL)
		return "reading the configuration took too long";
	if (signal != 0)
		return "the process that reads the configuration crashed";
	if (WEXITSTATUS(status) == MEMORY_EXIT_STATUS)
		return "reading the configuration took too much memory";
	return "the process that reads the configuration failed";
}

static int
take_plan(struct config_child *child, struct config_result *result)
{
	int error;

	/* Fails as long as a writable mapping is left anywhere. */
	if (fcntl(child->plan_fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	error = plan_map(child->plan_fd, &result->plan);
	if (error < 0)
		return error;
	/* A number that others go by is not its to choose. */
	if (result->plan->generation != child->generation) {
		plan_unmap(result->plan);
		result->plan = NULL;
		return -EINVAL;
	}
	result->plan_fd = child->plan_fd;
	child->plan_fd = -1;
	return 0;
}

/* What is wrong with the child's answer, or NULL; fills *result. */
static const char *
take_answer(struct config_child *child, struct config_result *result)
{
	int received = receive(child);
	int status = reap(child, received < 0);
	int error = received;

	if (received == 0)
		error = answer_read(child->answer, child->length, result);
	if (received == -ETIMEDOUT)
		return "reading the configuration took too long";
	if (error == -ENOMEM)
		return "not enough memory to take the configuration";
	if (received == -EMSGSIZE || (error < 0 && status == 0))
		return "the process that reads the configuration gave an "
		       "answer that makes no sense";
	if (error < 0 || status != 0)
		return describe_end(status);
	if (result->errors_count == 0 && take_plan(child, result) < 0)
		return "the process that reads the configuration made a plan "
		       "that is damaged";
	return NULL;
}

static struct config_result
empty_result(void)
{
	return (struct config_result){.plan_fd = -1};
}

void
config_finish(struct config_child *child, struct config_result *result)
{
	const char *fault;

	*result = empty_result();
	fault = take_answer(child, result);
	if (fault != NULL)
		(void)answer_add_error(result, child->path, 0, fault);
	release_child(child);
}

void
config_reaped(struct config_child *child, int status)
{
	child->is_reaped = true;
	child->status = status;
}

void
config_abandon(struct config_child *child)
{
	if (child->pid > 0 && !child->is_reaped)
		(void)kill(child->pid, SIGKILL);
	release_child(child);
}

void
config_result_release(struct config_result *result)
{
	plan_unmap(result->plan);
	close_fd(&result->plan_fd);
	for (size_t i = 0; i < result->errors_count; i++) {
		free(result->errors[i].file);
		free(result->errors[i].message);
	}
	free(result->errors);
	*result = empty_result();
}

int
config_load(const struct config_request *request, struct config_result *result)
{
	struct config_child child;
	int error = config_begin(request, &child);
	char why[160];

	if (error == 0) {
		config_finish(&child, result);
		return 0;
	}
	*result = empty_result();
	(void)snprintf(why, sizeof(why),
	    "the process that reads the configuration could not be started: %s",
	    strerror(-error));
	(void)answer_add_error(result, request->path, 0, why);
	return error;
}

void
config_say_errors(const struct config_result *result, FILE *out)
{
	for (size_t i = 0; i < result->errors_count; i++) {
		const struct config_error *e = &result->errors[i];

		if (e->line != 0)
			(void)fprintf(out, "%s:%u: %s\n", e->file, e->line,
			    e->message);
		else
			(void)fprintf(out, "%s: %s\n", e->file, e->message);
	}
}
