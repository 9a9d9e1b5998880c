/*
 * test_log - lines for people, and where the master writes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "server/master/logger.h"
#include "tests/unit/config_file.h"

static char last_line[2 * LOG_LINE_SIZE];
static enum log_level last_level;
static unsigned lines;

static void
sink(enum log_level level, const char *line)
{
	last_level = level;
	lines++;
	(void)snprintf(last_line, sizeof(last_line), "%s", line);
}

START_TEST(levels_are_kept)
{
	log_open(sink, LEVEL_WARN);
	log_info("no");
	log_debug("no");
	ck_assert_uint_eq(lines, 0);
	log_warn("yes %d", 1);
	ck_assert_str_eq(last_line, "yes 1");
	ck_assert_int_eq(last_level, LEVEL_WARN);
	log_error("yes");
	log_set_level(LEVEL_DEBUG);
	ck_assert(log_wants(LEVEL_DEBUG));
	log_debug("yes");
	ck_assert_uint_eq(lines, 3);
}
END_TEST

START_TEST(words_are_levels)
{
	for (int level = LEVEL_ERROR; level <= LEVEL_DEBUG; level++)
		ck_assert_int_eq(log_level_parse(log_level_word((enum log_level)
					 level)),
		    level);
	ck_assert_int_eq(log_level_parse("loud"), -EINVAL);
	ck_assert_int_eq(log_level_parse(""), -EINVAL);
	ck_assert_str_eq(log_level_word((enum log_level)99), "error");
}
END_TEST

START_TEST(a_line_is_one_line)
{
	char long_text[2 * LOG_LINE_SIZE];

	log_open(sink, LEVEL_INFO);
	log_info("%s",
	    "a\nb\rc\033[2Jd\x7f"
	    "e\tf\xc3\xa9");
	ck_assert_str_eq(last_line, "a?b?c?[2Jd?e?f\xc3\xa9");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	errno = ENOENT;
	log_info("%s", long_text);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_uint_eq(strlen(last_line), LOG_LINE_SIZE - 1);
}
END_TEST

/* A plan whose log is a file of the test's directory. */
static const struct plan *
plan_with_log(const char *name)
{
	char text[512];
	struct config_result result;

	(void)snprintf(text, sizeof(text),
	    "user = nobody\nlog { target = \"%s/%s\" }\n" SERVICE, directory,
	    name);
	write_text("log.conf", text);
	result = load("log.conf", false);
	if (result.plan == NULL)
		show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	return result.plan;
}

static const char *
content_of(const char *name)
{
	static char text[8192];
	int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

START_TEST(no_control_of_a_terminal_is_left)
{
	static const struct {
		const char *text;
		const char *shown;
	} cases[] = {
	    {"\xc3\xa9 \xc3\x9c \xe2\x82\xac \xf0\x9f\x98\x80",
		"\xc3\xa9 \xc3\x9c \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {"a\xc2\x9b"
	     "2J\xc2\xa0",
		"a??2J\xc2\xa0"},
	    {"\x9b"
	     "2J\xc3\x9c\x9b",
		"?2J\xc3\x9c?"},
	    {"\xe2\x1b\x9b\xc3", "????"},
	    /* Cut within a character, too long, a surrogate, too much. */
	    {"\xc3\xa9\xe2\x82", "\xc3\xa9??"},
	    {"\xc0\xafx\xed\xa0\x80x\xf4\x90\x80\x80", "??x???x????"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%s", cases[i].text);
		ck_assert_str_eq(log_printable(text), cases[i].shown);
	}
}
END_TEST

START_TEST(a_file_is_written_and_opened_again)
{
	const struct plan *plan;
	char why[256] = "";
	char moved[PATH_MAX];

	make_directory();
	plan = plan_with_log("log");
	ck_assert_int_eq(logger_open(plan, 0, why, sizeof(why)), 0);
	logger_write(LEVEL_WARN, "first key=value");
	logger_write_worker(LEVEL_INFO, 7, "second\n");
	ck_assert_ptr_nonnull(strstr(content_of("log"),
	    "Z warn first key=value\n"));
	ck_assert_ptr_nonnull(strstr(content_of("log"),
	    "Z info second? worker=7\n"));
	ck_assert_int_eq(content_of("log")[4], '-');
	ck_assert_int_eq(content_of("log")[10], 'T');

	(void)snprintf(moved, sizeof(moved), "%s", path_of("log.1"));
	ck_assert_int_eq(rename(path_of("log"), moved), 0);
	logger_write(LEVEL_INFO, "still the old one");
	ck_assert_int_eq(logger_reopen(why, sizeof(why)), 0);
	logger_write(LEVEL_INFO, "the new one");
	ck_assert_ptr_nonnull(strstr(content_of("log.1"), "still the old"));
	ck_assert_ptr_nonnull(strstr(content_of("log"), "the new one"));
	ck_assert_ptr_null(strstr(content_of("log"), "first"));
	ck_assert_uint_eq(logger_dropped(), 0);
}
END_TEST

START_TEST(a_log_that_cannot_be_opened_is_an_error)
{
	const struct plan *plan;
	char why[256] = "";

	make_directory();
	plan = plan_with_log("no/such/directory/log");
	ck_assert_int_eq(logger_open(plan, 0, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no/such/directory/log"));
	/* To standard error it can always be. */
	ck_assert_int_eq(logger_open(plan, 1, why, sizeof(why)), 0);
}
END_TEST

/* Nobody reads: lines are counted and dropped, and nothing blocks. */
START_TEST(a_full_pipe_drops_lines)
{
	char line[LOG_LINE_SIZE];
	int saved = dup(STDERR_FILENO);
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	memset(line, 'y', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (int i = 0; i < 500; i++)
		logger_write(LEVEL_INFO, line);
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	ck_assert_uint_gt(logger_dropped(), 100);
	ck_assert_uint_lt(logger_dropped(), 500);
}
END_TEST

UNIT_MAIN("log", levels_are_kept, words_are_levels, a_line_is_one_line,
    no_control_of_a_terminal_is_left, a_file_is_written_and_opened_again,
    a_log_that_cannot_be_opened_is_an_error, a_full_pipe_drops_lines)
