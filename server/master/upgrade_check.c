/*
 * upgrade_check - is the program that is to come able to? see upgrade_check.h.
 *
 * Whatever it is and does, it is somebody else's: it has its time, what it says
 * has its limit, and only what is said right to the last byte is believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/upgrade_check.h"

/* Its whole group: it may have started others. */
void
upgrade_check_end_all(const struct upgrade_check *check)
{
	(void)kill(-check->pid, SIGKILL);
	/* It may not have got to setsid(2) yet. */
	(void)kill(check->pid, SIGKILL);
}

static void
on_deadline(struct loop_timer *timer)
{
	struct upgrade_check *check = timer->arg;

	check->is_late = true;
	upgrade_check_end_all(check);
}

/* Take what is there; one byte more than it may say tells that it did. */
static void
take(struct upgrade_check *check)
{
	ssize_t got;

	do {
		got = read(check->watch.fd, check->said + check->length,
		    UPGRADE_SAID_MAX + 1 - check->length);
		if (got > 0)
			check->length += (size_t)got;
	} while (got > 0 && check->length <= UPGRADE_SAID_MAX);
	check->said[check->length] = '\0';
	if (check->length > UPGRADE_SAID_MAX) {
		upgrade_check_end_all(check);
		loop_remove(check->loop, &check->watch);
	} else if (got == 0) {
		loop_remove(check->loop, &check->watch);
	}
}

static void
on_said(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	take(watch->arg);
}

static int
open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* Only our end. */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
		return 0;
	(void)close(ends[0]);
	(void)close(ends[1]);
	return -EBADF;
}

int
upgrade_check_begin(struct upgrade_check *check, struct loop *loop,
    const struct launch *launch, const struct launch_program *program,
    uint32_t sockets, const char *order)
{
	int ends[2];
	int rc = open_pipe(ends);

	if (rc < 0)
		return rc;
	check->loop = loop;
	check->length = 0;
	check->said[0] = '\0';
	check->is_late = false;
	check->deadline = (struct loop_timer){.due = on_deadline, .arg = check};
	check->watch = (struct loop_watch){
	    .fd = ends[0],
	    .events = EPOLLIN,
	    .ready = on_said,
	    .arg = check,
	};
	rc = loop_add(loop, &check->watch);
	if (rc == 0) {
		check->pid = fork();
		if (check->pid == 0)
			launch_check(launch, program, ends[1], sockets, order);
		rc = check->pid < 0 ? -errno : 0;
	}
	(void)close(ends[1]);
	if (rc == 0) {
		loop_timer_set(loop, &check->deadline, UPGRADE_CHECK_MS);
		return 0;
	}
	loop_remove(loop, &check->watch);
	(void)close(ends[0]);
	check->pid = 0;
	return rc;
}

static void
forget(struct upgrade_check *check)
{
	loop_timer_cancel(check->loop, &check->deadline);
	loop_remove(check->loop, &check->watch);
	(void)close(check->watch.fd);
	check->pid = 0;
}

void
upgrade_check_abandon(struct upgrade_check *check)
{
	if (check->pid == 0)
		return;
	upgrade_check_end_all(check);
	forget(check);
}

/* What it has said, as one line that can be printed. */
static void
write_said(const struct upgrade_check *check, char *text, size_t size)
{
	size_t length = strlen(check->said);
	size_t at = 0;

	while (length > 0 && check->said[length - 1] == '\n')
		length--;
	for (size_t i = 0; i < length && at + 3 < size; i++) {
		char c = check->said[i];

		if (c == '\n') {
			text[at++] = ';';
			c = ' ';
		}
		text[at++] = c;
	}
	text[at] = '\0';
	(void)log_printable(text);
}

static int
say_failure(const struct upgrade_check *check, int status, char *why,
    size_t why_size)
{
	char how[32];
	char said[400];

	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof(how), "was ended by signal %d",
		    WTERMSIG(status));
	else
		(void)snprintf(how, sizeof(how), "ended with status %d",
		    WEXITSTATUS(status));
	write_said(check, said, sizeof(said));
	(void)snprintf(why, why_size, "it %s%s%s", how,
	    *said == '\0' ? "" : ": ", said);
	return -ECANCELED;
}

/* It has ended well. */
static int
judge_said(struct upgrade_check *check, char name[VERSIONS_NAME_SIZE],
    char *why, size_t why_size)
{
	static const char advice[] = ": stop this one and start the other";
	size_t length;
	int rc;

	if (check->length == 0) {
		(void)snprintf(why, why_size,
		    "it says nothing, where a srvd says what it speaks");
		return -EPROTO;
	}
	if (strlen(check->said) != check->length)
		check->said[0] = '\0';
	rc = versions_judge(check->said, name, why, why_size);
	length = strlen(why);
	if (rc == -EPROTONOSUPPORT)
		(void)snprintf(why + length, why_size - length, "%s", advice);
	return rc;
}

int
upgrade_check_end(struct upgrade_check *check, int status,
    char name[VERSIONS_NAME_SIZE], char *why, size_t why_size)
{
	if (check->length <= UPGRADE_SAID_MAX)
		take(check);
	forget(check);
	if (check->is_late) {
		(void)snprintf(why, why_size,
		    "it has not said within %d s whether it could serve",
		    UPGRADE_CHECK_MS / 1000);
		return -ETIMEDOUT;
	}
	if (check->length > UPGRADE_SAID_MAX) {
		(void)snprintf(why, why_size,
		    "it says more than a srvd says: more than %d bytes",
		    UPGRADE_SAID_MAX);
		return -EMSGSIZE;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return say_failure(check, status, why, why_size);
	return judge_said(check, name, why, why_size);
}
