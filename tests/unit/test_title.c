/*
 * test_title - what ps(1) shows: exactly the title, whatever its length.
 *
 * The title takes the place of the program's own arguments, so the program
 * is this test, executed again with arguments of a known length.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "common/title.h"
#include "tests/unit/child.h"

#define ROLE  "title-role"
#define STAYS "the environment stays"

static size_t
read_all(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, size - 1);

	(void)close(fd);
	CHILD_CHECK(n >= 0);
	text[n] = '\0';
	return (size_t)n;
}

static void
expect_title(const char *title)
{
	char seen[4096];
	char comm[32];
	size_t length;

	title_set(title);
	length = read_all("/proc/self/cmdline", seen, sizeof(seen));
	/* A NUL behind it is how an argument ends. */
	CHILD_CHECK(length == strlen(title) || length == strlen(title) + 1);
	CHILD_CHECK(strcmp(seen, title) == 0);
	(void)read_all("/proc/self/comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	CHILD_CHECK(strlen(comm) <= 15 &&
	    strncmp(comm, title, strlen(comm)) == 0);
	CHILD_CHECK(strlen(comm) == (strlen(title) > 15 ? 15 : strlen(title)));
}

/* The arguments are ROLE and one of x: together args_size bytes. */
static int
role(int argc, char **argv)
{
	char title[256];
	const char *after;
	size_t args = strlen(argv[0]) + 1 + strlen(argv[1]) + 1;

	title_init(argc, argv);
	for (size_t length = args + 40; length > 0; length--) {
		memset(title, 't', length);
		title[length] = '\0';
		expect_title(title);
		/* Longer and shorter by turns: nothing of the other stays. */
		memset(title, 'u', args + 41 - length);
		title[args + 41 - length] = '\0';
		expect_title(title);
	}
	expect_title("srvd: master");
	expect_title("srvd: holder 127");
	after = getenv("TITLE_TEST");
	CHILD_CHECK(after != NULL && strcmp(after, STAYS) == 0);
	return 0;
}

static void
execute(void *arg)
{
	char *argv[] = {(char *)ROLE, arg, NULL};
	char *envp[] = {(char *)"TITLE_TEST=" STAYS,
	    (char *)"ROOM=0123456789012345678901234567890123456789"
		    "01234567890123456789012345678901234567890123",
	    NULL};
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	/* By its own name: the link itself is valgrind's, under valgrind. */
	CHILD_CHECK(n > 0);
	path[n] = '\0';
	(void)execve(path, argv, envp);
	CHILD_CHECK(false);
}

START_TEST(the_title_is_exact)
{
	static char arguments[][32] = {
	    "", "x", "xxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};

	for (size_t i = 0; i < ARRAY_LEN(arguments); i++)
		child_passes(execute, arguments[i]);
}
END_TEST

int
main(int argc, char **argv)
{
	const TTest *const tests[] = {the_title_is_exact};
	Suite *suite = suite_create("title");
	TCase *tcase = tcase_create("title");
	SRunner *runner;
	int failed;

	if (argc == 2 && strcmp(argv[0], ROLE) == 0)
		_exit(role(argc, argv));
	tcase_add_test(tcase, tests[0]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
