/*
 * test_control_probe - does somebody listen where the control socket is to be?
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/master/control.h"
#include "tests/unit/config_file.h"

static struct config_result result;
static char why[512];

static void
begin(void)
{
	char text[256];

	make_directory();
	(void)snprintf(text, sizeof(text),
	    "user = nobody\ncontrol { path = \"%s/control\" }\n" SERVICE,
	    directory);
	write_text("t.conf", text);
	result = load_good("t.conf", false);
}

static int
probe(void)
{
	return control_probe(result.plan, why, sizeof(why));
}

static void
listen_there(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/control",
	    directory);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
}

START_TEST(nobody_listens)
{
	begin();
	ck_assert_int_eq(probe(), 0);
}
END_TEST

START_TEST(who_lives_has_it)
{
	begin();
	listen_there();
	ck_assert_int_eq(probe(), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(why, "another process listens"));
}
END_TEST

/* A process is killed when it has just forked: its child has all that it had,
 * until that becomes another program. */
static pid_t
die_with_a_child(int child_ms)
{
	const struct timespec time = {
	    .tv_sec = child_ms / 1000, .tv_nsec = child_ms % 1000 * 1000000L};
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid != 0)
		return pid;
	listen_there();
	if (fork() == 0)
		(void)nanosleep(&time, NULL);
	_exit(0);
}

START_TEST(who_has_died_has_it_no_more)
{
	siginfo_t info;

	begin();
	for (int is_reaped = 0; is_reaped < 2; is_reaped++) {
		pid_t pid = die_with_a_child(300);

		ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info,
				     WEXITED | (is_reaped ? 0 : WNOWAIT)),
		    0);
		ck_assert_msg(probe() == 0, "%s", why);
		ck_assert_int_eq(unlink(path_of("control")), 0);
	}
}
END_TEST

UNIT_MAIN_PIDFDS("control probe", nobody_listens, who_lives_has_it,
    who_has_died_has_it_no_more)
