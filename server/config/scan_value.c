/*
 * scan_value - values and lists, and skipping what makes no sense.
 */
#include <string.h>

#include "server/config/scan_state.h"

struct body *
scan_body(struct scan *scan)
{
	return &scan->bodies[scan->depth];
}

const struct token *
scan_now(const struct scan *scan)
{
	return lex_now(scan->lex);
}

const struct token *
scan_next(const struct scan *scan)
{
	return lex_next(scan->lex);
}

void
scan_advance(struct scan *scan)
{
	lex_advance(scan->lex);
}

/* At a {: skip all up to its }. */
static void
skip_block(struct scan *scan)
{
	struct place place = scan_now(scan)->place;
	size_t open = 0;

	do {
		if (scan_now(scan)->type == TOKEN_END) {
			report_add(scan->report, place,
			    "this { is never closed: a } is missing");
			return;
		}
		open += scan_now(scan)->type == TOKEN_OPEN;
		open -= scan_now(scan)->type == TOKEN_CLOSE;
		scan_advance(scan);
	} while (open > 0);
}

void
scan_skip_statement(struct scan *scan)
{
	uint32_t line = scan_now(scan)->place.line;

	while (scan_now(scan)->place.line == line &&
	    scan_now(scan)->type != TOKEN_CLOSE &&
	    scan_now(scan)->type != TOKEN_END) {
		if (scan_now(scan)->type == TOKEN_OPEN)
			skip_block(scan);
		else
			scan_advance(scan);
	}
}

static bool
is_assigned(const struct token *token)
{
	return token->type == TOKEN_ASSIGN || token->type == TOKEN_APPEND;
}

void
scan_skip_content(struct scan *scan)
{
	bool assigned = is_assigned(scan_now(scan));

	if (assigned ||
	    (token_is_text(scan_now(scan)) &&
		scan_next(scan)->type == TOKEN_OPEN))
		scan_advance(scan);
	if (scan_now(scan)->type == TOKEN_OPEN)
		skip_block(scan);
	else if (assigned && token_is_text(scan_now(scan)))
		scan_advance(scan);
	else
		scan_skip_statement(scan);
}

/* `30 s`: the unit would be taken for the next setting's name. */
static bool
has_lone_unit(const struct token *value, const struct token *after)
{
	static const char *const units[] = {
	    "ms", "s", "m", "h", "d", "K", "M", "G"};

	if (after->type != TOKEN_WORD ||
	    after->place.line != value->place.line ||
	    value->text[strspn(value->text, "0123456789")] != '\0')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(after->text, units[i]) == 0)
			return true;
	}
	return false;
}

/* In a list that is broken: is this still part of it, or a statement? */
static bool
is_list_rest(const struct scan *scan)
{
	const struct token *token = scan_now(scan);

	return token->type == TOKEN_COMMA ||
	    (token_is_text(token) && !is_assigned(scan_next(scan)) &&
		scan_next(scan)->type != TOKEN_OPEN &&
		section_child(scan->bodies[scan->depth].section, token->text) ==
		    NULL);
}

/* At a value that is not for the plan. */
static void
keep_aside(struct scan *scan, const struct key *key)
{
	const struct token *value = scan_now(scan);

	canon_keep_aside(scan->canon, scan_body(scan)->section, key,
	    value->place, value->text);
}

/* At a value in a list, the first that is passed on or a later one.  True if it
 * is. */
static bool
pass_listed(struct scan *scan, const struct key *key, bool muted, bool first)
{
	const struct token *value = scan_now(scan);

	if (value->bad)
		return false;
	if (muted)
		keep_aside(scan, key);
	else
		canon_list_value(scan->canon, value->place, first, value->text);
	return true;
}

/* At a list's {; the key takes lists. */
static void
scan_list(struct scan *scan, const struct key *key, bool muted)
{
	struct place place = scan_now(scan)->place;
	size_t values = 0;
	size_t passed = 0;

	if (!muted)
		canon_list_begin(scan->canon, place, key->name);
	scan_advance(scan);
	while (token_is_text(scan_now(scan))) {
		if (++values == KEY_VALUES_MAX + 1)
			report_add(scan->report, scan_now(scan)->place,
			    "%s: the list is too long: it can have %d values",
			    key->name, KEY_VALUES_MAX);
		else if (values <= KEY_VALUES_MAX)
			passed += pass_listed(scan, key, muted, passed == 0);
		scan_advance(scan);
		if (scan_now(scan)->type != TOKEN_COMMA)
			break;
		scan_advance(scan);
	}
	if (!muted)
		canon_end(scan->canon, place);
	if (scan_now(scan)->type == TOKEN_CLOSE) {
		if (values == 0)
			report_add(scan->report, place, "%s: the list is empty",
			    key->name);
		scan_advance(scan);
		return;
	}
	if (token_is_text(scan_now(scan)))
		report_add(scan->report, scan_now(scan)->place,
		    "%s: a comma is missing in the list, or its }", key->name);
	else
		report_add(scan->report, scan_now(scan)->place,
		    "%s: a value or } is missing in the list", key->name);
	while (is_list_rest(scan))
		scan_advance(scan);
	if (scan_now(scan)->type == TOKEN_CLOSE)
		scan_advance(scan);
}

void
scan_value(struct scan *scan, const struct key *key, struct place place,
    bool muted)
{
	const struct token *value = scan_now(scan);

	if (value->type == TOKEN_OPEN && key->list) {
		scan_list(scan, key, muted);
	} else if (value->type == TOKEN_OPEN) {
		report_add(scan->report, value->place,
		    "%s takes one value, not a list", key->name);
		skip_block(scan);
	} else if (!token_is_text(value) || is_assigned(scan_next(scan))) {
		/* The next setting's name is not this one's value. */
		report_add(scan->report, place,
		    "%s: a value is missing after =", key->name);
	} else if (has_lone_unit(value, scan_next(scan))) {
		report_add(scan->report, value->place,
		    "%s: a unit stands next to its number: write %.40s%s",
		    key->name, value->text, scan_next(scan)->text);
		scan_advance(scan);
		scan_advance(scan);
	} else {
		if (!value->bad && muted)
			keep_aside(scan, key);
		else if (!value->bad)
			canon_setting(scan->canon, value->place, key->name,
			    value->text);
		scan_advance(scan);
	}
}
