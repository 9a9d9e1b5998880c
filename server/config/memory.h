/*
 * memory - allocation in the configuration's child process.
 *
 * The child has nothing to save: when memory runs out it ends, with a status
 * that its parent knows.  Nothing here may be called in the master.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_MEMORY_H
#define SRVD_CONFIG_MEMORY_H

#include <stddef.h>

#include "common/attr.h"

/* Exit status of a child that ran out of memory. */
#define MEMORY_EXIT_STATUS 75

must_check void *memory_resize(void *old, size_t size);
void memory_free(void *old);
/* All that was ever asked for here: the child's last act. */
void memory_free_all(void);
must_check char *memory_copy(const char *text);

/*
 * Room for one more row of that size in an array of count rows: returns the
 * array, moved perhaps, with the new row zeroed.  Start with NULL and 0.
 */
must_check void *memory_grow(void *rows, size_t count, size_t size);

/* Text or bytes that grow at their end; begins as all zero. */
struct bytes {
	char *data;
	size_t length;
	size_t room;
};

void bytes_add(struct bytes *bytes, const void *data, size_t length);
void bytes_add_text(struct bytes *bytes, const char *text);

#endif
