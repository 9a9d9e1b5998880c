/*
 * unit - the common main of the unit tests.
 *
 * A test file includes this, defines its tests with START_TEST and ends with
 * UNIT_MAIN("name", test_a, test_b, …).
 */
#ifndef SRVD_TESTS_UNIT_H
#define SRVD_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

#include "common/attr.h"

#define UNIT_MAIN(name, ...)                                      \
	int main(void)                                            \
	{                                                         \
		const TTest *tests[] = {__VA_ARGS__};             \
		Suite *suite = suite_create(name);                \
		TCase *tcase = tcase_create(name);                \
		SRunner *runner;                                  \
		int failed;                                       \
                                                                  \
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
