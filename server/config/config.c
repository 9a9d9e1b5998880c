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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/config/answer.h"
#include "server/config/child.h"
#include "server/config/config.h"
#include "server/config/memory.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
	child->path = NULL;
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

	*child = (struct config_child){
	    .pid = -1, .fd = -1, .plan_fd = -1, .began_ms = now_ms()};
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
	int64_t left =
	    child->began_ms + CHILD_SECONDS_MAX * INT64_C(1000) - now_ms();

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

/*
 * Read up to the end, at most ANSWER_BYTES_MAX.  Returns the length, or
 * -ETIMEDOUT, -EMSGSIZE or another -errno.
 */
static ssize_t
receive(const struct config_child *child, char *answer)
{
	size_t length = 0;
	ssize_t got = 1;

	while (got != 0) {
		if (length > ANSWER_BYTES_MAX)
			return -EMSGSIZE;
		if (!wait_for(child, child->fd))
			return -ETIMEDOUT;
		got = read(child->fd, answer + length,
		    ANSWER_BYTES_MAX + 1 - length);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (got > 0)
			length += (size_t)got;
	}
	return (ssize_t)length;
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
	result->plan_fd = child->plan_fd;
	child->plan_fd = -1;
	return 0;
}

/* What is wrong with the child's answer, or NULL; fills *result. */
static const char *
take_answer(struct config_child *child, struct config_result *result)
{
	char *answer = malloc(ANSWER_BYTES_MAX + 1);
	ssize_t length = -ENOMEM;
	int status;
	int error;

	if (answer != NULL)
		length = receive(child, answer);
	status = reap(child, length < 0);
	error = length < 0 ? (int)length
			   : answer_read(answer, (size_t)length, result);
	free(answer);
	if (length == -ETIMEDOUT)
		return "reading the configuration took too long";
	if (error == -ENOMEM)
		return "not enough memory to take the configuration";
	if (length == -EMSGSIZE || (error < 0 && status == 0))
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

void
config_load(const struct config_request *request, struct config_result *result)
{
	struct config_child child;
	int error = config_begin(request, &child);

	if (error == 0) {
		config_finish(&child, result);
		return;
	}
	*result = empty_result();
	(void)answer_add_error(result, request->path, 0, strerror(-error));
}
