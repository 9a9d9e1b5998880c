/*
 * sockets - the listening sockets of a body; see sockets.h.
 */
#include <unistd.h>

#include "server/worker/poller.h"
#include "server/worker/sockets.h"

bool
sockets_is_wanted(const struct plan *plan, uint32_t n)
{
	return plan != NULL && body_listener_row(plan, n) != NULL;
}

/* Is the seat one that plan has no worker for, and ours to stand in for? */
static bool
is_our_turn(const struct body_head *head, const struct plan *plan,
    uint32_t seat)
{
	return seat >= plan->workers && seat % plan->workers == head->seat;
}

/* What we have of a seat that is to have a worker again is kept until it does
 * (leave_relieved): with the master alone its queue could die. */
static bool
is_still_ours(const struct body_head *head, const struct plan *plan,
    uint32_t seat)
{
	return seat < plan->workers || is_our_turn(head, plan, seat);
}

bool
sockets_has(const struct body_head *head, const struct plan *plan, uint32_t n)
{
	uint32_t number = sockets_number(head, n);

	return sockets_is_wanted(plan, number) && head->listener_fd[n] != 0 &&
	    head->listener_born[n] == plan_listener(plan, number / 2)->born &&
	    (n < BODY_LISTENERS_MAX ||
		is_still_ours(head, plan,
		    head->extra_seat[n - BODY_LISTENERS_MAX]));
}

bool
sockets_are_complete(const struct body_head *head, const struct plan *plan,
    uint32_t extras)
{
	uint32_t count = 0;

	SOCKETS_EACH(plan, n)
	{
		bool is_here = sockets_has(head, plan, n);

		if (n < BODY_LISTENERS_MAX && !is_here &&
		    sockets_is_wanted(plan, n))
			return false;
		count += n >= BODY_LISTENERS_MAX && is_here &&
		    is_our_turn(head, plan,
			head->extra_seat[n - BODY_LISTENERS_MAX]);
	}
	return count >= extras;
}

/* K1 */
static void
keep(struct body_head *head, const struct plan *plan, uint32_t n, int fd)
{
	head->listener_born[n] =
	    plan_listener(plan, sockets_number(head, n) / 2)->born;
	atomic_signal_fence(memory_order_seq_cst);
	head->listener_fd[n] = fd;
}

bool
sockets_take(struct body_head *head, const struct plan *plan,
    const struct plan *in_force, uint32_t n, int fd)
{
	if (n >= BODY_LISTENERS_MAX || !sockets_is_wanted(plan, n) ||
	    sockets_has(head, plan, n) || sockets_has(head, in_force, n))
		return false;
	sockets_close(head, n);
	keep(head, plan, n, fd);
	return true;
}

static bool
is_extra(const struct body_head *head, const struct plan *plan, uint32_t i,
    uint32_t number, uint32_t seat)
{
	return head->extra_number[i] == number && head->extra_seat[i] == seat &&
	    sockets_has(head, plan, BODY_LISTENERS_MAX + i);
}

bool
sockets_take_extra(struct body_head *head, const struct plan *plan, uint32_t n,
    uint32_t seat, int fd)
{
	uint32_t room = BODY_EXTRAS_MAX;

	if (!sockets_is_wanted(plan, n) || !is_our_turn(head, plan, seat))
		return false;
	for (uint32_t i = 0; i < BODY_EXTRAS_MAX; i++) {
		if (is_extra(head, plan, i, n, seat))
			return false;
		if (head->listener_fd[BODY_LISTENERS_MAX + i] == 0 &&
		    room == BODY_EXTRAS_MAX)
			room = i;
	}
	if (room == BODY_EXTRAS_MAX)
		return false;
	head->extra_number[room] = n;
	head->extra_seat[room] = seat;
	keep(head, plan, BODY_LISTENERS_MAX + room, fd);
	return true;
}

void
sockets_close(struct body_head *head, uint32_t n)
{
	int fd = head->listener_fd[n];

	if (fd == 0)
		return;
	poller_remove(fd);
	head->listener_fd[n] = 0;
	atomic_signal_fence(memory_order_seq_cst);
	close(fd);
}

void
sockets_close_others(struct body_head *head, const struct plan *a,
    const struct plan *b)
{
	for (uint32_t n = 0; n < BODY_SOCKETS_MAX; n++) {
		if (!sockets_has(head, a, n) && !sockets_has(head, b, n))
			sockets_close(head, n);
	}
}
