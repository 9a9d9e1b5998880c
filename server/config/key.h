/*
 * key - what may stand in the configuration: sections and their keys.
 *
 * A key is one row: the member of the plan that it sets, how its value is
 * read, written and compared, default, range and what a reload does with a
 * change.
 * Reading, checking and printing back all go by the rows.
 *
 * Runs in: the configuration's child (reading), master and srvd -n
 * (printing, comparing).
 */
#ifndef SRVD_CONFIG_KEY_H
#define SRVD_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/attr.h"
#include "server/config/report.h"
#include "server/state/plan.h"

struct build;
struct key;

/* A value on its way into the plan. */
struct value {
	struct build *build;
	const struct key *key;
	const char *text;
	struct place place;
};

/* Set *member from value; report to its build what is wrong with it. */
typedef void key_read_fn(const struct value *value, void *member);

/* Write member's value as the configuration would. */
typedef void key_print_fn(const struct plan *plan, const struct key *key,
    const void *member, FILE *out);

/* Do members of two plans say the same, and mean the same? */
typedef bool key_is_same_fn(const struct plan *from, const void *a,
    const struct plan *to, const void *b);

/* Is there a value to be written? */
typedef bool key_is_set_fn(const struct plan *plan, const void *member);

struct key_type {
	key_read_fn *read;
	key_print_fn *print;
	key_is_same_fn *is_same; /* NULL: it makes rows, which are compared */
	key_is_set_fn *is_set;   /* NULL: there always is one */
};

enum key_reload {
	RELOAD_LIVE,    /* a change takes effect with the reload */
	RELOAD_RESTART, /* a reload that would change it is refused */
};

struct key {
	const char *name;
	const struct key_type *type;
	size_t offset;        /* of the member in its section's row */
	const char *fallback; /* value if none is given; NULL: left alone */
	uint64_t min;         /* of a number; of a duration that is not 0 */
	uint64_t max;
	const char *const *words; /* of a choice, in the order of its enum */
	const char *also;         /* words of later versions, by blanks */
	enum key_reload reload;
	bool required;
	bool list;
};

/* Of a list. */
#define KEY_VALUES_MAX PLAN_LISTENERS_MAX

enum section_id {
	SECTION_BACKEND,
	SECTION_SERVICE,
	SECTION_CONTROL,
	SECTION_LOG,
	SECTION_TOP,
	SECTIONS_COUNT,
};

struct section {
	const char *name;
	enum section_id parent; /* SECTION_TOP's is itself */
	bool titled;            /* there may be many, each with a name */
	bool required;
	uint32_t max;     /* how many in the whole configuration */
	const char *also; /* words known in later versions, blank-separated */
	const struct key *keys;
	size_t keys_count;
};

/* More than any section has keys and sections. */
#define SECTION_ITEMS_MAX 32

extern const struct section sections[SECTIONS_COUNT];

const struct key *section_key(const struct section *section, const char *name);
const struct section *section_child(const struct section *section,
    const char *name);
/* Is word one of those in list, which are separated by blanks? */
bool key_is_listed(const char *list, const char *word);
/* Does a later version act on this name, key or section, there? */
bool section_is_later(const struct section *section, const char *name);

/* The one of the two that is meant by name, or NULL: which are nearest. */
const char *section_nearest(const struct section *section, const char *name);
/* Another section that knows name, or NULL. */
const struct section *section_elsewhere(const struct section *section,
    const char *name);

/* A member of a row in its section. */
const void *key_member(const struct key *key, const void *row);

/* The text in double quotes, with what would not read back escaped. */
void key_print_text(const char *text, FILE *out);

#endif
