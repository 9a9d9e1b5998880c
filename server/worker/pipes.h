/*
 * pipes - the pipes of a body: a table in it, and a stack of the free ones.
 *
 * Runs in: worker.  Knows nothing of: connections, sockets.
 *
 * Invariants
 *  I1  A pipe on the free stack is empty.
 *  I2  A pipe belongs to the flow whose slot names it, and to no other.
 */
#ifndef SRVD_WORKER_PIPES_H
#define SRVD_WORKER_PIPES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/body.h"

/* What a pipe is asked to hold (fcntl(2), F_SETPIPE_SZ); an unprivileged user
 * gets less once his pipes have used up pipe-user-pages-soft (pipe(7)). */
#define PIPES_BYTES (256 * 1024)

struct pipes {
	struct body_pipe *table; /* number 1 is table[0] */
	uint32_t max;
	uint32_t used; /* entries that ever were ready */
	uint16_t free[BODY_PIPES_MAX];
	uint32_t free_count;
	bool is_short; /* the last try to make one failed */
};

/* The table as it is; nothing is free until pipes_give(). */
void pipes_init(struct pipes *p, struct body_head *head);

/*
 * A number of an empty pipe for the flow, written into *holder before
 * anything else sees it; false (and *holder stays 0) if none can be had now.
 */
must_check bool pipes_take(struct pipes *p, uint16_t *holder);

/* Make some for the time when no descriptors are left: even a FIN is read
 * through a pipe. */
void pipes_reserve(struct pipes *p);

/* Could pipes_take find one, as far as is known without trying? */
bool pipes_has_free(const struct pipes *p);

/* Are so few left that nobody may keep one while his sink takes nothing? */
bool pipes_are_scarce(const struct pipes *p);

/* The flow is done with it and it is empty (I1); *holder becomes 0. */
void pipes_give(struct pipes *p, uint16_t *holder);

/* Throw it away with what is in it; *holder becomes 0. */
void pipes_destroy(struct pipes *p, uint16_t *holder);

/*
 * Enter a pipe that came from another body, *holder being its slot's; false if
 * the table is full.  The slot names it before it is ready: nobody's ready pipe
 * would be thought free, and this one may be another body's still.
 */
must_check bool pipes_enter(struct pipes *p, uint16_t *holder, const int fds[2],
    uint32_t bytes);

/* Make room in the table for so many; false if there is none. */
must_check bool pipes_make_room(struct pipes *p, uint32_t count);

/* Close our ends of one that is another body's; *holder becomes 0. */
void pipes_leave(struct pipes *p, uint16_t *holder);

/* Take a ready pipe that no slot names for free (the sweep). */
void pipes_adopt(struct pipes *p, uint16_t number);

/* What the pipe holds, in bytes, or -errno. */
must_check int pipes_content(const struct pipes *p, uint16_t number);

#endif
