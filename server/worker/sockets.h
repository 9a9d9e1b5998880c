/*
 * sockets - the listening sockets of a body, and which plan they are of.
 *
 * Socket n stands in the body with the generation that it was made for: an
 * index may have been another address's, of a reload that was given up or in
 * an earlier plan, and such a socket must not be taken for the new one.
 *
 * Runs in: worker.  Knows nothing of: accepting.
 *
 * Invariants
 *  K1  The generation is written before the number, and the number forgotten
 *      before it is closed: at any instruction what stands in the body is
 *      true, and what doesn't is the sweep's to close.
 *  K2  A socket leaves epoll before it is closed here: the master has the
 *      same open file, and with it epoll would go on reporting a number that
 *      is nobody's or another's.
 */
#ifndef SRVD_WORKER_SOCKETS_H
#define SRVD_WORKER_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/body.h"

/*
 * Sockets that are members of seats which are no more stand behind our own
 * (BODY_LISTENERS_MAX): the workers that there are share them out by number.
 * The numbers that plan may have something to do with:
 */
#define SOCKETS_EACH(plan, n)                               \
	for (uint32_t n = sockets_next((plan), UINT32_MAX); \
	     (n) < BODY_SOCKETS_MAX; (n) = sockets_next((plan), (n)))

static inline uint32_t
sockets_next(const struct plan *plan, uint32_t n)
{
	n++;
	return n >= 2 * plan->listeners.count && n < BODY_LISTENERS_MAX
	    ? BODY_LISTENERS_MAX
	    : n;
}

/* The number of our own socket of the same group. */
static inline uint32_t
sockets_number(const struct body_head *head, uint32_t n)
{
	return n < BODY_LISTENERS_MAX
	    ? n
	    : head->extra_number[n - BODY_LISTENERS_MAX];
}

/* Does plan want a socket n?  plan may be NULL: it wants none. */
bool sockets_is_wanted(const struct plan *plan, uint32_t n);

/* Is socket n here, and the one that plan means? */
bool sockets_has(const struct body_head *head, const struct plan *plan,
    uint32_t n);

/* Has every socket that plan wants arrived, and so many of other seats? */
must_check bool sockets_are_complete(const struct body_head *head,
    const struct plan *plan, uint32_t extras);

/*
 * Keep fd as the socket n of plan.  One of another plan in its place is
 * closed, unless it is of in_force (or NULL).  False: fd is not wanted, or
 * there already, and remains the caller's.
 */
must_check bool sockets_take(struct body_head *head, const struct plan *plan,
    const struct plan *in_force, uint32_t n, int fd);

/* The same with the one of another seat. */
must_check bool sockets_take_extra(struct body_head *head,
    const struct plan *plan, uint32_t n, uint32_t seat, int fd);

/* Forget and close socket n, if there is one. */
void sockets_close(struct body_head *head, uint32_t n);

/* Close those that neither of two plans means; either may be NULL. */
void sockets_close_others(struct body_head *head, const struct plan *a,
    const struct plan *b);

#endif
