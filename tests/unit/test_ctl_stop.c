/*
 * test_ctl_stop - srvctl stop while it waits: when it is interrupted, and
 * where the kernel tells of no process to wait for.
 */
#include <signal.h>
#include <time.h>

#include "tests/unit/ctl_case.h"

#define ANSWERS "> Stop\n< {\"parameters\":{}}\n"
#define TRIES   500 /* of 10 ms */

static struct golden script;
static int records[2];
static int out = -1;
static int err = -1;

static void
set_up(void)
{
	/* Check has a handler of its own, which a child would begin with. */
	(void)signal(SIGINT, SIG_DFL);
	(void)snprintf(directory, sizeof(directory), "/tmp/srvctl.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/s", directory);
	ck_assert_int_eq(pipe2(records, O_CLOEXEC), 0);
	(void)snprintf(script.command, sizeof(script.command), "stop");
	text_add(&script.answers, ANSWERS, strlen(ANSWERS));
}

static void
tear_down(void)
{
	ck_assert_int_eq(unlink(socket_path), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* Whether it catches SIGINT now, by what the kernel says of it. */
static bool
catches_interrupt(pid_t pid)
{
	char path[64];
	char line[256];
	unsigned long long caught = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "SigCgt:", 7) == 0)
			caught = strtoull(line + 7, NULL, 16);
	}
	(void)fclose(file);
	return (caught >> (SIGINT - 1) & 1) != 0;
}

static void
wait_until(pid_t pid, bool catches)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	for (int i = 0; i < TRIES; i++) {
		if (catches_interrupt(pid) == catches)
			return;
		(void)nanosleep(&pause, NULL);
	}
	ck_abort_msg("SIGINT is never %s", catches ? "caught" : "let through");
}

START_TEST(an_interrupt_is_explained_and_the_second_obeyed)
{
	static struct text said;
	pid_t gateway;
	pid_t srvctl;
	int status = 0;

	set_up();
	gateway = gateway_start(&script, records[1]);
	srvctl = srvctl_on_pipes(&script, &out, &err);
	wait_until(srvctl, true);
	ck_assert_int_eq(kill(srvctl, SIGINT), 0);
	wait_until(srvctl, false);
	ck_assert_int_eq(kill(srvctl, SIGINT), 0);
	ck_assert_int_eq(waitpid(srvctl, &status, 0), srvctl);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	text_read(&said, err);
	ck_assert_ptr_nonnull(strstr(said.bytes, "is stopping"));
	ck_assert_int_eq(kill(gateway, SIGKILL), 0);
	ck_assert_int_eq(waitpid(gateway, NULL, 0), gateway);
	tear_down();
}
END_TEST

/* A socket whose listener has gone before it was asked: no process to watch. */
static int
orphan_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t child;

	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	child = fork();
	if (child == 0)
		_exit(listen(fd, 1) == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	return fd;
}

START_TEST(without_a_process_the_end_of_the_connection_counts)
{
	static struct text said;
	pid_t srvctl;
	int status = 0;
	int listener;
	int client;

	set_up();
	listener = orphan_socket();
	srvctl = srvctl_on_pipes(&script, &out, &err);
	client = accept(listener, NULL, NULL);
	ck_assert_int_ge(client, 0);
	answer_line(client, "{\"parameters\":{}}", 17);
	wait_until(srvctl, true);
	/* More words are no end. */
	answer_line(client, "{\"parameters\":{}}", 17);
	ck_assert_int_eq(waitpid(srvctl, &status, WNOHANG), 0);
	(void)close(client);
	ck_assert_int_eq(waitpid(srvctl, &status, 0), srvctl);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	text_read(&said, out);
	ck_assert_str_eq(said.bytes, "the gateway has ended\n");
	(void)close(listener);
	tear_down();
}
END_TEST

UNIT_MAIN_PIDFDS("ctl_stop", an_interrupt_is_explained_and_the_second_obeyed,
    without_a_process_the_end_of_the_connection_counts)
