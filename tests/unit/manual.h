/*
 * manual - a page of man/ as its readers see it: the items of its lists, and
 * the heading that each stands under.
 *
 * A test says what it expects there, item by item, and then that nothing else
 * is there.  Blanks, and whether a letter is a capital, make no difference.
 *
 * Of mdoc it knows what our pages use.  Bodies are kept as one line; those of
 * outer items have the text of inner ones, too.
 */
#ifndef SRVD_TESTS_MANUAL_H
#define SRVD_TESTS_MANUAL_H

#include <check.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/attr.h"

#define MANUAL_ITEMS_MAX 128
#define MANUAL_DEPTH_MAX 4
#define MANUAL_TEXT_SIZE 2048
#define MANUAL_HEAD_SIZE 160

struct manual_item {
	char heading[MANUAL_HEAD_SIZE];
	char head[MANUAL_HEAD_SIZE];
	char body[MANUAL_TEXT_SIZE];
	bool seen; /* somebody has expected it */
};

struct manual {
	const char *path;
	size_t count;
	size_t depth;
	size_t open[MANUAL_DEPTH_MAX]; /* items that are being read */
	char heading[MANUAL_HEAD_SIZE];
	struct manual_item items[MANUAL_ITEMS_MAX];
};

/* What a reader sees of a word behind a macro: nothing, if it only says how
 * the next ones look. */
static inline const char *
manual_shown(const char *word)
{
	static const char *const rows[][2] = {
	    {"Oo", "["},
	    {"Op", "["},
	    {"Oc", "]"},
	    {"Fl", "-"},
	    {"Ar", ""},
	    {"Cm", ""},
	    {"Dq", ""},
	    {"Dv", ""},
	    {"Ev", ""},
	    {"Ic", ""},
	    {"Li", ""},
	    {"Nm", ""},
	    {"No", ""},
	    {"Ns", ""},
	    {"Pa", ""},
	    {"Pq", ""},
	    {"Ql", ""},
	    {"Sx", ""},
	    {"Xr", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i][0], word) == 0)
			return rows[i][1];
	}
	return word;
}

/* A character, or what an escape stands for. */
static inline void
manual_add(char *text, size_t size, const char *word)
{
	size_t length = strlen(text);

	for (; *word != '\0'; word++) {
		char c = *word;

		if (strncmp(word, "\\(dq", 4) == 0) {
			c = '"';
			word += 3;
		} else if (c == '\\' && word[1] != '\0') {
			c = *++word;
			if (c == '&')
				continue;
			if (c == 'e')
				c = '\\';
		}
		ck_assert_msg(length + 1 < size, "too long: %s", text);
		text[length++] = c;
	}
	text[length] = '\0';
}

/* The words behind a macro, in the order of the line. */
static inline void
manual_add_words(char *text, size_t size, char *words)
{
	const char *end = "";
	const char *gap = "";

	for (char *word = strtok(words, " "); word != NULL;
	     word = strtok(NULL, " ")) {
		const char *shown = manual_shown(word);

		if (*shown == '\0')
			continue;
		if (strchr(".,;:)]", *shown) == NULL)
			manual_add(text, size, gap);
		manual_add(text, size, shown);
		gap = *shown == '[' || strcmp(word, "Fl") == 0 ? "" : " ";
		if (strcmp(word, "Op") == 0)
			end = "]";
	}
	manual_add(text, size, end);
}

/* A line as it is read, added to text. */
static inline void
manual_add_line(char *text, size_t size, const char *line)
{
	char words[512];

	(void)snprintf(words, sizeof(words), "%s", line);
	if (*text != '\0')
		manual_add(text, size, " ");
	if (*line == '.')
		manual_add_words(text, size, words + 1);
	else
		manual_add(text, size, line);
}

static inline void
manual_begin_item(struct manual *manual, const char *words)
{
	struct manual_item *item = &manual->items[manual->count];

	ck_assert_uint_lt(manual->count, MANUAL_ITEMS_MAX);
	ck_assert_uint_gt(manual->depth, 0);
	*item = (struct manual_item){.seen = false};
	memcpy(item->heading, manual->heading, sizeof(item->heading));
	manual_add_line(item->head, sizeof(item->head), words);
	manual->open[manual->depth - 1] = manual->count++;
}

/* An item is open from its .It on; a list's end closes its last. */
static inline void
manual_read_line(struct manual *manual, const char *line)
{
	if (strncmp(line, ".Sh ", 4) == 0 || strncmp(line, ".Ss ", 4) == 0) {
		manual->heading[0] = '\0';
		manual_add(manual->heading, sizeof(manual->heading), line + 4);
		ck_assert_uint_eq(manual->depth, 0);
	} else if (strncmp(line, ".Bl ", 4) == 0) {
		ck_assert_uint_lt(manual->depth, MANUAL_DEPTH_MAX);
		manual->open[manual->depth++] = MANUAL_ITEMS_MAX;
	} else if (strcmp(line, ".El") == 0) {
		ck_assert_uint_gt(manual->depth, 0);
		manual->depth--;
	} else if (strcmp(line, ".It") == 0) {
		manual->open[manual->depth - 1] = MANUAL_ITEMS_MAX;
	} else if (strncmp(line, ".It ", 4) == 0) {
		char words[512];

		/* The words, behind a dot as of any macro. */
		(void)snprintf(words, sizeof(words), ".%s", line + 4);
		manual_begin_item(manual, words);
	} else {
		for (size_t i = 0; i < manual->depth; i++) {
			struct manual_item *item =
			    &manual->items[manual->open[i]];

			if (manual->open[i] < MANUAL_ITEMS_MAX)
				manual_add_line(item->body, sizeof(item->body),
				    line);
		}
	}
}

static inline void
manual_read(struct manual *manual, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];

	ck_assert_msg(file != NULL, "%s can't be read", path);
	*manual = (struct manual){.path = path};
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		manual_read_line(manual, line);
	}
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_uint_eq(manual->depth, 0);
}

/* The same letters, but for blanks and capitals? */
static inline bool
manual_is_same(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, " ");
		b += strspn(b, " ");
		if (strncasecmp(a, b, 1) != 0)
			return false;
		if (*a == '\0')
			return true;
	}
}

/* The item with this head under heading, which has to be there, once. */
static inline struct manual_item *printf_like(3, 4)
    manual_expect(struct manual *manual, const char *heading,
	const char *format, ...)
{
	struct manual_item *found = NULL;
	char head[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(head, sizeof(head), format, args);
	va_end(args);
	for (size_t i = 0; i < manual->count; i++) {
		struct manual_item *item = &manual->items[i];

		if (strcmp(item->heading, heading) != 0 ||
		    !manual_is_same(item->head, head))
			continue;
		ck_assert_msg(found == NULL, "%s, %s: '%s' is there twice",
		    manual->path, heading, head);
		found = item;
	}
	if (found == NULL)
		ck_abort_msg("%s, %s: there is no item '%s'", manual->path,
		    heading, head);
	found->seen = true;
	return found;
}

/* Under heading there is nothing that nobody has expected. */
static inline void
manual_expect_no_more(const struct manual *manual, const char *heading)
{
	for (size_t i = 0; i < manual->count; i++) {
		const struct manual_item *item = &manual->items[i];

		ck_assert_msg(item->seen || strcmp(item->heading, heading) != 0,
		    "%s, %s: '%s' is no such thing", manual->path, heading,
		    item->head);
	}
}

/* The item's text says so, word for word. */
static inline void printf_like(2, 3)
    manual_expect_text(const struct manual_item *item, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ck_assert_msg(strstr(item->body, text) != NULL,
	    "%s, '%s' does not say '%s' but: %s", item->heading, item->head,
	    text, item->body);
}

#endif
