/*
 * lex - a configuration file's text as words, strings and punctuation.
 *
 * Stands between the files and libconfuse, because what libconfuse makes of a
 * comment, a star, a "${" or an unterminated string is not what its writer
 * meant.  Whatever could be read in two ways is an error here.
 *
 * Runs in: the configuration's child.  Knows nothing of keys.
 */
#ifndef SRVD_CONFIG_LEX_H
#define SRVD_CONFIG_LEX_H

#include <stdbool.h>
#include <stdint.h>

#include "server/config/report.h"

#define LEX_TEXT_MAX 4096 /* bytes of a word or string */

enum token_type {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_OPEN,   /* { */
	TOKEN_CLOSE,  /* } */
	TOKEN_ASSIGN, /* = */
	TOKEN_APPEND, /* += */
	TOKEN_COMMA,
	TOKEN_LEFT,  /* ( */
	TOKEN_RIGHT, /* ) */
};

struct token {
	enum token_type type;
	struct place place;
	bool bad; /* wrong, and reported: its text means nothing */
	char text[LEX_TEXT_MAX + 1]; /* as written, without quotes */
	uint32_t length;
};

struct lex {
	struct report *report;
	const char *position;
	struct place place;
	struct token tokens[2];
	unsigned now; /* which of them */
};

/* text must outlive the lexer, end with a NUL, and hold no other. */
void lex_open(struct lex *lex, struct report *report, uint32_t file,
    const char *text);

/* The token to be handled, and the one after it. */
const struct token *lex_now(const struct lex *lex);
const struct token *lex_next(const struct lex *lex);
void lex_advance(struct lex *lex);

/* A word or a string: what a value or a title can be. */
bool token_is_text(const struct token *token);

#endif
