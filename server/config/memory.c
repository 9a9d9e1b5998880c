/*
 * memory - allocation in the configuration's child process; see memory.h.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/memory.h"

void *
memory_resize(void *old, size_t size)
{
	void *new = realloc(old, size);

	if (new == NULL)
		_exit(MEMORY_EXIT_STATUS);
	return new;
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
