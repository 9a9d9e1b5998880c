/*
 * lex - a configuration file's text as tokens; see lex.h.
 */
#include <string.h>

#include "server/config/lex.h"

/* What ends a word, besides blanks and the end of the text. */
#define WORD_ENDS "{}()=,;\"'"

struct mark {
	char sign;
	enum token_type type;
};

static const struct mark marks[] = {
    {'{', TOKEN_OPEN},
    {'}', TOKEN_CLOSE},
    {'=', TOKEN_ASSIGN},
    {',', TOKEN_COMMA},
    {'(', TOKEN_LEFT},
    {')', TOKEN_RIGHT},
};

static bool
is_blank(const char *p)
{
	return *p == ' ' || *p == '\t' || *p == '\n' ||
	    (p[0] == '\r' && p[1] == '\n');
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool
is_comment(const char *p)
{
	return p[0] == '#' || (p[0] == '/' && (p[1] == '/' || p[1] == '*'));
}

static void
complain(struct lex *lex, struct token *token, const char *message)
{
	if (!token->bad)
		report_add(lex->report, token->place, "%s", message);
	token->bad = true;
}

static void
skip_line(struct lex *lex)
{
	lex->position += strcspn(lex->position, "\n");
}

static void
skip_comment(struct lex *lex)
{
	const char *end;

	if (lex->position[0] == '#' || lex->position[1] == '/') {
		skip_line(lex);
		return;
	}
	end = strstr(lex->position + 2, "*/");
	if (end == NULL) {
		report_add(lex->report, lex->place,
		    "this comment has no end: write */ after it");
		lex->position += strlen(lex->position);
		return;
	}
	for (; lex->position < end + 2; lex->position++)
		lex->place.line += *lex->position == '\n';
}

static void
skip_blanks(struct lex *lex)
{
	for (; is_blank(lex->position); lex->position++)
		lex->place.line += *lex->position == '\n';
}

static void
add(struct lex *lex, struct token *token, char c)
{
	if (token->length == LEX_TEXT_MAX) {
		complain(lex, token,
		    "this value is longer than 4096 bytes: no setting takes "
		    "that");
		return;
	}
	token->text[token->length++] = c;
}

/* What is wrong with a word's character at p, or NULL. */
static const char *
word_fault(const char *p)
{
	if (is_control(*p))
		return "this line holds a control character";
	if (*p == '*')
		return "a value with a * must be quoted: write \"*:80\"";
	if (*p == '$' && p[1] == '{')
		return "${ is not replaced here: the environment is no part of "
		       "the configuration";
	if (*p == '\\')
		return "a value with a backslash must be quoted";
	if (is_comment(p))
		return "a value with #, // or /* in it must be quoted";
	return NULL;
}

static void
read_word(struct lex *lex, struct token *token)
{
	const char *fault;

	token->type = TOKEN_WORD;
	for (; *lex->position != '\0' && !is_blank(lex->position) &&
	     strchr(WORD_ENDS, *lex->position) == NULL &&
	     strncmp(lex->position, "+=", 2) != 0;
	     lex->position++) {
		fault = word_fault(lex->position);
		if (fault != NULL)
			complain(lex, token, fault);
		add(lex, token, *lex->position);
	}
	if (*lex->position == '"' || *lex->position == '\'')
		complain(lex, token,
		    "a quote in the middle of a word: put all of it in quotes");
}

/* What is wrong with a string's character at p, or NULL. */
static const char *
string_fault(const char *p)
{
	if (is_control(*p))
		return "this string holds a control character";
	if (*p == '$' && p[1] == '{')
		return "${ is not replaced here: the environment is no part of "
		       "the configuration";
	if (*p == '\\' && p[1] != '\\' && p[1] != '"' && p[1] != '\'')
		return "only \\\\, \\\" and \\' may stand in a string: write "
		       "\\\\ for a backslash";
	return NULL;
}

static void
read_string(struct lex *lex, struct token *token)
{
	char quote = *lex->position++;
	const char *fault;

	token->type = TOKEN_STRING;
	while (*lex->position != quote) {
		if (*lex->position == '\0' || *lex->position == '\n') {
			complain(lex, token,
			    "this string is not ended on its line: a quote is "
			    "missing");
			return;
		}
		fault = string_fault(lex->position);
		if (fault != NULL)
			complain(lex, token, fault);
		else if (*lex->position == '\\')
			lex->position++;
		add(lex, token, *lex->position++);
	}
	lex->position++;
	if (*lex->position != '\0' && !is_blank(lex->position) &&
	    strchr("{}()=,;#", *lex->position) == NULL)
		complain(lex, token,
		    "a string must end where its value ends: a blank is "
		    "missing after the quote");
}

static bool
read_mark(struct lex *lex, struct token *token)
{
	if (strncmp(lex->position, "+=", 2) == 0) {
		token->type = TOKEN_APPEND;
		lex->position += 2;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (*lex->position == marks[i].sign) {
			token->type = marks[i].type;
			lex->position++;
			return true;
		}
	}
	return false;
}

/* `path = //x` would read as a comment, and the next line as the value. */
static bool
comment_hides_value(struct lex *lex, const struct token *before)
{
	return before->type == TOKEN_ASSIGN &&
	    before->place.line == lex->place.line && is_comment(lex->position);
}

static void
skip_to_token(struct lex *lex, const struct token *before)
{
	skip_blanks(lex);
	while (is_comment(lex->position) || *lex->position == ';') {
		if (*lex->position == ';') {
			report_add(lex->report, lex->place,
			    "; is not used here: a setting ends with its "
			    "value");
			lex->position++;
		} else if (comment_hides_value(lex, before)) {
			return;
		} else {
			skip_comment(lex);
		}
		skip_blanks(lex);
	}
}

static void
read_token(struct lex *lex, struct token *token, const struct token *before)
{
	skip_to_token(lex, before);
	token->bad = false;
	token->length = 0;
	token->place = lex->place;
	if (*lex->position == '\0') {
		token->type = TOKEN_END;
	} else if (is_comment(lex->position)) {
		token->type = TOKEN_WORD;
		complain(lex, token,
		    "a comment stands where a value is missing: put a value "
		    "that begins with #, // or /* in quotes");
		skip_line(lex);
	} else if (*lex->position == '"' || *lex->position == '\'') {
		read_string(lex, token);
	} else if (!read_mark(lex, token)) {
		read_word(lex, token);
	}
	token->text[token->length] = '\0';
}

void
lex_open(struct lex *lex, struct report *report, uint32_t file,
    const char *text)
{
	lex->report = report;
	lex->position = text;
	lex->place.file = file;
	lex->place.line = 1;
	lex->now = 0;
	lex->tokens[1].type = TOKEN_END;
	read_token(lex, &lex->tokens[0], &lex->tokens[1]);
	read_token(lex, &lex->tokens[1], &lex->tokens[0]);
}

const struct token *
lex_now(const struct lex *lex)
{
	return &lex->tokens[lex->now];
}

const struct token *
lex_next(const struct lex *lex)
{
	return &lex->tokens[lex->now ^ 1];
}

void
lex_advance(struct lex *lex)
{
	struct token *used = &lex->tokens[lex->now];

	lex->now ^= 1;
	read_token(lex, used, lex_now(lex));
}

bool
token_is_text(const struct token *token)
{
	return token->type == TOKEN_WORD || token->type == TOKEN_STRING;
}
