/*
 * The master has died, and who starts it again has a program by now that does
 * not understand what the workers say: it refuses, and says what to do.  Once
 * the same one is started again, nothing has happened.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"

#define WORKERS 2

static void
expect_echo(int fd)
{
	net_say(fd, "hello");
	net_hear(fd, "hello");
}

/* A start of this program is refused, for what it says in these words. */
static void
expect_refused(struct gateway *g, const char *program, const char *words)
{
	char log[16384];
	int status;

	ck_assert_int_eq(setenv("SRVD_BIN", program, 1), 0);
	gateway_begin(g);
	status = proc_wait(g->pid, GATEWAY_TIMEOUT_MS);
	ck_assert_int_eq(status, 1);
	g->pid = -1;
	proc_read_file(g->log, log, sizeof log);
	ck_assert_msg(strstr(log, words) != NULL &&
		strstr(log, "start that program again") != NULL,
	    "not \"%s\" but: %s", words, log);
}

static void
expect_left_alone(const char *other, const char *words)
{
	char address[ADDR_TEXT_SIZE];
	char ours[E2E_PATH_SIZE];
	struct gateway g;
	int fds[2];

	snprintf(ours, sizeof ours, "%s", gateway_program());
	gateway_init(&g);
	g.workers = WORKERS;
	gateway_start(&g,
	    "service s {\n	listen = 127.0.0.1:0\n"
	    "	backend e { address = builtin:echo }\n}\n");
	gateway_address(&g, "s", 0, address);
	fds[0] = net_connect(address);
	expect_echo(fds[0]);
	gateway_kill(&g);
	for (int i = 0; i < 2; i++)
		expect_refused(&g, other, words);
	for (size_t i = 0; i < g.family_count; i++)
		ck_assert(proc_is_alive(g.family[i]));
	expect_echo(fds[0]);
	fds[1] = net_connect(address);
	expect_echo(fds[1]);
	ck_assert_int_eq(setenv("SRVD_BIN", ours, 1), 0);
	gateway_run(&g);
	gateway_expect_number(&g, "totals/connections", 2);
	gateway_expect_number(&g, "totals/accepted", 2);
	for (int i = 0; i < 2; i++) {
		expect_echo(fds[i]);
		close(fds[i]);
	}
	gateway_stop(&g);
}

START_TEST(another_version_of_the_channel)
{
	expect_left_alone(STRANGER_PROGRAM,
	    "version of the messages between master and worker (channel: this");
}
END_TEST

START_TEST(another_version_of_hand_overs)
{
	expect_left_alone(MOVER_PROGRAM,
	    "version of the messages of a hand-over (transfer: this");
}
END_TEST

E2E_MAIN("takeover_versions", another_version_of_the_channel,
    another_version_of_hand_overs)
