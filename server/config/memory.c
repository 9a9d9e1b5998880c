/*
 * memory - allocation in the configuration's child process; see memory.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "server/config/memory.h"

/* Stands before each block, so that all can be found at the end. */
struct block {
	LIST_ENTRY(block) link;
};

static LIST_HEAD(block_list, block) blocks = LIST_HEAD_INITIALIZER(blocks);

void *
memory_resize(void *old, size_t size)
{
	struct block *block = NULL;

	if (old != NULL) {
		block = (struct block *)old - 1;
		LIST_REMOVE(block, link);
	}
	block = realloc(block, sizeof(*block) + size);
	if (block == NULL)
		_exit(MEMORY_EXIT_STATUS);
	LIST_INSERT_HEAD(&blocks, block, link);
	return block + 1;
}

void
memory_free(void *old)
{
	struct block *block;

	if (old == NULL)
		return;
	block = (struct block *)old - 1;
	LIST_REMOVE(block, link);
	free(block);
}

void
memory_free_all(void)
{
	while (!LIST_EMPTY(&blocks))
		memory_free(LIST_FIRST(&blocks) + 1);
}

char *
memory_copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(memory_resize(NULL, size), text, size);
}

void *
memory_grow(void *rows, size_t count, size_t size)
{
	/* Full whenever the count is a power of two, or nothing at all. */
	if ((count & (count - 1)) == 0) {
		size_t room = count == 0 ? 1 : 2 * count;

		rows = memory_resize(rows, room * size);
	}
	memset((char *)rows + count * size, 0, size);
	return rows;
}

void
bytes_add(struct bytes *bytes, const void *data, size_t length)
{
	if (bytes->room - bytes->length < length) {
		bytes->room = 2 * (bytes->length + length);
		bytes->data = memory_resize(bytes->data, bytes->room);
	}
	if (length > 0)
		memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
}

void
bytes_add_text(struct bytes *bytes, const char *text)
{
	bytes_add(bytes, text, strlen(text));
}
