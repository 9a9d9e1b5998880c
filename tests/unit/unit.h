/*
 * unit - the common main of the unit tests.
 *
 * A test file includes this, defines its tests with START_TEST and ends with
 * UNIT_MAIN("name", test_a, test_b, …), or with UNIT_MAIN_PIDFDS() if what it
 * tests watches processes.
 */
#ifndef SRVD_TESTS_UNIT_H
#define SRVD_TESTS_UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/attr.h"

#define UNIT_SKIPPED 77 /* SKIP_RETURN_CODE */

/* Valgrind 3.19 does not know pidfd_open(2). */
static inline int
unit_skips_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0) {
		(void)puts("SKIPPED: no process can be watched here");
		return UNIT_SKIPPED;
	}
	(void)close(fd);
	return 0;
}

static inline int
unit_skips_nothing(void)
{
	return 0;
}

#define UNIT_MAIN(name, ...) \
	UNIT_MAIN_IF(unit_skips_nothing(), name, __VA_ARGS__)
#define UNIT_MAIN_PIDFDS(name, ...) \
	UNIT_MAIN_IF(unit_skips_pidfds(), name, __VA_ARGS__)

#define UNIT_MAIN_IF(skips, name, ...)                            \
	int main(void)                                            \
	{                                                         \
		const TTest *tests[] = {__VA_ARGS__};             \
		Suite *suite;                                     \
		TCase *tcase;                                     \
		SRunner *runner;                                  \
		int failed = skips;                               \
                                                                  \
		if (failed != 0)                                  \
			return failed;                            \
		suite = suite_create(name);                       \
		tcase = tcase_create(name);                       \
		for (size_t i = 0; i < ARRAY_LEN(tests); i++)     \
			tcase_add_test(tcase, tests[i]);          \
		tcase_set_timeout(tcase, 30);                     \
		suite_add_tcase(suite, tcase);                    \
		runner = srunner_create(suite);                   \
		srunner_run_all(runner, CK_NORMAL);               \
		failed = srunner_ntests_failed(runner);           \
		srunner_free(runner);                             \
		return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE; \
	}

#endif
