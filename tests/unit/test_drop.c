/*
 * test_drop - what is left of a process's privileges: nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "server/holder/drop.h"
#include "server/state/plan.h"
#include "tests/unit/child.h"

#define SKIPPED 77
#define NOBODY  65534

static void
expect_line(const char *wanted)
{
	char text[8192];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	CHILD_CHECK(n > 0);
	(void)close(fd);
	text[n] = '\0';
	CHILD_CHECK(strstr(text, wanted) != NULL);
}

static void
expect_dropped(void)
{
	struct rlimit core;

	CHILD_CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHILD_CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHILD_CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
	expect_line("CapEff:\t0000000000000000\n");
	expect_line("CapPrm:\t0000000000000000\n");
	expect_line("CapInh:\t0000000000000000\n");
	expect_line("CapAmb:\t0000000000000000\n");
}

static void
stay(void *arg)
{
	const struct drop_spec spec = {.uid = PLAN_NO_ID, .gid = PLAN_NO_ID};
	uid_t uid = getuid();

	(void)arg;
	CHILD_CHECK(drop_privileges(&spec) == 0);
	CHILD_CHECK(getuid() == uid);
	expect_dropped();
}

START_TEST(who_stays_has_no_capabilities)
{
	child_passes(stay, NULL);
}
END_TEST

static void
become_nobody(void *arg)
{
	static const uint32_t groups[] = {4711, 4712};
	const struct drop_spec spec = {
	    .uid = NOBODY,
	    .gid = NOBODY,
	    .groups = groups,
	    .groups_count = ARRAY_LEN(groups),
	};
	gid_t seen[8];
	uid_t id[3];

	(void)arg;
	CHILD_CHECK(drop_privileges(&spec) == 0);
	CHILD_CHECK(getresuid(&id[0], &id[1], &id[2]) == 0);
	CHILD_CHECK(id[0] == NOBODY && id[1] == NOBODY && id[2] == NOBODY);
	CHILD_CHECK(getresgid(&id[0], &id[1], &id[2]) == 0);
	CHILD_CHECK(id[0] == NOBODY && id[1] == NOBODY && id[2] == NOBODY);
	CHILD_CHECK(getgroups(ARRAY_LEN(seen), seen) == 2);
	CHILD_CHECK(seen[0] == 4711 && seen[1] == 4712);
	CHILD_CHECK(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0 &&
	    setgroups(0, NULL) < 0);
	expect_dropped();
}

static void
too_many_groups(void *arg)
{
	static const uint32_t groups[PLAN_GROUPS_MAX + 1];
	const struct drop_spec spec = {
	    .uid = NOBODY,
	    .gid = NOBODY,
	    .groups = groups,
	    .groups_count = ARRAY_LEN(groups),
	};

	(void)arg;
	CHILD_CHECK(drop_privileges(&spec) < 0);
}

START_TEST(root_becomes_nobody)
{
	child_passes(become_nobody, NULL);
	child_passes(too_many_groups, NULL);
}
END_TEST

/* Without the right to, it must fail and not pass silently. */
static void
not_allowed(void *arg)
{
	const struct drop_spec spec = {.uid = 1, .gid = 1};

	(void)arg;
	if (geteuid() == 0)
		CHILD_CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	CHILD_CHECK(drop_privileges(&spec) < 0);
}

START_TEST(who_may_not_is_told)
{
	child_passes(not_allowed, NULL);
}
END_TEST

/* As a service manager's filter does. */
static void
forbid_capset(void)
{
	struct sock_filter rules[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_capset, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_LEN(rules), rules};

	CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void
nothing_to_give_up(void *arg)
{
	const struct drop_spec spec = {.uid = PLAN_NO_ID, .gid = PLAN_NO_ID};

	(void)arg;
	if (geteuid() == 0)
		CHILD_CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	forbid_capset();
	CHILD_CHECK(drop_privileges(&spec) == 0);
	expect_dropped();
}

START_TEST(who_has_none_needs_no_capset)
{
	child_passes(nothing_to_give_up, NULL);
}
END_TEST

static void
cannot_give_up(void *arg)
{
	const struct drop_spec spec = {.uid = PLAN_NO_ID, .gid = PLAN_NO_ID};

	(void)arg;
	forbid_capset();
	CHILD_CHECK(drop_privileges(&spec) == -EPERM);
}

START_TEST(capabilities_that_stay_are_told)
{
	child_passes(cannot_give_up, NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("drop");
	TCase *tcase = tcase_create("drop");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, who_stays_has_no_capabilities);
	tcase_add_test(tcase, who_may_not_is_told);
	tcase_add_test(tcase, who_has_none_needs_no_capset);
	if (geteuid() == 0) {
		tcase_add_test(tcase, root_becomes_nobody);
		tcase_add_test(tcase, capabilities_that_stay_are_told);
	}
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (failed == 0 && geteuid() != 0) {
		puts("skipped: becoming another user takes root");
		return SKIPPED;
	}
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
