/*
 * files - the configuration's file and those that it includes, as a stack.
 *
 * The top one is read; what it includes is put above it, the first on top.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_FILES_H
#define SRVD_CONFIG_FILES_H

#include "server/config/lex.h"
#include "server/config/report.h"
#include "server/config/source.h"

#define FILES_MAX       4096
#define FILES_DEPTH_MAX 8
#define FILES_BYTES_MAX ((size_t)16 << 20) /* of all of them */

struct file {
	char *path;
	struct place from; /* of the include that named it */
	uint32_t depth;    /* of includes; the first file's is 0 */
	uint32_t parent;   /* index in the stack */
	struct source source;
	struct lex *lex; /* NULL: not opened yet */
};

struct files {
	struct report *report;
	struct file *stack;
	uint32_t count;
	uint32_t opened; /* in all */
	size_t bytes;    /* of all that were opened */
	bool failed;     /* some could not be had */
};

/* Begin with the configuration's own file. */
void files_init(struct files *files, struct report *report, const char *path);

/* The lexer of the file on top, which is opened if it has to be; one that
 * can't be is reported and dropped.  NULL: all are read. */
struct lex *files_top(struct files *files);

/* The file on top is at its end. */
void files_pop(struct files *files);

/* Put what a pattern names, relative to the file on top, above it. */
void files_include(struct files *files, struct place place,
    const char *pattern);

#endif
