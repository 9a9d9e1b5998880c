/*
 * frame - messages that end with a NUL, as Varlink has them.
 *
 * Bytes arrive in any pieces; whole messages come out one by one.  What waits
 * is bounded: a message longer than the limit is an error, not an allocation.
 *
 * Runs in: master, srvctl.  Knows nothing of: sockets, JSON.
 *
 * Invariants
 *  R1  No byte is searched for a NUL twice, and none is moved more than once
 *      for each doubling of the buffer: long input costs linear time.
 *  R2  With nothing waiting no memory is held: an idle client costs none.
 */
#ifndef SRVD_COMMON_FRAME_H
#define SRVD_COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"

/* All of it private. */
struct frame {
	char *data;
	size_t size;    /* allocated */
	size_t begin;   /* of the first byte not yet given out */
	size_t end;     /* of what has arrived */
	size_t scanned; /* no NUL from begin up to here (R1) */
	size_t limit;   /* longest message, without its NUL */
};

void frame_init(struct frame *frame, size_t limit);
void frame_release(struct frame *frame);

/*
 * Where the next bytes may be read to: sets *at and *room (at least 1).  Call
 * it only after frame_next() has said that no whole message waits.  Returns 0
 * or -ENOMEM.
 */
must_check int frame_room(struct frame *frame, char **at, size_t *room);
/* So many bytes have been put there. */
void frame_added(struct frame *frame, size_t count);

/*
 * The next whole message: 1 with *message (NUL-terminated, the caller may
 * write to it) and *length, valid until frame_room() or frame_release(); 0
 * if none is whole; -EMSGSIZE if it is longer than the limit, now and ever.
 */
must_check int frame_next(struct frame *frame, char **message, size_t *length);

/* Whether bytes wait that frame_next() has not given out. */
bool frame_has_bytes(const struct frame *frame);

#endif
