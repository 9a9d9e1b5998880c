/*
 * frame - messages that end with a NUL; see frame.h.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame.h"

#define FIRST_SIZE 4096

void
frame_init(struct frame *frame, size_t limit)
{
	*frame = (struct frame){.limit = limit};
}

void
frame_release(struct frame *frame)
{
	free(frame->data);
	*frame = (struct frame){.limit = frame->limit};
}

static void
frame_move_down(struct frame *frame)
{
	if (frame->begin == 0)
		return;
	memmove(frame->data, frame->data + frame->begin,
	    frame->end - frame->begin);
	frame->end -= frame->begin;
	frame->scanned -= frame->begin;
	frame->begin = 0;
}

static int
frame_grow(struct frame *frame)
{
	/* The limit, its NUL, and a byte that shows it was overrun. */
	size_t most = frame->limit + 2;
	size_t size = frame->size == 0 ? FIRST_SIZE : frame->size * 2;
	char *data;

	if (size > most)
		size = most;
	assert(size > frame->size);
	data = realloc(frame->data, size);
	if (data == NULL)
		return -ENOMEM;
	frame->data = data;
	frame->size = size;
	return 0;
}

int
frame_room(struct frame *frame, char **at, size_t *room)
{
	int error;

	/* Moved only when more than half is free, or the end is reached. */
	if (frame->end == frame->size || frame->begin > frame->size / 2)
		frame_move_down(frame);
	if (frame->end == frame->size) {
		error = frame_grow(frame);
		if (error < 0)
			return error;
	}
	*at = frame->data + frame->end;
	*room = frame->size - frame->end;
	return 0;
}

void
frame_added(struct frame *frame, size_t count)
{
	assert(count <= frame->size - frame->end);
	frame->end += count;
}

int
frame_next(struct frame *frame, char **message, size_t *length)
{
	char *nul = NULL;
	size_t start = frame->begin;

	if (frame->end > frame->scanned)
		nul = memchr(frame->data + frame->scanned, '\0',
		    frame->end - frame->scanned);
	if (nul == NULL) {
		frame->scanned = frame->end;
		if (frame->end - start > frame->limit)
			return -EMSGSIZE;
		if (frame->end == start)
			frame_release(frame);
		return 0;
	}
	*message = frame->data + start;
	*length = (size_t)(nul - *message);
	if (*length > frame->limit) {
		frame->scanned = start;
		return -EMSGSIZE;
	}
	frame->begin = frame->scanned = start + *length + 1;
	return 1;
}

bool
frame_has_bytes(const struct frame *frame)
{
	return frame->end > frame->begin;
}
