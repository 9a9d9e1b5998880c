/*
 * test_survival - srvd(8) promises what survives what: each row of that
 * section names its tests, and they are there.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define ROWS_MIN 15

/* "e2e/test_death.c killed_again_and_again": the file has a test, or a
 * script's function, of that name. */
static void
expect_test(const char *named)
{
	char path[128];
	char test[128];
	char text[256];
	char line[512];
	char wanted[2][160];
	bool is_there = false;
	FILE *file;

	ck_assert_msg(sscanf(named, "%127s %127s", path, test) == 2,
	    "not a file and a test: %s", named);
	(void)snprintf(text, sizeof(text), TESTS "/%s", path);
	(void)snprintf(wanted[0], sizeof(wanted[0]), "START_TEST(%s)\n", test);
	(void)snprintf(wanted[1], sizeof(wanted[1]), "%s()\n", test);
	file = fopen(text, "re");
	ck_assert_msg(file != NULL, "there is no file %s", path);
	while (fgets(line, sizeof(line), file) != NULL)
		is_there = is_there || strcmp(line, wanted[0]) == 0 ||
		    strcmp(line, wanted[1]) == 0;
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_msg(is_there, "%s has no test %s", path, test);
}

START_TEST(every_row_has_its_tests)
{
	static const char mark[] = ".\\\" test: ";
	FILE *file = fopen(MANUALS "/srvd.8", "re");
	char row[512] = "";
	char line[512];
	bool inside = false;
	unsigned rows = 0;
	unsigned tests = 0; /* of the last row */

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, ".Sh ", 4) == 0)
			inside = strcmp(line, ".Sh SURVIVAL\n") == 0;
		if (!inside)
			continue;
		if (strncmp(line, mark, sizeof(mark) - 1) == 0) {
			expect_test(line + sizeof(mark) - 1);
			tests++;
		} else if (strncmp(line, ".It ", 4) == 0) {
			ck_assert_msg(rows == 0 || tests > 0,
			    "this has no test: %s", row);
			(void)snprintf(row, sizeof(row), "%s", line + 4);
			rows++;
			tests = 0;
		}
	}
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_msg(tests > 0, "this has no test: %s", row);
	ck_assert_uint_ge(rows, ROWS_MIN);
}
END_TEST

UNIT_MAIN("survival", every_row_has_its_tests)
