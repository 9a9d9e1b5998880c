/*
 * test_config_files - the files that a configuration is in: missing ones,
 * included ones, huge ones, and what a load costs its process.
 */
#include <dirent.h>
#include <pwd.h>

#include "tests/unit/config_file.h"

START_TEST(includes_are_sorted_and_relative)
{
	struct config_result result;

	make_directory();
	ck_assert_int_eq(mkdir(path_of("[d]"), 0700), 0);
	write_text("main.conf",
	    "user = root\ninclude(\"[[]d]/*.conf\")\n"
	    "include(\"nothing/*.conf\")\n");
	write_text("[d]/2.conf",
	    "service b { listen = 127.0.0.1:2\n"
	    "backend b { address = builtin:echo } }\n");
	write_text("[d]/1.conf", "include('../one.inc')\n");
	write_text("[d]/not-this", "nonsense\n");
	write_text("one.inc", SERVICE);
	result = load_good("main.conf", true);
	ck_assert_uint_eq(result.plan->services.count, 2);
	ck_assert_str_eq(plan_string(result.plan,
			     plan_service(result.plan, 0)->name),
	    "s");
	config_result_release(&result);

	write_text("[d]/2.conf", "\nservice s {\n listen = 1\n");
	write_text("one.inc", "workers = x\n" SERVICE);
	result = load("main.conf", true);
	ck_assert_uint_eq(result.errors_count, 4);
	ck_assert(has_error(&result, "one.inc", 1, "workers"));
	ck_assert(has_error(&result, "[d]/2.conf", 2, "one.inc:2"));
	ck_assert(has_error(&result, "[d]/2.conf", 2, "never closed"));
	ck_assert(has_error(&result, "[d]/2.conf", 3, "no port"));
	config_result_release(&result);
}
END_TEST

START_TEST(include_loops_end)
{
	struct config_result result;
	char name[16];
	char text[64];

	make_directory();
	write_text("a.conf", "user = root\n" SERVICE "include(\"b.conf\")\n");
	write_text("b.conf", "\ninclude(\"./a.conf\")\n");
	result = load("a.conf", true);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "b.conf", 2, "includes itself"));
	config_result_release(&result);
	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		(void)snprintf(text, sizeof(text), "include(\"d%d\")\n", i + 1);
		write_text(name, text);
	}
	write_text("a.conf", "user = root\n" SERVICE "include(\"d0\")\n");
	result = load("a.conf", true);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "d7", 1, "8 deep"));
	config_result_release(&result);
}
END_TEST

static void
expect(const char *name, uint32_t line, const char *message)
{
	struct config_result result = load(name, true);

	if (!has_error(&result, name, line, message)) {
		show_errors(&result);
		ck_abort_msg("%s: no \"%s\"", name, message);
	}
	config_result_release(&result);
}

START_TEST(files_that_are_none)
{
	make_directory();
	expect("missing.conf", 0, "No such file");
	ck_assert_int_eq(mkdir(path_of("dir.conf"), 0700), 0);
	expect("dir.conf", 0, "directory");
	ck_assert_int_eq(mkfifo(path_of("fifo.conf"), 0600), 0);
	expect("fifo.conf", 0, "not a regular file");
	ck_assert_int_eq(symlink("loop.conf", path_of("loop.conf")), 0);
	expect("loop.conf", 0, "symbolic links");
	ck_assert_int_eq(symlink("/dev/zero", path_of("zero.conf")), 0);
	expect("zero.conf", 0, "not a regular file");
	write_text("empty.conf", "");
	expect("empty.conf", 0, "at least one service");
	/* Of trap 6. */
	write_bytes("nul.conf", "user = root\n\0\n", 14);
	expect("nul.conf", 2, "NUL byte");
	write_text("secret.conf", SERVICE);
	ck_assert_int_eq(chmod(path_of("secret.conf"), 0), 0);
	if (geteuid() != 0)
		expect("secret.conf", 0, "Permission denied");
}
END_TEST

/* length bytes: before, then the pattern again and again, then after. */
static void
write_much(const char *name, const char *before, const char *pattern,
    size_t length)
{
	size_t begin = strlen(before);
	size_t step = strlen(pattern);
	char *text = malloc(length);

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < length; i++) {
		const char *from =
		    i < begin ? before + i : pattern + (i - begin) % step;

		text[i] = *from;
	}
	write_bytes(name, text, length);
	free(text);
}

START_TEST(huge_input_gets_an_error)
{
	static const size_t mib = 1 << 20;

	make_directory();
	write_much("value.conf", "workers = ", "9", mib);
	expect("value.conf", 1, "longer than 4096");
	write_much("string.conf", "workers = \"", "9", mib);
	expect("string.conf", 1, "longer than 4096");
	/* Trap 5: deep nesting must not overflow the stack. */
	write_much("deep.conf", "x ", "{", 4 * mib);
	expect("deep.conf", 1, "never closed");
	write_much("deep2.conf", "", "service s {\n", mib);
	expect("deep2.conf", 1, "never closed");
	write_much("closed.conf", "", "}\n", 4 * mib);
	expect("closed.conf", 0, "too many errors");
	write_much("comment.conf", "/*", "*\n", 4 * mib);
	expect("comment.conf", 1, "no end");
	write_much("large.conf", "", "#\n", 4 * mib + 1);
	expect("large.conf", 0, "too large");
	write_much("lists.conf", "service s { listen = {", "1,", mib);
	expect("lists.conf", 1, "the list is too long");
}
END_TEST

static size_t
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	ck_assert_int_eq(closedir(dir), 0);
	return count;
}

/* Trap 4: a failed include cost libconfuse a descriptor, ten broke it. */
START_TEST(trap_4_failing_loads_leak_no_descriptor)
{
	struct config_result result;
	size_t before;

	make_directory();
	write_text("bad.conf", "user = root\n" SERVICE "include(\"inc\")\n");
	write_text("inc", "log { target = \"\n");
	before = count_descriptors();
	for (int i = 0; i < 100; i++) {
		result = load("bad.conf", true);
		ck_assert_uint_ge(result.errors_count, 1);
		config_result_release(&result);
	}
	ck_assert_uint_eq(count_descriptors(), before);
	write_text("inc", "# good again\n");
	result = load_good("bad.conf", true);
	config_result_release(&result);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

/* Whoever reads that a file is wrong wants to know who asked for it. */
START_TEST(unreadable_include_names_its_include)
{
	struct config_result result;

	make_directory();
	write_text("a.conf",
	    "user = root\n" SERVICE "# x\ninclude(\"b.conf\")\n");
	write_text("b.conf", "\ninclude(\"dir\")\ninclude(\"link\")\n");
	ck_assert_int_eq(mkdir(path_of("dir"), 0700), 0);
	ck_assert_int_eq(symlink("/dev/null", path_of("link")), 0);
	result = load("a.conf", true);
	ck_assert_uint_eq(result.errors_count, 2);
	ck_assert(has_error(&result, "b.conf", 2, "/dir: this is a directory"));
	ck_assert(has_error(&result, "b.conf", 3, "/link: this is not a reg"));
	config_result_release(&result);
	/* What a line is about is told at that line. */
	write_bytes("b.conf", "\n\n\0", 3);
	result = load("a.conf", true);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "b.conf", 3, "NUL byte"));
	config_result_release(&result);
	if (geteuid() == 0)
		return;
	ck_assert_int_eq(chmod(path_of("b.conf"), 0), 0);
	expect("a.conf", 4, "b.conf: the file can't be read: Permission");
}
END_TEST

/* A text that can't be understood doesn't say who should run it. */
START_TEST(broken_text_misses_no_user)
{
	struct config_result result;

	make_directory();
	write_text("a.conf", "usr = root\n" SERVICE);
	result = load("a.conf", true);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "a.conf", 1, "did you mean \"user\""));
	config_result_release(&result);
	write_text("a.conf", SERVICE "log { level = info\nuser = root\n");
	result = load("a.conf", true);
	for (size_t i = 0; i < result.errors_count; i++)
		ck_assert_ptr_null(strstr(result.errors[i].message, "no user"));
	config_result_release(&result);
	/* One that is named is looked up whatever else is wrong. */
	write_text("a.conf", "user = nosuchuser\nwhat = 1\n" SERVICE);
	result = load("a.conf", true);
	ck_assert(has_error(&result, "a.conf", 2, "\"what\""));
	ck_assert(geteuid() != 0 ||
	    has_error(&result, "a.conf", 1, "no user \"nosuchuser\""));
	config_result_release(&result);
	/* So is the default one, where a value alone is wrong. */
	if (geteuid() != 0 || getpwnam("srvd") != NULL)
		return;
	write_text("a.conf", "workers = 0\n" SERVICE);
	result = load("a.conf", true);
	ck_assert_uint_eq(result.errors_count, 2);
	ck_assert(has_error(&result, "a.conf", 0, "no user \"srvd\""));
	config_result_release(&result);
}
END_TEST

/* Trap 13: libconfuse's lexer is global.  Two loads at once, one of which
 * stops in the middle of a string of an included file, have nothing of each
 * other. */
START_TEST(trap_13_loads_at_once_are_apart)
{
	static const char *const names[] = {"good.conf", "bad.conf"};
	struct config_child children[2];
	struct config_result results[2];

	make_directory();
	write_text("good.conf", "user = root\ninclude(\"good2.conf\")\n");
	write_text("good2.conf", SERVICE);
	write_text("bad.conf", "user = root\ninclude(\"bad2.conf\")\n" SERVICE);
	write_text("bad2.conf", "workers = \"2\n");
	for (int i = 0; i < 2; i++) {
		const struct config_request request = {
		    .path = path_of(names[i]),
		    .check_only = true,
		    .generation = 1,
		    .nofile = 20000,
		};

		ck_assert_int_eq(config_begin(&request, &children[i]), 0);
	}
	for (int i = 1; i >= 0; i--)
		config_finish(&children[i], &results[i]);
	ck_assert_uint_eq(results[0].errors_count, 0);
	ck_assert_uint_eq(results[0].plan->services.count, 1);
	ck_assert_ptr_null(results[1].plan);
	ck_assert(has_error(&results[1], "bad2.conf", 1, ""));
	for (int i = 0; i < 2; i++)
		config_result_release(&results[i]);
}
END_TEST

UNIT_MAIN("config_files", includes_are_sorted_and_relative, include_loops_end,
    files_that_are_none, huge_input_gets_an_error,
    trap_4_failing_loads_leak_no_descriptor, trap_13_loads_at_once_are_apart,
    unreadable_include_names_its_include, broken_text_misses_no_user)
