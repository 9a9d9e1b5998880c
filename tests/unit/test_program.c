/*
 * test_program - which files may be run in the master's place.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/master/program.h"
#include "tests/unit/config_file.h"

#define NOBODY 65534

static char why[640];

/* A file of this mode in the directory of the test, which begins so. */
static const char *
make(const char *name, const char *begins, mode_t mode)
{
	write_text(name, begins);
	ck_assert_int_eq(chmod(path_of(name), mode), 0);
	return path_of(name);
}

static void
expect_refused(const char *path, const char *words)
{
	why[0] = '\0';
	ck_assert_int_lt(program_open(path, why, sizeof(why)), 0);
	ck_assert_msg(strstr(why, words) != NULL, "%s: %s", path, why);
	ck_assert_msg(strstr(why, path) != NULL, "%s: %s", path, why);
}

START_TEST(a_program_is_opened_whatever_its_path_becomes)
{
	char link[64];
	char target[PATH_MAX];
	ssize_t length;
	int fd;

	make_directory();
	fd = program_open(make("good", "\177ELF and more", 0755), why,
	    sizeof(why));
	ck_assert_msg(fd >= 0, "%s", why);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	(void)snprintf(target, sizeof(target), "%s", path_of("good"));
	ck_assert_int_eq(rename(target, path_of("moved")), 0);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target) - 1);
	ck_assert_int_gt(length, 0);
	target[length] = '\0';
	ck_assert_str_eq(target, path_of("moved"));
	(void)close(fd);
}
END_TEST

START_TEST(what_is_no_program_is_refused)
{
	make_directory();
	expect_refused(path_of("none"), "No such file");
	expect_refused("bin/true", "begin with a slash");
	expect_refused("/tmp", "is a directory");
	expect_refused("/dev/null", "no regular file");
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0755), 0);
	expect_refused(path_of("fifo"), "no regular file");
	expect_refused(make("plain", "\177ELF", 0644), "not executable");
	expect_refused(make("script", "#!/bin/sh\n", 0755), "is a script");
	expect_refused(make("text", "hello\n", 0755), "is no program");
	expect_refused(make("short", "\177EL", 0755), "is no program");
	expect_refused(make("empty", "", 0755), "is no program");
}
END_TEST

START_TEST(what_others_may_have_written_is_refused)
{
	char place[PATH_MAX];

	make_directory();
	expect_refused(make("group", "\177ELF", 0775), "by others");
	expect_refused(make("all", "\177ELF", 0757), "by others");
	(void)make("good", "\177ELF", 0755);
	(void)snprintf(place, sizeof(place), "%s", path_of("."));
	ck_assert_int_eq(chmod(place, 0777), 0);
	expect_refused(path_of("good"), "anybody may write");
	/* Who may not remove what is another's can't do harm. */
	ck_assert_int_eq(chmod(place, 01777), 0);
	ck_assert_int_ge(program_open(path_of("good"), why, sizeof(why)), 0);
	ck_assert_int_eq(chmod(place, 0755), 0);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(path_of("good"), NOBODY, NOBODY), 0);
	expect_refused(path_of("good"), "belongs to another user");
}
END_TEST

UNIT_MAIN("program", a_program_is_opened_whatever_its_path_becomes,
    what_is_no_program_is_refused, what_others_may_have_written_is_refused)
