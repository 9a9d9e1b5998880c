/*
 * units - durations, modes and numbers as text.
 *
 * Runs in: every process.  Locale-independent; no octal surprises.
 */
#ifndef SRVD_COMMON_UNITS_H
#define SRVD_COMMON_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

#define UNITS_TEXT_SIZE 32

/*
 * All: returns 0, -EINVAL (not of the form) or -ERANGE (does not fit), with a
 * sentence in why that says what would be right.
 */

/* A whole decimal number with ms, s, m, h or d; "0" alone is allowed. */
must_check int units_parse_duration(const char *text, uint64_t *ms, char *why,
    size_t why_size);
/* Octal digits, with or without a leading 0, at most 0777. */
must_check int units_parse_mode(const char *text, uint32_t *mode, char *why,
    size_t why_size);
/* A whole decimal number within [min, max]; "010" is ten. */
must_check int units_parse_number(const char *text, uint64_t min, uint64_t max,
    uint64_t *number, char *why, size_t why_size);

/* The shortest exact form: 90000 -> "90s", 0 -> "0"; returns text. */
const char *units_format_duration(uint64_t ms, char text[UNITS_TEXT_SIZE]);

#endif
