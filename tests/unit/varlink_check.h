/*
 * varlink_check - hold replies against an interface description.
 *
 * Reads a description by Varlink's grammar into types, and checks JSON values
 * against them strictly: every field declared, none missing that must be
 * there, every enum's word one of its words.  A failure fails the test and
 * names the place.
 */
#ifndef SRVD_TESTS_VARLINK_CHECK_H
#define SRVD_TESTS_VARLINK_CHECK_H

#include <check.h>
#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define VARLINK_NAME   64
#define VARLINK_TYPES  256
#define VARLINK_ENTRYS 64

enum varlink_kind {
	VARLINK_BOOL,
	VARLINK_INT,
	VARLINK_FLOAT,
	VARLINK_STRING,
	VARLINK_OBJECT, /* any */
	VARLINK_ARRAY,  /* of the first child */
	VARLINK_MAP,
	VARLINK_MAYBE,
	VARLINK_STRUCT, /* of the children, named */
	VARLINK_ENUM,   /* words are the children's names */
	VARLINK_NAMED,
};

/* Types refer to each other by index: child is the first, next its sibling. */
struct varlink_type {
	enum varlink_kind kind;
	char name[VARLINK_NAME]; /* of the field, the word, the named type */
	char of[VARLINK_NAME];   /* VARLINK_NAMED: which */
	int child;
	int next;
};

struct varlink_entry {
	char what[VARLINK_NAME]; /* type, method, error */
	char name[VARLINK_NAME];
	int in;
	int out; /* methods only, else -1 */
};

struct varlink {
	const char *at;
	char interface[VARLINK_NAME];
	struct varlink_type types[VARLINK_TYPES];
	int types_count;
	struct varlink_entry entries[VARLINK_ENTRYS];
	int entries_count;
};

static inline void
varlink_skip(struct varlink *v)
{
	for (;;) {
		while (isspace((unsigned char)*v->at))
			v->at++;
		if (*v->at != '#')
			return;
		v->at += strcspn(v->at, "\n");
	}
}

static inline bool
varlink_take(struct varlink *v, const char *token)
{
	varlink_skip(v);
	if (strncmp(v->at, token, strlen(token)) != 0)
		return false;
	v->at += strlen(token);
	return true;
}

static inline void
varlink_expect(struct varlink *v, const char *token)
{
	if (!varlink_take(v, token))
		ck_abort_msg("description: '%s' expected at: %.40s", token,
		    v->at);
}

static inline void
varlink_word(struct varlink *v, char word[VARLINK_NAME], const char *extra)
{
	size_t length = 0;

	varlink_skip(v);
	while (isalnum((unsigned char)v->at[length]) ||
	    (v->at[length] != '\0' && strchr(extra, v->at[length]) != NULL))
		length++;
	ck_assert_msg(length > 0 && length < VARLINK_NAME,
	    "description: a name expected at: %.40s", v->at);
	memcpy(word, v->at, length);
	word[length] = '\0';
	v->at += length;
}

static inline int
varlink_new(struct varlink *v, enum varlink_kind kind)
{
	ck_assert_int_lt(v->types_count, VARLINK_TYPES);
	v->types[v->types_count] =
	    (struct varlink_type){.kind = kind, .child = -1, .next = -1};
	return v->types_count++;
}

/* Types nest, and so do those who read them. */
/* NOLINTBEGIN(misc-no-recursion) */
static inline int varlink_read_type(struct varlink *v);

/* "(a: int, b: string)" or "(one, two)" or "()" */
static inline int
varlink_read_struct(struct varlink *v)
{
	int outer = varlink_new(v, VARLINK_STRUCT);
	int last = -1;
	char name[VARLINK_NAME];

	varlink_expect(v, "(");
	while (!varlink_take(v, ")")) {
		int field;

		if (last != -1)
			varlink_expect(v, ",");
		varlink_word(v, name, "_");
		if (varlink_take(v, ":")) {
			field = varlink_read_type(v);
		} else {
			v->types[outer].kind = VARLINK_ENUM;
			field = varlink_new(v, VARLINK_ENUM);
		}
		memcpy(v->types[field].name, name, sizeof(name));
		if (last == -1)
			v->types[outer].child = field;
		else
			v->types[last].next = field;
		last = field;
	}
	return outer;
}

static inline int
varlink_read_wrapped(struct varlink *v, enum varlink_kind kind)
{
	int outer = varlink_new(v, kind);
	int inner = varlink_read_type(v);

	v->types[outer].child = inner;
	return outer;
}

static inline int
varlink_read_type(struct varlink *v)
{
	static const struct {
		const char *word;
		enum varlink_kind kind;
	} simple[] = {{"bool", VARLINK_BOOL}, {"int", VARLINK_INT},
	    {"float", VARLINK_FLOAT}, {"string", VARLINK_STRING},
	    {"object", VARLINK_OBJECT}};
	char word[VARLINK_NAME];
	int type;

	if (varlink_take(v, "?"))
		return varlink_read_wrapped(v, VARLINK_MAYBE);
	if (varlink_take(v, "[string]"))
		return varlink_read_wrapped(v, VARLINK_MAP);
	if (varlink_take(v, "[]"))
		return varlink_read_wrapped(v, VARLINK_ARRAY);
	varlink_skip(v);
	if (*v->at == '(')
		return varlink_read_struct(v);
	varlink_word(v, word, "");
	for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
		if (strcmp(simple[i].word, word) == 0)
			return varlink_new(v, simple[i].kind);
	}
	ck_assert_msg(isupper((unsigned char)word[0]),
	    "description: no such type: %s", word);
	type = varlink_new(v, VARLINK_NAMED);
	memcpy(v->types[type].of, word, sizeof(word));
	return type;
}

/* NOLINTEND(misc-no-recursion) */

static inline const struct varlink_entry *
varlink_find(const struct varlink *v, const char *what, const char *name)
{
	for (int i = 0; i < v->entries_count; i++) {
		if (strcmp(v->entries[i].what, what) == 0 &&
		    strcmp(v->entries[i].name, name) == 0)
			return &v->entries[i];
	}
	ck_abort_msg("%s: %s %s is not in the description", v->interface, what,
	    name);
	return NULL;
}

/* text must outlive nothing: all is copied. */
static inline void
varlink_parse(struct varlink *v, const char *text)
{
	memset(v, 0, sizeof(*v));
	v->at = text;
	varlink_expect(v, "interface");
	varlink_word(v, v->interface, ".-");
	for (varlink_skip(v); *v->at != '\0'; varlink_skip(v)) {
		struct varlink_entry *entry = &v->entries[v->entries_count++];

		ck_assert_int_lt(v->entries_count, VARLINK_ENTRYS);
		varlink_word(v, entry->what, "");
		varlink_word(v, entry->name, "");
		entry->in = varlink_read_struct(v);
		entry->out = -1;
		if (strcmp(entry->what, "method") == 0) {
			varlink_expect(v, "->");
			entry->out = varlink_read_struct(v);
		}
	}
	for (int i = 0; i < v->types_count; i++) {
		if (v->types[i].kind == VARLINK_NAMED)
			(void)varlink_find(v, "type", v->types[i].of);
	}
}

/* NOLINTBEGIN(misc-no-recursion): values nest as well. */
static inline void varlink_check(const struct varlink *v, int type,
    const json_t *value, const char *where);

static inline void
varlink_check_struct(const struct varlink *v, int type, const json_t *value,
    const char *where)
{
	size_t known = 0;
	char inner[256];

	ck_assert_msg(json_is_object(value), "%s: not an object", where);
	for (int i = v->types[type].child; i != -1; i = v->types[i].next) {
		const json_t *field = json_object_get(value, v->types[i].name);

		(void)snprintf(inner, sizeof(inner), "%s.%s", where,
		    v->types[i].name);
		known += field != NULL;
		varlink_check(v, i, field, inner);
	}
	ck_assert_msg(json_object_size(value) == known,
	    "%s: %zu fields, of which %zu are described", where,
	    json_object_size(value), known);
}

static inline void
varlink_check_enum(const struct varlink *v, int type, const json_t *value,
    const char *where)
{
	const char *word = json_string_value(value);

	ck_assert_msg(word != NULL, "%s: not a word", where);
	for (int i = v->types[type].child; i != -1; i = v->types[i].next) {
		if (strcmp(v->types[i].name, word) == 0)
			return;
	}
	ck_abort_msg("%s: '%s' is not one of the words", where, word);
}

static inline void
varlink_check_array(const struct varlink *v, int type, const json_t *value,
    const char *where)
{
	char inner[256];

	ck_assert_msg(json_is_array(value), "%s: not an array", where);
	for (size_t i = 0; i < json_array_size(value); i++) {
		(void)snprintf(inner, sizeof(inner), "%s[%zu]", where, i);
		varlink_check(v, v->types[type].child, json_array_get(value, i),
		    inner);
	}
}

static inline void
varlink_check_simple(enum varlink_kind kind, const json_t *value,
    const char *where)
{
	bool good = (kind == VARLINK_BOOL && json_is_boolean(value)) ||
	    (kind == VARLINK_INT && json_is_integer(value)) ||
	    (kind == VARLINK_FLOAT && json_is_number(value)) ||
	    (kind == VARLINK_STRING && json_is_string(value)) ||
	    ((kind == VARLINK_OBJECT || kind == VARLINK_MAP) &&
		json_is_object(value));

	ck_assert_msg(good, "%s: missing or of the wrong type", where);
}

static inline void
varlink_check(const struct varlink *v, int type, const json_t *value,
    const char *where)
{
	const struct varlink_type *t = &v->types[type];

	switch (t->kind) {
	case VARLINK_MAYBE:
		if (value != NULL && !json_is_null(value))
			varlink_check(v, t->child, value, where);
		break;
	case VARLINK_NAMED:
		varlink_check(v, varlink_find(v, "type", t->of)->in, value,
		    where);
		break;
	case VARLINK_STRUCT:
		varlink_check_struct(v, type, value, where);
		break;
	case VARLINK_ENUM:
		varlink_check_enum(v, type, value, where);
		break;
	case VARLINK_ARRAY:
		varlink_check_array(v, type, value, where);
		break;
	default:
		varlink_check_simple(t->kind, value, where);
		break;
	}
}

/* NOLINTEND(misc-no-recursion) */

/*
 * A whole reply to v's method, or an error of v: only the keys there may be,
 * and parameters as described.
 */
static inline void
varlink_check_reply(const struct varlink *v, const char *method,
    const json_t *reply)
{
	const json_t *parameters = json_object_get(reply, "parameters");
	const json_t *error = json_object_get(reply, "error");
	const json_t *continues = json_object_get(reply, "continues");
	size_t prefix = strlen(v->interface);
	const char *name = json_string_value(error);

	ck_assert_msg(json_is_object(parameters), "no parameters");
	ck_assert_uint_eq(json_object_size(reply),
	    1u + (error != NULL) + (continues != NULL));
	if (error == NULL) {
		ck_assert(continues == NULL || json_is_true(continues));
		varlink_check(v, varlink_find(v, "method", method)->out,
		    parameters, method);
		return;
	}
	ck_assert_ptr_null(continues);
	ck_assert_ptr_nonnull(name);
	ck_assert_msg(strncmp(name, v->interface, prefix) == 0 &&
		name[prefix] == '.',
	    "%s is not an error of %s", name, v->interface);
	varlink_check(v, varlink_find(v, "error", name + prefix + 1)->in,
	    parameters, name);
}

#endif
