/*
 * units - durations, sizes and modes as text; see units.h.
 *
 * A value is digits and a suffix from a table.  Numbers are read by hand:
 * strtoull() takes signs, blanks and octal, and follows the locale.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Smallest first, so that the largest exact one is found from the end. */
static const struct unit durations[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", UINT64_C(60) * 1000},
    {"h", UINT64_C(60) * 60 * 1000},
    {"d", UINT64_C(24) * 60 * 60 * 1000},
};

/* The digits text begins with; -EINVAL without one, -ERANGE past 64 bits. */
static int
parse_digits(const char *text, uint64_t *number, const char **rest)
{
	const char *p = text;
	uint64_t value = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	}
	if (p == text)
		return -EINVAL;
	*number = value;
	*rest = p;
	return 0;
}

static const struct unit *
unit_find(const struct unit *units, size_t count, const char *suffix)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(units[i].suffix, suffix) == 0)
			return &units[i];
	}
	return NULL;
}

int
units_parse_duration(const char *text, uint64_t *ms, char *why, size_t why_size)
{
	const struct unit *unit = NULL;
	const char *rest = "";
	uint64_t number = 0;
	int error = parse_digits(text, &number, &rest);

	if (error == 0)
		unit = unit_find(durations, ARRAY_LEN(durations), rest);
	if (error == 0 && number == 0 && *rest == '\0')
		unit = &durations[0];
	if (error == -ERANGE ||
	    (unit != NULL &&
		__builtin_mul_overflow(number, unit->factor, ms))) {
		(void)snprintf(why, why_size, "%.40s is too long a duration",
		    text);
		return -ERANGE;
	}
	if (unit != NULL)
		return 0;
	if (error == 0 && *rest == '\0')
		(void)snprintf(why, why_size,
		    "%.40s has no unit: write %.40ss for seconds (or use ms, "
		    "m, h, d)",
		    text, text);
	else
		(void)snprintf(why, why_size,
		    "\"%.40s\" is not a duration: write a whole number with "
		    "ms, s, m, h or d, such as 30s",
		    text);
	return -EINVAL;
}

int
units_parse_mode(const char *text, uint32_t *mode, char *why, size_t why_size)
{
	uint32_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '7' && value <= 0777; p++)
		value = value * 8 + (uint32_t)(*p - '0');
	if (value > 0777) {
		(void)snprintf(why, why_size,
		    "mode %.40s is too large: write at most 0777", text);
		return -ERANGE;
	}
	if (p == text || *p != '\0') {
		(void)snprintf(why, why_size,
		    "\"%.40s\" is not a mode: write octal digits, such as 0660",
		    text);
		return -EINVAL;
	}
	*mode = value;
	return 0;
}

int
units_parse_number(const char *text, uint64_t min, uint64_t max,
    uint64_t *number, char *why, size_t why_size)
{
	const char *rest = "";
	uint64_t value = 0;
	int error = parse_digits(text, &value, &rest);

	if (error == -EINVAL || *rest != '\0') {
		(void)snprintf(why, why_size,
		    "\"%.40s\" is not a whole number: write digits only, from "
		    "%" PRIu64 " to %" PRIu64,
		    text, min, max);
		return -EINVAL;
	}
	if (error != 0 || value < min || value > max) {
		(void)snprintf(why, why_size,
		    "%.40s is out of range: write %" PRIu64 " to %" PRIu64,
		    text, min, max);
		return -ERANGE;
	}
	*number = value;
	return 0;
}

static const char *
format(const struct unit *units, size_t count, uint64_t value,
    char text[UNITS_TEXT_SIZE])
{
	size_t i = count - 1;

	while (i > 0 && (value == 0 || value % units[i].factor != 0))
		i--;
	(void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "%s",
	    value / units[i].factor, value == 0 ? "" : units[i].suffix);
	return text;
}

const char *
units_format_duration(uint64_t ms, char text[UNITS_TEXT_SIZE])
{
	return format(durations, ARRAY_LEN(durations), ms, text);
}
