/*
 * wrap - pieces of text one behind the other, on lines no wider than the
 * terminal.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_WRAP_H
#define SRVD_CTL_WRAP_H

#include <stddef.h>
#include <stdio.h>

#include "common/attr.h"

struct wrap {
	FILE *out;
	size_t width;  /* columns; 0: no limit */
	size_t indent; /* of all lines but the first */
	size_t gap;    /* between pieces */
	size_t used;   /* columns of this line */
};

/* A piece, which stays whole; what it says is shown by text_show. */
void wrap_piece(struct wrap *wrap, const char *format, ...) printf_like(2, 3);
/* Each of its words is a piece. */
void wrap_words(struct wrap *wrap, const char *text);
/* The end of the line. */
void wrap_end(struct wrap *wrap);

#endif
