/*
 * type - values that are numbers and words; see type.h.
 */
#include <inttypes.h>
#include <string.h>

#include "common/units.h"
#include "server/config/build.h"
#include "server/config/type.h"

#define WHY_SIZE 300

static void
refuse(const struct value *value, const char *why)
{
	report_add(value->build->report, value->place, "%s: %s",
	    value->key->name, why);
}

static void
number_read(const struct value *value, void *member)
{
	char why[WHY_SIZE];
	uint64_t number = 0;

	if (units_parse_number(value->text, value->key->min, value->key->max,
		&number, why, sizeof(why)) < 0)
		refuse(value, why);
	*(uint32_t *)member = (uint32_t)number;
}

static void
number_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	(void)plan;
	(void)key;
	(void)fprintf(out, "%" PRIu32, *(const uint32_t *)member);
}

static bool
number_is_same(const struct plan *from, const void *a, const struct plan *to,
    const void *b)
{
	(void)from;
	(void)to;
	return *(const uint32_t *)a == *(const uint32_t *)b;
}

const struct key_type type_number = {
    number_read, number_print, number_is_same, NULL};

static void
number_or_auto_read(const struct value *value, void *member)
{
	if (strcmp(value->text, "auto") == 0)
		*(uint32_t *)member = 0;
	else
		number_read(value, member);
}

const struct key_type type_number_or_auto = {
    number_or_auto_read, number_print, number_is_same, NULL};

static void
duration_read(const struct value *value, void *member)
{
	const struct key *key = value->key;
	char why[WHY_SIZE];
	char min[UNITS_TEXT_SIZE];
	char max[UNITS_TEXT_SIZE];
	uint64_t ms = 0;

	if (units_parse_duration(value->text, &ms, why, sizeof(why)) < 0) {
		refuse(value, why);
	} else if (ms != 0 && (ms < key->min || ms > key->max)) {
		(void)snprintf(why, sizeof(why),
		    "%.40s is out of range: write 0, or %s to %s", value->text,
		    units_format_duration(key->min, min),
		    units_format_duration(key->max, max));
		refuse(value, why);
	}
	*(uint64_t *)member = ms;
}

static void
duration_print(const struct plan *plan, const struct key *key,
    const void *member, FILE *out)
{
	char text[UNITS_TEXT_SIZE];

	(void)plan;
	(void)key;
	(void)fputs(units_format_duration(*(const uint64_t *)member, text),
	    out);
}

static bool
duration_is_same(const struct plan *from, const void *a, const struct plan *to,
    const void *b)
{
	(void)from;
	(void)to;
	return *(const uint64_t *)a == *(const uint64_t *)b;
}

const struct key_type type_duration = {
    duration_read, duration_print, duration_is_same, NULL};

static void
switch_read(const struct value *value, void *member)
{
	static const char *const words[] = {
	    "false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(value->text, words[i]) == 0) {
			*(uint8_t *)member = i % 2;
			return;
		}
	}
	report_add(value->build->report, value->place,
	    "%s: \"%.40s\" is neither true nor false", value->key->name,
	    value->text);
}

static void
switch_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	(void)plan;
	(void)key;
	(void)fputs(*(const uint8_t *)member ? "true" : "false", out);
}

static bool
switch_is_same(const struct plan *from, const void *a, const struct plan *to,
    const void *b)
{
	(void)from;
	(void)to;
	return *(const uint8_t *)a == *(const uint8_t *)b;
}

const struct key_type type_switch = {
    switch_read, switch_print, switch_is_same, NULL};

static void
mode_read(const struct value *value, void *member)
{
	char why[WHY_SIZE];

	if (units_parse_mode(value->text, member, why, sizeof(why)) < 0)
		refuse(value, why);
}

static void
mode_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	(void)plan;
	(void)key;
	(void)fprintf(out, "%04" PRIo32, *(const uint32_t *)member);
}

const struct key_type type_mode = {mode_read, mode_print, number_is_same, NULL};

static void
choice_read(const struct value *value, void *member)
{
	const char *const *words = value->key->words;
	char known[WHY_SIZE] = "";

	for (uint32_t i = 0; words[i] != NULL; i++) {
		size_t length = strlen(known);

		if (strcmp(value->text, words[i]) == 0) {
			*(uint32_t *)member = i;
			return;
		}
		(void)snprintf(known + length, sizeof(known) - length, "%s%s",
		    i == 0 ? "" : ", ", words[i]);
	}
	report_add(value->build->report, value->place,
	    "%s: \"%.40s\" is not %s: write one of %s", value->key->name,
	    value->text,
	    value->key->also != NULL &&
		    key_is_listed(value->key->also, value->text)
		? "in this version of srvd"
		: "known",
	    known);
}

static void
choice_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	(void)plan;
	(void)fputs(key->words[*(const uint32_t *)member], out);
}

const struct key_type type_choice = {
    choice_read, choice_print, number_is_same, NULL};
