/*
 * source - a configuration file's text, read without trust.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_SOURCE_H
#define SRVD_CONFIG_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"

#define SOURCE_SIZE_MAX ((size_t)4 << 20)

struct source {
	char *text; /* ends with a NUL, holds none */
	size_t length;
	dev_t device; /* which file it is, whatever its name */
	ino_t inode;
};

/*
 * Read a regular file of UTF-8 text.  Returns 0, or -1 with a sentence in why
 * and the line it is about in *line (0: the whole file).
 */
must_check int source_read(const char *path, struct source *source,
    uint32_t *line, char *why, size_t why_size);
void source_free(struct source *source);

#endif
