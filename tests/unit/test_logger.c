/*
 * test_logger - two logs, each with a target of its own, over reloads; and
 * what becomes of lines that can't be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "server/master/log_target.h"
#include "server/master/logger.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"

static char why[512];

/* A plan with these two targets; names are of the test's directory. */
static const struct plan *
plan_with(const char *target, const char *access)
{
	char text[1024];
	struct config_result result;

	(void)snprintf(text, sizeof(text),
	    "user = nobody\nlog { target = \"%s\" access = \"%s\" }\n" SERVICE,
	    target, access);
	write_text("log.conf", text);
	result = load("log.conf", false);
	if (result.plan == NULL)
		show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	(void)close(result.plan_fd);
	return result.plan;
}

static const char *
in_directory(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, PATH_MAX, "%s/%s", directory, name);
	return path;
}

static const char *
content_of(const char *name)
{
	static char text[1 << 17];
	int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	if (fd >= 0)
		(void)close(fd);
	return text;
}

static void
access_write(const char *lines)
{
	logger_access_write(lines, strlen(lines));
}

static bool
has(const char *name, const char *words)
{
	return strstr(content_of(name), words) != NULL;
}

START_TEST(the_two_share_nothing)
{
	make_directory();
	ck_assert_int_eq(logger_open(plan_with(in_directory("log"),
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	logger_write(LEVEL_INFO, "a message");
	access_write("one\ntwo\n");
	ck_assert(has("log", " info a message\n"));
	ck_assert(!has("log", "one"));
	ck_assert_str_eq(content_of("access"), "one\ntwo\n");
	ck_assert(!logger_is_stderr());

	/* Both are opened again. */
	ck_assert_int_eq(unlink(path_of("log")), 0);
	ck_assert_int_eq(unlink(path_of("access")), 0);
	ck_assert_int_eq(logger_reopen(why, sizeof(why)), 0);
	logger_write(LEVEL_INFO, "a new message");
	access_write("three\n");
	ck_assert(has("log", " info a new message\n"));
	ck_assert_str_eq(content_of("access"), "three\n");
	ck_assert_uint_eq(logger_dropped(), 0);
}
END_TEST

START_TEST(without_an_access_log_lines_are_nothing)
{
	make_directory();
	ck_assert_int_eq(logger_open(plan_with(in_directory("log"), "off"), 0,
			     why, sizeof(why)),
	    0);
	access_write("one\ntwo\n");
	ck_assert_uint_eq(logger_dropped(), 0);
	logger_add_dropped(3);
	ck_assert_uint_eq(logger_dropped(), 3);
}
END_TEST

START_TEST(a_file_that_is_gone_is_kept)
{
	make_directory();
	ck_assert_int_eq(mkdir(path_of("d"), 0755), 0);
	ck_assert_int_eq(logger_open(plan_with(in_directory("log"),
					 in_directory("d/access")),
			     0, why, sizeof(why)),
	    0);
	log_open(logger_write, LEVEL_INFO);
	ck_assert_int_eq(rename(path_of("d"), in_directory("e")), 0);
	ck_assert_int_eq(logger_reopen(why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "d/access again: No such file"));
	ck_assert(has("log", "d/access error=\"No such file"));
	access_write("one\n");
	ck_assert_str_eq(content_of("e/access"), "one\n");
}
END_TEST

START_TEST(a_reload_changes_targets_at_its_commit)
{
	int before;

	make_directory();
	ck_assert_int_eq(logger_open(plan_with(in_directory("log"),
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	before = count_fds();
	ck_assert_int_eq(logger_prepare(plan_with(in_directory("log"),
					    in_directory("access2")),
			     why, sizeof(why)),
	    0);
	access_write("old\n");
	logger_abort();
	logger_abort();
	ck_assert_int_eq(count_fds(), before);
	logger_commit();
	access_write("still old\n");
	ck_assert_str_eq(content_of("access"), "old\nstill old\n");
	ck_assert_str_eq(content_of("access2"), "");

	ck_assert_int_eq(logger_prepare(plan_with(in_directory("log2"),
					    in_directory("access2")),
			     why, sizeof(why)),
	    0);
	/* A second time, after one that came to nothing. */
	ck_assert_int_eq(logger_prepare(plan_with(in_directory("log2"),
					    in_directory("access2")),
			     why, sizeof(why)),
	    0);
	logger_commit();
	access_write("new\n");
	logger_write(LEVEL_INFO, "new");
	ck_assert_str_eq(content_of("access2"), "new\n");
	ck_assert(has("log2", " info new\n"));
	ck_assert_int_eq(count_fds(), before);

	/* Off, and back again. */
	ck_assert_int_eq(logger_prepare(plan_with(in_directory("log2"), "off"),
			     why, sizeof(why)),
	    0);
	logger_commit();
	access_write("nowhere\n");
	ck_assert_int_eq(count_fds(), before - 1);
	ck_assert_int_eq(logger_prepare(plan_with("stderr",
					    in_directory("access2")),
			     why, sizeof(why)),
	    0);
	logger_commit();
	access_write("back\n");
	ck_assert_str_eq(content_of("access2"), "new\nback\n");
	ck_assert_int_eq(count_fds(), before - 1);
	ck_assert(logger_is_stderr());
}
END_TEST

/* The same file is not opened again: it may not be ours to open any more. */
START_TEST(what_stays_is_left_alone)
{
	const struct plan *plan;

	make_directory();
	plan = plan_with(in_directory("log"), in_directory("access"));
	ck_assert_int_eq(logger_open(plan, 0, why, sizeof(why)), 0);
	ck_assert_int_eq(rename(path_of("access"), in_directory("moved")), 0);
	ck_assert_int_eq(logger_prepare(plan, why, sizeof(why)), 0);
	logger_commit();
	access_write("one\n");
	ck_assert_str_eq(content_of("moved"), "one\n");
	ck_assert_int_eq(access(path_of("access"), F_OK), -1);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_refuses_the_reload)
{
	int before;

	make_directory();
	ck_assert_int_eq(logger_open(plan_with(in_directory("log"),
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	before = count_fds();
	ck_assert_int_eq(logger_prepare(plan_with(in_directory("log2"),
					    in_directory("no/access")),
			     why, sizeof(why)),
	    -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no/access: No such file"));
	ck_assert_int_eq(count_fds(), before);
	/* A directory is no log; neither is a FIFO that nobody reads. */
	ck_assert_int_eq(logger_prepare(plan_with(directory, "off"), why,
			     sizeof(why)),
	    -EISDIR);
	ck_assert_ptr_nonnull(strstr(why, directory));
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	ck_assert_int_eq(logger_prepare(plan_with(in_directory("fifo"), "off"),
			     why, sizeof(why)),
	    -ENXIO);
	logger_commit();
	logger_write(LEVEL_INFO, "as before");
	ck_assert(has("log", "as before"));
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

/* -d: messages to standard error, over reloads too; the access log is not
 * meant by it. */
START_TEST(to_stderr_holds)
{
	make_directory();
	ck_assert_int_eq(logger_open(plan_with(in_directory("log"),
					 in_directory("access")),
			     1, why, sizeof(why)),
	    0);
	ck_assert(logger_is_stderr());
	ck_assert_int_eq(logger_prepare(plan_with(in_directory("log2"),
					    in_directory("access2")),
			     why, sizeof(why)),
	    0);
	logger_commit();
	ck_assert(logger_is_stderr());
	ck_assert_int_eq(access(path_of("log2"), F_OK), -1);
	access_write("one\n");
	ck_assert_str_eq(content_of("access2"), "one\n");
}
END_TEST

/* Standard error is the file "err" from here on. */
static void
stderr_to_file(struct stat *st)
{
	int fd = open(path_of("err"), O_WRONLY | O_CREAT | O_APPEND, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	(void)close(fd);
	ck_assert_int_eq(fstat(STDERR_FILENO, st), 0);
}

START_TEST(the_journals_stream_has_priorities)
{
	char stream[64];
	struct stat st;

	make_directory();
	stderr_to_file(&st);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	ck_assert_int_eq(logger_open(plan_with("stderr", "stderr"), 0, why,
			     sizeof(why)),
	    0);
	logger_write(LEVEL_ERROR, "bad");
	logger_write(LEVEL_WARN, "odd");
	logger_write(LEVEL_INFO, "good");
	logger_write(LEVEL_DEBUG, "much");
	access_write("one\ntwo\n");
	ck_assert_str_eq(content_of("err"),
	    "<3>bad\n<4>odd\n<6>good\n<7>much\n<6>one\n<6>two\n");
}
END_TEST

/* Whoever was started by systemd, but writes elsewhere: no priorities. */
START_TEST(another_stream_has_times)
{
	struct stat st;

	make_directory();
	stderr_to_file(&st);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "8:12345", 1), 0);
	ck_assert_int_eq(logger_open(plan_with("stderr", "stderr"), 0, why,
			     sizeof(why)),
	    0);
	logger_write(LEVEL_ERROR, "bad");
	access_write("one\ntwo\n");
	ck_assert(has("err", "Z error bad\none\ntwo\n"));
	ck_assert(!has("err", "<"));
}
END_TEST

/* Lines of a length each, numbered. */
static size_t
make_lines(char *text, unsigned count, unsigned length)
{
	for (unsigned i = 0; i < count; i++)
		(void)sprintf(text + (size_t)i * length, "%08u%*s\n", i,
		    (int)length - 9, "x");
	return (size_t)count * length;
}

START_TEST(many_lines_arrive_whole)
{
	static char text[200 * 500 + 1];
	size_t length = make_lines(text, 500, 200);

	make_directory();
	ck_assert_int_eq(logger_open(plan_with("stderr",
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	logger_access_write(text, length);
	ck_assert_str_eq(content_of("access"), text);
	ck_assert_uint_eq(logger_dropped(), 0);
}
END_TEST

/* A pipe that is read too late gets whole lines, and the rest is counted. */
START_TEST(a_full_pipe_counts_lines)
{
	static char text[200 * 1000 + 1];
	static char seen[200 * 1000 + 1];
	size_t length = make_lines(text, 1000, 200);
	ssize_t n;
	int fd;

	make_directory();
	ck_assert_int_eq(mkfifo(path_of("access"), 0600), 0);
	fd = open(path_of("access"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(logger_open(plan_with("stderr",
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	logger_access_write(text, length);
	n = read(fd, seen, sizeof(seen));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(n % 200, 0);
	ck_assert_int_eq(memcmp(seen, text, (size_t)n), 0);
	ck_assert_uint_eq((uint64_t)n / 200 + logger_dropped(), 1000);
	ck_assert_uint_gt(logger_dropped(), 500);
	/* It is read: the next one goes there. */
	access_write("again\n");
	ck_assert_int_eq(read(fd, seen, sizeof(seen)), 6);
	/* Its reader has gone. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)close(fd);
	n = (ssize_t)logger_dropped();
	access_write("one\ntwo\n");
	ck_assert_uint_eq(logger_dropped(), (uint64_t)n + 2);
}
END_TEST

/* A disk that is full in the middle of a line: what comes when there is room
 * again begins a line of its own. */
START_TEST(a_torn_line_is_ended)
{
	struct rlimit limit = {.rlim_cur = 250, .rlim_max = RLIM_INFINITY};
	char text[801];
	size_t length = make_lines(text, 4, 200);
	const char *seen;

	make_directory();
	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(logger_open(plan_with("stderr",
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 250;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	logger_access_write(text, length);
	ck_assert_uint_eq(logger_dropped(), 3);
	access_write("lost\n");
	ck_assert_uint_eq(logger_dropped(), 4);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	access_write("whole\nand whole\n");
	ck_assert_uint_eq(logger_dropped(), 4);
	seen = content_of("access");
	ck_assert_int_eq(strncmp(seen, text, 250), 0);
	ck_assert_str_eq(seen + 250, "\nwhole\nand whole\n");
}
END_TEST

/* So it is when another process has cut it off. */
START_TEST(a_torn_line_of_before_is_ended)
{
	make_directory();
	write_text("access", "whole\nto");
	ck_assert_int_eq(logger_open(plan_with("stderr",
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	access_write("next\n");
	ck_assert_str_eq(content_of("access"), "whole\nto\nnext\n");
}
END_TEST

/* What a file ends with is told apart from what it holds. */
START_TEST(lines_that_are_written_are_known)
{
	static const struct {
		const char *held;
		const char *lines;
		size_t written;
	} cases[] = {
	    {"", "a1\nb2\n", 0},
	    {"a1\n", "a1\nb2\n", 3},
	    {"a1\nb2\n", "a1\nb2\n", 6},
	    {"x\na1\n", "a1\nb2\n", 3},
	    {"x\na1\nb2\n", "a1\nb2\n", 6},
	    {"long line\nanother\na1\nb2\n", "a1\nb2\n", 6},
	    {"a1\nx\n", "a1\nb2\n", 0},  /* not its end */
	    {"xa1\n", "a1\nb2\n", 0},    /* not a line's begin */
	    {"b2\n", "a1\nb2\n", 0},     /* not from the first on */
	    {"a1\nb", "a1\nb2\n", 3},    /* torn */
	    {"a1\na1\n", "a1\na1\n", 6}, /* the longest */
	    {"a", "a1\nb2\n", 0},
	};

	make_directory();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *lines = cases[i].lines;

		write_text("access", cases[i].held);
		ck_assert_int_eq(logger_open(plan_with("stderr",
						 in_directory("access")),
				     0, why, sizeof(why)),
		    0);
		ck_assert_msg(logger_access_written(lines, strlen(lines)) ==
			cases[i].written,
		    "case %zu", i);
	}
}
END_TEST

START_TEST(a_line_that_is_too_long_is_dropped)
{
	static char text[200000];

	make_directory();
	ck_assert_int_eq(logger_open(plan_with("stderr",
					 in_directory("access")),
			     0, why, sizeof(why)),
	    0);
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\n';
	logger_access_write(text, sizeof(text));
	ck_assert_uint_eq(logger_dropped(), 1);
	ck_assert_str_eq(content_of("access"), "");
}
END_TEST

UNIT_MAIN("logger", the_two_share_nothing,
    without_an_access_log_lines_are_nothing, a_file_that_is_gone_is_kept,
    a_reload_changes_targets_at_its_commit, what_stays_is_left_alone,
    a_file_that_cannot_be_opened_refuses_the_reload, to_stderr_holds,
    the_journals_stream_has_priorities, another_stream_has_times,
    many_lines_arrive_whole, a_full_pipe_counts_lines, a_torn_line_is_ended,
    a_torn_line_of_before_is_ended, lines_that_are_written_are_known,
    a_line_that_is_too_long_is_dropped)
