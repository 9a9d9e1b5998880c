/*
 * test_units - durations, modes and numbers, right and wrong.
 */
#include <errno.h>
#include <string.h>

#include "common/units.h"
#include "tests/unit/unit.h"

static char why[200];

struct good {
	const char *text;
	uint64_t value;
	const char *printed;
};

START_TEST(durations_read_and_print)
{
	static const struct good cases[] = {
	    {"0", 0, "0"},
	    {"0ms", 0, "0"},
	    {"1ms", 1, "1ms"},
	    {"1500ms", 1500, "1500ms"},
	    {"30s", 30000, "30s"},
	    {"030s", 30000, "30s"},
	    {"90s", 90000, "90s"},
	    {"60s", 60000, "1m"},
	    {"60m", 3600000, "1h"},
	    {"24h", 86400000, "1d"},
	    {"36h", 129600000, "36h"},
	    {"18446744073709551615ms", UINT64_MAX, "18446744073709551615ms"},
	};
	char text[UNITS_TEXT_SIZE];
	uint64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_int_eq(units_parse_duration(cases[i].text, &ms, why,
				     sizeof(why)),
		    0);
		ck_assert_uint_eq(ms, cases[i].value);
		ck_assert_str_eq(units_format_duration(ms, text),
		    cases[i].printed);
	}
}
END_TEST

struct bad {
	const char *text;
	int error;
	const char *why;
};

START_TEST(wrong_durations_say_what_is_right)
{
	static const struct bad cases[] = {
	    {"30", -EINVAL, "write 30s"},
	    {"", -EINVAL, "such as 30s"},
	    {"s", -EINVAL, "such as 30s"},
	    {"-1s", -EINVAL, "whole number"},
	    {"+1s", -EINVAL, "whole number"},
	    {" 1s", -EINVAL, "whole number"},
	    {"1 s", -EINVAL, "ms, s, m, h or d"},
	    {"1.5s", -EINVAL, "ms, s, m, h or d"},
	    {"1S", -EINVAL, "ms, s, m, h or d"},
	    {"1sec", -EINVAL, "ms, s, m, h or d"},
	    {"0x10s", -EINVAL, "ms, s, m, h or d"},
	    {"inf", -EINVAL, "whole number"},
	    {"18446744073709551616ms", -ERANGE, "too long"},
	    {"18446744073709551615s", -ERANGE, "too long"},
	    {"99999999999999999999999", -ERANGE, "too long"},
	};
	uint64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_int_eq(units_parse_duration(cases[i].text, &ms, why,
				     sizeof(why)),
		    cases[i].error);
		ck_assert_msg(strstr(why, cases[i].why) != NULL, "%s: %s",
		    cases[i].text, why);
	}
}
END_TEST

START_TEST(modes_are_octal)
{
	uint32_t mode = 1;

	ck_assert_int_eq(units_parse_mode("660", &mode, why, sizeof(why)), 0);
	ck_assert_uint_eq(mode, 0660);
	ck_assert_int_eq(units_parse_mode("0777", &mode, why, sizeof(why)), 0);
	ck_assert_uint_eq(mode, 0777);
	ck_assert_int_eq(units_parse_mode("0", &mode, why, sizeof(why)), 0);
	ck_assert_uint_eq(mode, 0);
	ck_assert_int_eq(units_parse_mode("680", &mode, why, sizeof(why)),
	    -EINVAL);
	ck_assert_int_eq(units_parse_mode("", &mode, why, sizeof(why)),
	    -EINVAL);
	ck_assert_int_eq(units_parse_mode("u=rw", &mode, why, sizeof(why)),
	    -EINVAL);
	ck_assert_int_eq(units_parse_mode("1777", &mode, why, sizeof(why)),
	    -ERANGE);
	ck_assert_int_eq(units_parse_mode("40000000000000000777", &mode, why,
			     sizeof(why)),
	    -ERANGE);
}
END_TEST

START_TEST(numbers_are_decimal)
{
	uint64_t n = 0;

	ck_assert_int_eq(units_parse_number("010", 0, 100, &n, why,
			     sizeof(why)),
	    0);
	ck_assert_uint_eq(n, 10);
	ck_assert_int_eq(units_parse_number("101", 0, 100, &n, why,
			     sizeof(why)),
	    -ERANGE);
	ck_assert_ptr_nonnull(strstr(why, "0 to 100"));
	ck_assert_int_eq(units_parse_number("0", 1, 100, &n, why, sizeof(why)),
	    -ERANGE);
	ck_assert_int_eq(units_parse_number("-1", 0, 100, &n, why, sizeof(why)),
	    -EINVAL);
	ck_assert_int_eq(units_parse_number("0x1", 0, 100, &n, why,
			     sizeof(why)),
	    -EINVAL);
	ck_assert_int_eq(units_parse_number("1e2", 0, 100, &n, why,
			     sizeof(why)),
	    -EINVAL);
	ck_assert_int_eq(units_parse_number("99999999999999999999", 0, 100, &n,
			     why, sizeof(why)),
	    -ERANGE);
}
END_TEST

UNIT_MAIN("units", durations_read_and_print, wrong_durations_say_what_is_right,
    modes_are_octal, numbers_are_decimal)
