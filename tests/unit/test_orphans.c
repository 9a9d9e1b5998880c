/*
 * test_orphans - which children are workers that lost their holder.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/master/body_ref.h"
#include "server/master/orphans.h"
#include "tests/unit/unit.h"

/* A child of that name, which waits to be killed. */
static pid_t
start_named(const char *name)
{
	int ends[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, name);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ends[0]);
		(void)close(ends[1]);
		for (;;)
			(void)pause();
	}
	(void)close(ends[1]);
	ck_assert_int_eq(read(ends[0], &c, 1), 0);
	(void)close(ends[0]);
	return pid;
}

static void
end_child(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(only_a_worker_is_one)
{
	static const struct {
		const char *name;
		bool is_orphan;
	} cases[] = {
	    {"srvd: worker 3", true},
	    {"srvd: holder 3", true}, /* a worker that has just begun */
	    {"srvd: config", false},
	    {"srvd: master", false},
	    {"sleep", false},
	};
	struct bodies bodies = {.count = 0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		pid_t pid = start_named(cases[i].name);

		ck_assert_msg(orphans_find(&bodies) ==
			(cases[i].is_orphan ? pid : 0),
		    "%s", cases[i].name);
		orphans_end(&bodies);
		/* It is there still. */
		if (!cases[i].is_orphan)
			end_child(pid);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(who_is_known_is_none)
{
	struct body_ref ref = {.worker_pid = start_named("srvd: worker 0")};
	struct bodies bodies = {.refs = &ref, .count = 1};

	ck_assert_int_eq(orphans_find(&bodies), 0);
	end_child(ref.worker_pid);
}
END_TEST

UNIT_MAIN("orphans", only_a_worker_is_one, who_is_known_is_none)
