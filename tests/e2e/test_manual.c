/*
 * What srvd(8) says of the real program is so: its options, its signals, its
 * exit statuses.  The completion knows the same options.  And the installed
 * configuration and its examples are what srvd -n finds nothing wrong with.
 */
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "proc.h"
#include "tests/unit/manual.h"

#define NOBODY       65534
#define TEXT_SIZE    65536
#define RUN_TIMEOUT  20000
#define ARGUMENTS    6
#define ROWS_MIN     10
#define EXAMPLES_MIN 4

static struct manual manual;
static char output[TEXT_SIZE];

/* In the child: srvd -n as root would want the user and the groups that the
 * configuration names to be there.  Its program may be in a directory that
 * others can't enter. */
static void
run_as_nobody(const char *const argv[])
{
	int fd = open(gateway_program(), O_RDONLY | O_CLOEXEC);
	char *words[ARGUMENTS + 1] = {NULL};

	for (size_t i = 0; argv[i] != NULL; i++)
		words[i] = strdup(argv[i]);
	if (fd >= 0 && geteuid() == 0 &&
	    (setgroups(0, NULL) != 0 ||
		setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
		setresuid(NOBODY, NOBODY, NOBODY) != 0))
		_exit(126);
	(void)fexecve(fd, words, environ);
	_exit(127);
}

/* Run srvd with these words; what it says is in output.  Returns its status. */
static int
run(const char *const argv[])
{
	char path[E2E_PATH_SIZE];
	pid_t child;
	int status;

	(void)e2e_path(path, "output");
	child = fork();
	ck_assert_int_ne(child, -1);
	if (child == 0) {
		int fd =
		    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
		    dup2(fd, STDERR_FILENO) < 0)
			_exit(126);
		run_as_nobody(argv);
	}
	status = proc_wait(child, RUN_TIMEOUT);
	proc_read_file(path, output, sizeof output);
	return status;
}

static void
read_help(void)
{
	static const char *const argv[] = {"srvd", "--help", NULL};

	ck_assert_int_eq(run(argv), 0);
}

/* A line of the help, "  -f, --config FILE  read …": what is before the
 * gap; false if it tells of no option. */
static bool
read_option(const char *line, char *letter, char name[32], char value[32])
{
	int taken = 0;

	value[0] = '\0';
	if (sscanf(line, " -%c, --%31[a-z]%n", letter, name, &taken) != 2)
		return false;
	if (line[taken] == ' ' && line[taken + 1] != ' ')
		(void)sscanf(line + taken, " %31s", value);
	return true;
}

START_TEST(the_options_are_the_programs)
{
	char completion[TEXT_SIZE];
	char letter;
	char name[32];
	char value[32];
	size_t count = 0;

	read_help();
	manual_read(&manual, MANUALS "/srvd.8");
	proc_read_file(ETC "/completion/srvd", completion, sizeof completion);
	for (char *line = strtok(output, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		char words[64];

		if (!read_option(line, &letter, name, value))
			continue;
		(void)manual_expect(&manual, "DESCRIPTION", "-%c %s, --%s %s",
		    letter, value, name, value);
		snprintf(words, sizeof words, "\n-%c --%s\n", letter, name);
		ck_assert_msg(strstr(completion, words) != NULL,
		    "the completion of srvd does not know -%c", letter);
		count++;
	}
	ck_assert_uint_ge(count, 6);
	manual_expect_no_more(&manual, "DESCRIPTION");
	/* A line of the completion's table begins with a dash. */
	for (const char *at = completion; (at = strstr(at, "\n-")) != NULL;
	     at++)
		count--;
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* The master takes its signals from a descriptor, and blocks them therefore:
 * what it blocks is what it has an answer to. */
START_TEST(the_signals_are_the_masters)
{
	struct gateway g;
	char text[64];
	unsigned long long blocked;

	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	proc_status(g.pid, "SigBlk", text, sizeof text);
	blocked = strtoull(text, NULL, 16);
	ck_assert_uint_ne(blocked & 1ull << (SIGCHLD - 1), 0);
	manual_read(&manual, MANUALS "/srvd.8");
	for (int sig = 1; sig < 64; sig++) {
		if (sig != SIGCHLD && (blocked & 1ull << (sig - 1)) != 0)
			(void)manual_expect(&manual, "SIGNALS", "SIG%s",
			    sigabbrev_np(sig));
	}
	manual_expect_no_more(&manual, "SIGNALS");
	gateway_stop(&g);
}
END_TEST

START_TEST(the_exit_statuses_are_those_of_the_program)
{
	static const struct {
		const char *const argv[ARGUMENTS];
		int status;
	} rows[] = {
	    {{"srvd", "--version"}, 0},
	    {{"srvd", "-n", "-f", "/nonexistent"}, 1},
	    {{"srvd", "-f", "/nonexistent"}, 1},
	    {{"srvd", "--frob"}, 2},
	    {{"srvd", "argument"}, 2},
	};

	manual_read(&manual, MANUALS "/srvd.8");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(run(rows[i].argv), rows[i].status);
		(void)manual_expect(&manual, "EXIT STATUS", "%d",
		    rows[i].status);
	}
	manual_expect_no_more(&manual, "EXIT STATUS");
}
END_TEST

/* A file of etc/, as nobody may read it, at a place in the test's directory. */
static void
copy(const char *from, const char *name)
{
	char path[E2E_PATH_SIZE];
	char text[TEXT_SIZE];

	proc_read_file(from, text, sizeof text);
	ck_assert_msg(*text != '\0', "%s can't be read", from);
	gateway_write(e2e_path(path, name), text, strlen(text));
	ck_assert_int_eq(chmod(path, 0644), 0);
}

static void
expect_good(const char *name)
{
	char path[E2E_PATH_SIZE];
	const char *const argv[] = {
	    "srvd", "-n", "-f", e2e_path(path, name), NULL};
	int status = run(argv);

	ck_assert_msg(status == 0 && *output == '\0', "%s: status %d: %s", name,
	    status, output);
}

/* The name of a service's file in conf.d, without what makes it an example. */
static void
installed_name(const char *path, char name[E2E_PATH_SIZE])
{
	snprintf(name, E2E_PATH_SIZE, "conf.d/%s", strrchr(path, '/') + 1);
	*(strstr(name, ".conf") + strlen(".conf")) = '\0';
}

START_TEST(the_installed_configuration_is_good)
{
	char path[E2E_PATH_SIZE];
	char name[E2E_PATH_SIZE];
	glob_t files;
	size_t examples = 0;

	copy(ETC "/demo.conf", "demo.conf");
	expect_good("demo.conf");
	copy(ETC "/srvd.conf", "srvd.conf");
	ck_assert_int_eq(mkdir(e2e_path(path, "conf.d"), 0755), 0);
	ck_assert_int_eq(glob(ETC "/conf.d/*.conf", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		installed_name(files.gl_pathv[i], name);
		copy(files.gl_pathv[i], name);
	}
	globfree(&files);
	/* As it is installed; then with each example, and with all. */
	expect_good("srvd.conf");
	ck_assert_int_eq(glob(ETC "/conf.d/*.conf.example", 0, NULL, &files),
	    0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		installed_name(files.gl_pathv[i], name);
		copy(files.gl_pathv[i], name);
		expect_good(name);
		examples++;
	}
	globfree(&files);
	ck_assert_uint_ge(examples, EXAMPLES_MIN);
	expect_good("srvd.conf");
}
END_TEST

/* A C test's name stands in START_TEST(), a shell test's before "()". */
static void
expect_test(const char *file, const char *name)
{
	static char text[TEXT_SIZE];
	char path[E2E_PATH_SIZE];
	char in_c[128];
	char in_shell[128];

	snprintf(path, sizeof path, MANUALS "/../tests/%s", file);
	proc_read_file(path, text, sizeof text);
	snprintf(in_c, sizeof in_c, "START_TEST(%s)", name);
	snprintf(in_shell, sizeof in_shell, "\n%s()\n", name);
	ck_assert_msg(strstr(text, in_c) != NULL ||
		strstr(text, in_shell) != NULL,
	    "srvd.8 names the test %s in %s, which is not there", name, file);
}

START_TEST(each_row_of_survival_is_a_test)
{
	static char text[TEXT_SIZE];
	char *save = NULL;
	bool is_row = false;
	unsigned rows = 0;
	char *line;

	proc_read_file(MANUALS "/srvd.8", text, sizeof text);
	line = strstr(text, "\n.Sh SURVIVAL\n");
	ck_assert_ptr_nonnull(line);
	(void)strtok_r(line + 2, "\n", &save);
	while ((line = strtok_r(NULL, "\n", &save)) != NULL &&
	    strncmp(line, ".Sh ", 4) != 0) {
		char file[64];
		char name[64];

		if (is_row) {
			ck_assert_msg(sscanf(line, ".\\\" test: %63s %63s",
					  file, name) == 2,
			    "a row of SURVIVAL without a test: %s", line);
			expect_test(file, name);
			rows++;
		}
		is_row = strncmp(line, ".It ", 4) == 0;
	}
	ck_assert_uint_ge(rows, ROWS_MIN);
}
END_TEST

E2E_MAIN("manual", the_options_are_the_programs, the_signals_are_the_masters,
    the_exit_statuses_are_those_of_the_program,
    the_installed_configuration_is_good, each_row_of_survival_is_a_test)
