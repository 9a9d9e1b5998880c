/*
 * test_control_root - the places that are kept for root: a crowd of another
 * user's silent clients does not keep root out.
 *
 * Needs root, to make the crowd another user's; skipped without.
 */
#include <grp.h>

#include "tests/unit/control_server.h"

#define SKIPPED 77 /* to ctest */

/* Connect 200 times as nobody, say so, and stay until told to go. */
static no_return void
crowd_run(int said_fd, int go_fd)
{
	static struct client silent[200];
	char byte;

	if (setgroups(0, NULL) == -1 || setgid(65534) == -1 ||
	    setuid(65534) == -1)
		_exit(2);
	connect_silent(silent, 200);
	if (write(said_fd, "1", 1) != 1 || read(go_fd, &byte, 1) < 0)
		_exit(3);
	_exit(0);
}

START_TEST(a_crowd_does_not_keep_root_out)
{
	static const struct control_limits limits = {
	    .clients = 64,
	    .kept = 8,
	    .idle_ms = 60000,
	    .half_ms = 60000,
	    .take_ms = 60000,
	    .pause_ms = 100,
	};
	struct client good[8];
	int said[2];
	int go[2];
	pid_t crowd;
	char byte;
	int status;

	server_begin_with(&limits, 0666);
	ck_assert_int_eq(pipe2(said, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	crowd = fork();
	if (crowd == 0) {
		(void)close(go[1]);
		crowd_run(said[1], go[0]);
	}
	(void)close(said[1]);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		good[i] = client_connect();
		expect_served(&good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		client_end(&good[i]);
	(void)close(go[1]);
	ck_assert_int_eq(waitpid(crowd, &status, 0), crowd);
	ck_assert_int_eq(status, 0);
	server_end();
}
END_TEST

/* Before the common main: there is nothing to run without root. */
__attribute__((constructor)) static void
skip_unless_root(void)
{
	if (geteuid() == 0)
		return;
	fputs("skipped: making another user's clients needs root\n", stderr);
	_exit(SKIPPED);
}

UNIT_MAIN("control_root", a_crowd_does_not_keep_root_out)
