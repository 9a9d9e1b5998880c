/*
 * test_logger_sockets - syslog and the journal, by daemons made up here, in a
 * mount namespace where their sockets are ours to make.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "server/master/log_target.h"
#include "server/master/logger.h"
#include "tests/unit/child.h"

#define SYSLOG  "/dev/log"
#define JOURNAL "/run/systemd/journal/socket"
#define SKIPPED 77

/* A /dev and a /run of our own. */
static bool
enter_namespace(void)
{
	if (unshare(geteuid() == 0 ? CLONE_NEWNS
				   : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/dev", "tmpfs", 0, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0)
		return false;
	return mkdir("/run/systemd", 0755) == 0 &&
	    mkdir("/run/systemd/journal", 0755) == 0;
}

static int
listen_at(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	(void)unlink(path);
	CHILD_CHECK(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	return fd;
}

/* The next datagram; empty if there is none. */
static const char *
hear(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static struct log_target target;
static char why[256];

static void
open_target(uint32_t number)
{
	CHILD_CHECK(log_target_open(&target, number, "", why, sizeof(why)) ==
	    0);
}

static void
in_namespace(void *run)
{
	if (!enter_namespace())
		_exit(SKIPPED);
	((void (*)(void))run)();
}

static void
check_namespaced(void (*run)(void))
{
	int status = child_run(in_namespace, (void *)run);

	ck_assert_msg(WIFEXITED(status) &&
		(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SKIPPED),
	    "the child ended with wait status %#x", (unsigned)status);
	if (WEXITSTATUS(status) != SKIPPED)
		return;
	ck_assert_msg(getenv("CI") == NULL, "no mount namespaces here");
	(void)fprintf(stderr, "not tested: no mount namespaces here\n");
}

/* RFC 3164: priority, date, tag. */
static void
run_syslog(void)
{
	int fd = listen_at(SYSLOG);
	const char *text;
	char tag[64];
	struct tm tm = {0};

	open_target(TARGET_SYSLOG);
	(void)snprintf(tag, sizeof(tag), "srvd[%d]: a message", getpid());
	CHILD_CHECK(log_target_write(&target, LEVEL_WARN, "a message") == 0);
	text = hear(fd);
	/* The daemons' facility is 3; a warning is 4. */
	CHILD_CHECK(strncmp(text, "<28>", 4) == 0);
	text = strptime(text + 4, "%b %e %H:%M:%S ", &tm);
	CHILD_CHECK(text != NULL && strcmp(text, tag) == 0);
	/* One datagram a line. */
	CHILD_CHECK(log_target_write_lines(&target, "one\ntwo\n", 8) == 0);
	text = hear(fd);
	CHILD_CHECK(strncmp(text, "<30>", 4) == 0);
	CHILD_CHECK(strcmp(text + strlen(text) - 5, ": one") == 0);
	text = hear(fd);
	CHILD_CHECK(strcmp(text + strlen(text) - 5, ": two") == 0);
	CHILD_CHECK(hear(fd)[0] == '\0');
}

START_TEST(syslog_is_spoken_to)
{
	check_namespaced(run_syslog);
}
END_TEST

static void
run_restart(void)
{
	int fd = listen_at(SYSLOG);
	int fds;

	open_target(TARGET_SYSLOG);
	(void)close(fd);
	(void)unlink(SYSLOG);
	CHILD_CHECK(log_target_write(&target, LEVEL_INFO, "to nobody") == 1);
	CHILD_CHECK(log_target_write_lines(&target, "1\n2\n", 4) == 2);
	fd = listen_at(SYSLOG);
	fds = count_fds();
	CHILD_CHECK(log_target_write(&target, LEVEL_INFO, "back") == 0);
	CHILD_CHECK(strstr(hear(fd), ": back") != NULL);
	CHILD_CHECK(log_target_write(&target, LEVEL_INFO, "still") == 0);
	CHILD_CHECK(strstr(hear(fd), ": still") != NULL);
	/* No descriptor was left behind. */
	CHILD_CHECK(count_fds() == fds);
}

START_TEST(a_restarted_daemon_is_found_again)
{
	check_namespaced(run_restart);
}
END_TEST

static void
run_stuck(void)
{
	int fd = listen_at(SYSLOG);
	uint32_t dropped = 0;
	uint32_t heard = 0;

	open_target(TARGET_SYSLOG);
	for (int i = 0; i < 5000; i++)
		dropped += log_target_write(&target, LEVEL_INFO, "full");
	while (hear(fd)[0] != '\0')
		heard++;
	CHILD_CHECK(dropped > 0 && heard > 0 && dropped + heard == 5000);
	CHILD_CHECK(log_target_write(&target, LEVEL_INFO, "room") == 0);
}

START_TEST(a_daemon_that_does_not_read_blocks_nobody)
{
	check_namespaced(run_stuck);
}
END_TEST

static void
run_journal(void)
{
	int fd = listen_at(JOURNAL);

	open_target(TARGET_JOURNAL);
	CHILD_CHECK(log_target_write(&target, LEVEL_ERROR, "bad") == 0);
	CHILD_CHECK(strcmp(hear(fd),
			"PRIORITY=3\nSYSLOG_IDENTIFIER=srvd\n"
			"MESSAGE=bad\n") == 0);
	CHILD_CHECK(log_target_write_lines(&target, "one\ntwo\n", 8) == 0);
	CHILD_CHECK(strcmp(hear(fd),
			"PRIORITY=6\nSYSLOG_IDENTIFIER=srvd\n"
			"MESSAGE=one\n") == 0);
	CHILD_CHECK(strstr(hear(fd), "MESSAGE=two\n") != NULL);
}

START_TEST(the_journal_is_spoken_to)
{
	check_namespaced(run_journal);
}
END_TEST

static void
run_absent(void)
{
	CHILD_CHECK(log_target_open(&target, TARGET_SYSLOG, "", why,
			sizeof(why)) == -ENOENT);
	CHILD_CHECK(strcmp(why,
			"can't open the log /dev/log: "
			"No such file or directory") == 0);
	CHILD_CHECK(log_target_open(&target, TARGET_JOURNAL, "", why,
			sizeof(why)) == -ENOENT);
	CHILD_CHECK(strstr(why, JOURNAL) != NULL);
	CHILD_CHECK(log_target_is(&target, TARGET_OFF, ""));
}

START_TEST(a_daemon_that_is_not_there_is_an_error)
{
	check_namespaced(run_absent);
}
END_TEST

UNIT_MAIN("logger_sockets", syslog_is_spoken_to,
    a_restarted_daemon_is_found_again,
    a_daemon_that_does_not_read_blocks_nobody, the_journal_is_spoken_to,
    a_daemon_that_is_not_there_is_an_error)
