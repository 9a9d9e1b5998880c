/*
 * sockets - the listening sockets of a body; see sockets.h.
 */
#include <unistd.h>

#include "server/worker/poller.h"
#include "server/worker/sockets.h"

bool
sockets_is_wanted(const struct plan *plan, uint32_t n)
{
	return plan != NULL && n / 2 < plan->listeners.count &&
	    n % 2 < body_listener_sockets(plan_listener(plan, n / 2));
}

bool
sockets_has(const struct body_head *head, const struct plan *plan, uint32_t n)
{
	return sockets_is_wanted(plan, n) && head->listener_fd[n] != 0 &&
	    head->listener_born[n] == plan_listener(plan, n / 2)->born;
}

bool
sockets_are_complete(const struct body_head *head, const struct plan *plan)
{
	for (uint32_t n = 0; n < 2 * plan->listeners.count; n++) {
		if (sockets_is_wanted(plan, n) && !sockets_has(head, plan, n))
			return false;
	}
	return true;
}

bool
sockets_take(struct body_head *head, const struct plan *plan,
    const struct plan *in_force, uint32_t n, int fd)
{
	if (!sockets_is_wanted(plan, n) || sockets_has(head, plan, n) ||
	    sockets_has(head, in_force, n))
		return false;
	sockets_close(head, n);
	head->listener_born[n] = plan_listener(plan, n / 2)->born;
	atomic_signal_fence(memory_order_seq_cst);
	head->listener_fd[n] = fd;
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
	for (uint32_t n = 0; n < BODY_LISTENERS_MAX; n++) {
		if (!sockets_has(head, a, n) && !sockets_has(head, b, n))
			sockets_close(head, n);
	}
}
