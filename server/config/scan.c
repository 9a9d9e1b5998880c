/*
 * scan - the shape of the configuration; see scan.h.
 *
 * Sections stand on a stack of their own, not on the program's: no input
 * makes it deeper than the tables are.
 */
#include <search.h>
#include <string.h>
#include <unistd.h>

#include "server/config/scan.h"
#include "server/config/scan_state.h"

/* A name that a section was given, for finding the second of that name. */
struct title {
	char *name;
	struct place place;
};

static void
report_twice(struct scan *scan, struct place place, const char *what,
    struct place first)
{
	char text[REPORT_PLACE_SIZE];

	report_add(scan->report, place,
	    "%.80s is given twice: the first is at %s", what,
	    report_place(scan->report, first, place, text));
}

/* A name that the section doesn't know: say what would be right. */
static void
report_unknown(struct scan *scan, struct place place, const char *name)
{
	const struct body *body = scan_body(scan);
	const char *nearest = section_nearest(body->section, name);
	const struct section *other = section_elsewhere(body->section, name);

	if (section_is_later(body->section, name))
		report_add(scan->report, place,
		    "this version of srvd does not act on \"%.60s\" in %s: "
		    "take it out",
		    name, body->label);
	else if (other != NULL && other == &sections[SECTION_TOP])
		report_add(scan->report, place,
		    "\"%.60s\" does not belong in %s but in the configuration "
		    "itself: is a } missing above?",
		    name, body->label);
	else if (other != NULL && nearest == NULL)
		report_add(scan->report, place,
		    "\"%.60s\" does not belong in %s: it goes into %s", name,
		    body->label, other->name);
	else if (nearest != NULL)
		report_add(scan->report, place,
		    "\"%.60s\" is not known in %s: did you mean \"%s\"?", name,
		    body->label, nearest);
	else
		report_add(scan->report, place, "\"%.60s\" is not known in %s",
		    name, body->label);
}

/* At NAME = or NAME +=. */
static void
scan_setting(struct scan *scan)
{
	struct body *body = scan_body(scan);
	const struct token *name = scan_now(scan);
	const struct key *key = section_key(body->section, name->text);
	struct place place = name->place;
	struct place *seen;
	bool muted = body->muted;

	if (key == NULL) {
		if (section_child(body->section, name->text) != NULL)
			report_add(scan->report, name->place,
			    "%s is a section: write %s { ... } without =",
			    name->text, name->text);
		else
			report_unknown(scan, name->place, name->text);
		scan_advance(scan);
		scan_skip_content(scan);
		return;
	}
	seen = &body->seen[key - body->section->keys];
	if (seen->line != 0) {
		report_twice(scan, name->place, name->text, *seen);
		muted = true;
	} else {
		*seen = name->place;
	}
	if (scan_next(scan)->type == TOKEN_APPEND) {
		report_add(scan->report, name->place,
		    "%s: += is not used here: write the whole value after =",
		    key->name);
		muted = true;
	}
	scan_advance(scan);
	scan_advance(scan);
	scan_value(scan, key, place, muted);
}

static bool
is_name(const struct token *title)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789_.-";

	return title->length >= 1 && title->length <= NAME_BYTES_MAX &&
	    strspn(title->text, allowed) == title->length;
}

static int
by_name(const void *left, const void *right)
{
	const struct title *a = left;
	const struct title *b = right;

	return strcmp(a->name, b->name);
}

/* False, and reported, if the section can't have this name. */
static bool
take_title(struct scan *scan, const struct section *section,
    const struct token *title)
{
	struct title *mine;
	struct title *const *found;
	char what[NAME_BYTES_MAX + 20];

	if (title->bad)
		return false;
	if (!is_name(title)) {
		report_add(scan->report, title->place,
		    "\"%.70s\" can't be the name of a %s: use 1 to 63 letters, "
		    "digits, _, . and -",
		    title->text, section->name);
		return false;
	}
	mine = memory_resize(NULL, sizeof(*mine));
	mine->name = memory_copy(title->text);
	mine->place = title->place;
	found = tsearch(mine, &scan_body(scan)->titles, by_name);
	if (found == NULL)
		_exit(MEMORY_EXIT_STATUS);
	if (*found == mine)
		return true;
	(void)snprintf(what, sizeof(what), "%s %s", section->name, mine->name);
	report_twice(scan, title->place, what, (*found)->place);
	return false;
}

/* False, and reported, if the section may not stand there (again). */
static bool
take_section(struct scan *scan, const struct section *section,
    struct place place)
{
	const struct body *body = scan_body(scan);
	uint32_t *count = &scan->counts[section - sections];
	size_t item = body->section->keys_count + (size_t)(section - sections);
	struct place *seen = &scan_body(scan)->seen[item];

	if (!section->titled && seen->line != 0) {
		report_twice(scan, place, section->name, *seen);
		return false;
	}
	*seen = place;
	if (section->titled && ++*count > section->max) {
		if (*count == section->max + 1)
			report_add(scan->report, place,
			    "this is one %s too many: there can be %u",
			    section->name, section->max);
		return false;
	}
	return true;
}

static void
push_body(struct scan *scan, const struct section *section, struct place place,
    const char *title)
{
	bool muted = scan_body(scan)->muted;
	struct body *body = &scan->bodies[++scan->depth];

	memset(body, 0, sizeof(*body));
	body->section = section;
	body->place = place;
	body->muted = muted;
	if (title != NULL)
		(void)snprintf(body->label, sizeof(body->label), "%s %.63s",
		    section->name, title);
	else
		(void)snprintf(body->label, sizeof(body->label), "%s",
		    section->name);
}

/* The names themselves are the child's, to its end. */
static void
keep_title(void *title)
{
	(void)title;
}

static void
pop_body(struct scan *scan)
{
	tdestroy(scan_body(scan)->titles, keep_title);
	scan->depth--;
}

/* At a new body's title or its {. */
static void
open_body(struct scan *scan, const char *title)
{
	const struct body *body = scan_body(scan);
	bool titled = token_is_text(scan_now(scan));

	if ((titled ? scan_next(scan) : scan_now(scan))->type != TOKEN_OPEN) {
		report_add(scan->report, body->place, "a { is missing after %s",
		    body->label);
		pop_body(scan);
		scan_skip_statement(scan);
		return;
	}
	if (!body->muted)
		canon_section_begin(scan->canon, body->place,
		    body->section->name, title);
	if (titled)
		scan_advance(scan);
	scan_advance(scan);
}

/* At NAME { or NAME TITLE {, of a section that belongs here. */
static void
scan_section(struct scan *scan, const struct section *section)
{
	struct place place = scan_now(scan)->place;
	const char *title = NULL;
	bool sound = take_section(scan, section, place);

	scan_advance(scan);
	if (section->titled && !token_is_text(scan_now(scan))) {
		report_add(scan->report, place,
		    "a %s needs a name: write %s NAME { ... }", section->name,
		    section->name);
		sound = false;
	} else if (!section->titled && token_is_text(scan_now(scan))) {
		report_add(scan->report, place,
		    "%s takes no name: write %s { ... }", section->name,
		    section->name);
		sound = false;
	} else if (section->titled) {
		sound = take_title(scan, section, scan_now(scan)) && sound;
		title = scan_now(scan)->text;
	}
	push_body(scan, section, place, title);
	scan_body(scan)->muted = scan_body(scan)->muted || !sound;
	open_body(scan, title);
}

/* At NAME { or NAME TITLE {. */
static void
scan_block(struct scan *scan)
{
	const struct section *in = scan_body(scan)->section;
	const struct token *name = scan_now(scan);
	const struct section *section = section_child(in, name->text);

	if (section != NULL) {
		scan_section(scan, section);
		return;
	}
	if (section_key(in, name->text) != NULL)
		report_add(scan->report, name->place,
		    "%s is a setting: write %s = VALUE", name->text,
		    name->text);
	else
		report_unknown(scan, name->place, name->text);
	scan_advance(scan);
	scan_skip_content(scan);
}

/* At `include`. */
static void
scan_include(struct scan *scan)
{
	struct place place = scan_now(scan)->place;
	const struct token *argument;

	scan_advance(scan);
	if (scan_now(scan)->type != TOKEN_LEFT ||
	    !token_is_text(scan_next(scan))) {
		report_add(scan->report, place,
		    "write include(\"PATTERN\"), such as "
		    "include(\"conf.d/*.conf\")");
		scan_skip_statement(scan);
		return;
	}
	scan_advance(scan);
	argument = scan_now(scan);
	if (scan_next(scan)->type != TOKEN_RIGHT)
		report_add(scan->report, place,
		    "include: a ) is missing after the pattern");
	else if (scan->depth > 0)
		report_add(scan->report, place,
		    "include can't stand in %s: move it out of the section",
		    scan_body(scan)->label);
	else if (!argument->bad)
		files_include(&scan->files, place, argument->text);
	scan_advance(scan);
	if (scan_now(scan)->type == TOKEN_RIGHT)
		scan_advance(scan);
}

static void
report_missing(struct scan *scan)
{
	const struct body *body = scan_body(scan);
	const struct section *section = body->section;

	for (size_t i = 0; i < section->keys_count; i++) {
		if (section->keys[i].required && body->seen[i].line == 0)
			report_add(scan->report, body->place, "%s needs %s%s",
			    body->label, section->keys[i].name,
			    section->keys[i].list ? " = {ADDRESS, ...}"
						  : " = ADDRESS");
	}
	for (size_t i = 0; i < SECTION_TOP; i++) {
		if (&sections[sections[i].parent] == section &&
		    sections[i].required &&
		    body->seen[section->keys_count + i].line == 0)
			report_add(scan->report, body->place,
			    "%s needs at least one %s: write %s NAME { ... }",
			    body->label, sections[i].name, sections[i].name);
	}
}

/* At a }. */
static void
scan_close(struct scan *scan)
{
	if (scan->depth == 0) {
		report_add(scan->report, scan_now(scan)->place,
		    "this } closes nothing: take it out, or look for a { that "
		    "is missing above");
	} else {
		report_missing(scan);
		if (!scan_body(scan)->muted)
			canon_end(scan->canon, scan_now(scan)->place);
		pop_body(scan);
	}
	scan_advance(scan);
}

/* At the end of a file: sections end in the file that they began in. */
static void
scan_end(struct scan *scan)
{
	struct place place = scan_now(scan)->place;

	if (scan->depth > 0)
		report_add(scan->report, scan_body(scan)->place,
		    "%s is never closed: a } is missing",
		    scan_body(scan)->label);
	for (; scan->depth > 0; pop_body(scan)) {
		if (!scan_body(scan)->muted)
			canon_end(scan->canon, place);
	}
	files_pop(&scan->files);
}

static void
scan_misfit(struct scan *scan)
{
	const struct token *token = scan_now(scan);

	if (token_is_text(token))
		report_add(scan->report, token->place,
		    "\"%.60s\" is neither a setting (NAME = VALUE) nor a "
		    "section (NAME { ... })",
		    token->text);
	else
		report_add(scan->report, token->place,
		    "a setting (NAME = VALUE) or a section (NAME { ... }) is "
		    "expected here");
	scan_skip_statement(scan);
}

/* At a word that is sound. */
static void
scan_named(struct scan *scan)
{
	const struct token *name = scan_now(scan);
	const struct token *after = scan_next(scan);

	if (strcmp(name->text, "include") == 0)
		scan_include(scan);
	else if (after->type == TOKEN_ASSIGN || after->type == TOKEN_APPEND)
		scan_setting(scan);
	else if (after->type == TOKEN_OPEN ||
	    (token_is_text(after) && after->place.line == name->place.line))
		scan_block(scan);
	else
		scan_misfit(scan);
}

static void
scan_statement(struct scan *scan)
{
	const struct token *token = scan_now(scan);

	if (token->type == TOKEN_END)
		scan_end(scan);
	else if (token->type == TOKEN_CLOSE)
		scan_close(scan);
	else if (token->bad)
		scan_skip_statement(scan);
	else if (token->type == TOKEN_WORD)
		scan_named(scan);
	else
		scan_misfit(scan);
}

bool
scan_files(const char *path, struct report *report, struct canon *canon)
{
	struct scan *scan = memory_grow(NULL, 0, sizeof(*scan));
	struct body *top = &scan->bodies[0];

	scan->report = report;
	scan->canon = canon;
	files_init(&scan->files, report, path);
	top->section = &sections[SECTION_TOP];
	(void)snprintf(top->label, sizeof(top->label), "%s",
	    top->section->name);
	while ((scan->lex = files_top(&scan->files)) != NULL &&
	    !report_is_full(report))
		scan_statement(scan);
	/* Of a file that couldn't be read nothing is known to be missing. */
	if (!scan->files.failed)
		report_missing(scan);
	while (scan->depth > 0)
		pop_body(scan);
	tdestroy(top->titles, keep_title);
	return !scan->files.failed;
}
