/*
 * harness - the runner of the end-to-end tests; see harness.h.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

/* How much of the end of a log is shown. */
#define LOG_SHOWN 12000
/* How long what a failed test started may take to end by itself. */
#define LEFT_GRACE_MS 3000

/* What a test's process tells the runner. */
struct verdict {
	pid_t pid; /* its own; 0: it has not begun */
	bool passed;
	unsigned skipped;
};

static struct verdict *verdict;
static unsigned leftovers;
static char test_dir[32];

const char *
e2e_dir(void)
{
	return test_dir;
}

const char *
e2e_path(char path[E2E_PATH_SIZE], const char *name)
{
	int length = snprintf(path, E2E_PATH_SIZE, "%s/%s", test_dir, name);

	ck_assert_msg(length < E2E_PATH_SIZE, "path too long: %s", name);
	return path;
}

uint64_t
e2e_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
e2e_pause(int ms)
{
	(void)poll(NULL, 0, ms);
}

bool
e2e_wait(e2e_condition_fn *condition, void *arg, int timeout_ms)
{
	uint64_t end = e2e_now_ms() + (uint64_t)timeout_ms;

	while (!condition(arg)) {
		if (e2e_now_ms() >= end)
			return condition(arg);
		e2e_pause(3);
	}
	return true;
}

void
e2e_skip(const char *format, ...)
{
	char why[256];
	const char *ci = getenv("CI");
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);

	ck_assert_msg(ci == NULL || strcmp(ci, "true") != 0,
	    "not tested, and CI=true allows no skips: %s", why);
	fprintf(stderr, "SKIPPED: %s\n", why);
	verdict->skipped++;
}

/* For Check this is a test that has ended well; it asks for no time then. */
void
e2e_pass(void)
{
	verdict->passed = true;
	exit(EXIT_SUCCESS);
}

/* splitmix64 of the number of an 8-byte word. */
static uint64_t
bytes_word(uint64_t seed, uint64_t number)
{
	uint64_t z =
	    seed * 0xd1342543de82ef95ULL + (number + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void
e2e_bytes(uint64_t seed, uint64_t at, void *buffer, size_t length)
{
	unsigned char *out = buffer;

	while (length > 0) {
		uint64_t word = bytes_word(seed, at / 8);
		size_t skip = at % 8;
		size_t n = 8 - skip < length ? 8 - skip : length;

		memcpy(out, (const unsigned char *)&word + skip, n);
		out += n;
		at += n;
		length -= n;
	}
}

/* What the runner cannot go on without. */
static void
runner_require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void
show_log(const char *path)
{
	static char text[LOG_SHOWN + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > LOG_SHOWN)
		(void)lseek(fd, -LOG_SHOWN, SEEK_END);
	n = read(fd, text, LOG_SHOWN);
	close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	fprintf(stderr, "---- end of %s:\n%s\n----\n", path, text);
}

static void
show_logs(void)
{
	char pattern[E2E_PATH_SIZE];
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s/*.log", test_dir);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		show_log(found.gl_pathv[i]);
	globfree(&found);
}

/* Reap what has ended; true if nothing is left. */
static bool
runner_is_alone(void *arg)
{
	pid_t pid;

	(void)arg;
	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid < 0 && errno == ECHILD;
}

/* While a test runs, orphans of what it has killed are reaped as they end: in
 * an hour there are thousands.  The test itself is for Check to wait for. */
static void
runner_on_child(int number)
{
	int saved = errno;
	siginfo_t info;

	(void)number;
	while (verdict->pid != 0) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0 || info.si_pid == verdict->pid)
			break;
		(void)waitpid(info.si_pid, NULL, WNOHANG);
	}
	errno = saved;
}

static void
runner_reap_orphans(void)
{
	struct sigaction action = {
	    .sa_handler = runner_on_child,
	    .sa_flags = SA_RESTART,
	};

	runner_require(sigaction(SIGCHLD, &action, NULL) == 0, "sigaction");
}

static void
runner_end_left(void)
{
	pid_t left[256];
	char name[64];
	size_t n = proc_descendants(getpid(), left, ARRAY_LEN(left));

	for (size_t i = 0; i < n; i++) {
		proc_cmdline(left[i], name, sizeof name);
		fprintf(stderr, "harness: left behind and killed: %d %s\n",
		    (int)left[i], name);
		kill(left[i], SIGKILL);
	}
}

/* In the runner, before each test. */
static void
runner_setup(void)
{
	verdict->pid = 0;
	verdict->passed = false;
	strcpy(test_dir, "/tmp/srvd-e2e.XXXXXX");
	runner_require(mkdtemp(test_dir) != NULL, "mkdtemp");
	runner_require(chmod(test_dir, 0755) == 0, "chmod");
}

/* In the runner, after each test. */
static void
runner_teardown(void)
{
	int grace_ms = verdict->passed ? 0 : LEFT_GRACE_MS;

	if (!e2e_wait(runner_is_alone, NULL, grace_ms)) {
		if (verdict->passed)
			leftovers++;
		do
			runner_end_left();
		while (!e2e_wait(runner_is_alone, NULL, 200));
	}
	if (!verdict->passed)
		show_logs();
	(void)nftw(test_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* An ordinary user's PATH lacks where nginx lives. */
static void
path_extend(void)
{
	const char *path = getenv("PATH");
	char longer[4096];

	snprintf(longer, sizeof longer, "%s:/usr/sbin:/sbin",
	    path == NULL ? "/usr/bin:/bin" : path);
	setenv("PATH", longer, 1);
}

/* In the test's process.  Should the runner die, the test does; and srvd is
 * told to by the same means (gateway.c). */
static void
test_setup(void)
{
	struct rlimit limit;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	verdict->pid = getpid();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Only reached by a test that has not failed. */
static void
test_teardown(void)
{
	verdict->passed = true;
}

/* Some tests are as long as they are told to be. */
static double
test_timeout_s(void)
{
	const char *more = getenv("E2E_MORE_SECONDS");

	return E2E_TEST_TIMEOUT_S + (more == NULL ? 0 : strtod(more, NULL));
}

static void
add_test(Suite *suite, const TTest *test)
{
	TCase *tcase = tcase_create(test->name);

	tcase_add_unchecked_fixture(tcase, runner_setup, runner_teardown);
	tcase_add_checked_fixture(tcase, test_setup, test_teardown);
	tcase_set_timeout(tcase, test_timeout_s());
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

int
e2e_run(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	path_extend();
	runner_require(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "subreaper");
	verdict = mmap(NULL, sizeof *verdict, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	runner_require(verdict != MAP_FAILED, "mmap");
	runner_reap_orphans();

	for (size_t i = 0; i < count; i++)
		add_test(suite, tests[i]);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (leftovers > 0)
		fprintf(stderr, "harness: %u tests left processes behind\n",
		    leftovers);
	if (failed > 0 || leftovers > 0)
		return EXIT_FAILURE;
	return verdict->skipped > 0 ? E2E_SKIPPED : EXIT_SUCCESS;
}
