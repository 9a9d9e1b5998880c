/*
 * bodies_check - once a second: what the bodies look like, and fresh log
 * budgets; see bodies.h.
 */
#include <signal.h>
#include <stdio.h>

#include "common/log.h"
#include "server/master/access.h"
#include "server/master/bodies.h"
#include "server/master/courier.h"
#include "server/master/deaths.h"
#include "server/master/handover.h"
#include "server/master/master.h"
#include "server/master/process.h"

/* How long status tells of a damaged body that was replaced. */
#define FAULT_SHOWN_MS 60000

/* A worker shuts its channel by ending, and its holder with it. */
static bool
is_deaf(const struct body_ref *ref)
{
	return ref->deaf_ms != 0 && ref->master->phase == MASTER_SERVING &&
	    loop_now_ms(ref->master->loop) - ref->deaf_ms >= BODIES_CHECK_MS;
}

void
bodies_kill_holder(const struct body_ref *ref)
{
	if (ref->holder_pidfd >= 0)
		process_kill(ref->holder_pidfd);
	else if (ref->holder_pid != 0)
		(void)kill(ref->holder_pid, SIGKILL);
}

static const char *
find_fault(const struct body_ref *ref)
{
	if (is_deaf(ref))
		return "its channel was shut";
	/* Another version's is not ours to judge. */
	if (ref->is_foreign)
		return NULL;
	return body_head_fault(ref->body.head, ref->body.size);
}

static void
check_body(struct body_ref *ref)
{
	const char *fault = find_fault(ref);
	uint64_t now = loop_now_ms(ref->master->loop);

	deaths_look(ref);
	courier_retry(ref);
	access_check(ref);
	if (fault == NULL) {
		if (!ref->is_lost && now - ref->fault_ms >= FAULT_SHOWN_MS)
			ref->fault[0] = '\0';
		return;
	}
	if (!ref->is_damaged)
		log_error("the body of worker %u is damaged, it will be "
			  "replaced: %s",
		    ref->seat, fault);
	ref->is_damaged = true;
	ref->fault_ms = now;
	(void)snprintf(ref->fault, sizeof(ref->fault),
	    "its body was damaged and replaced: %s", fault);
	/* Its successor will find the same and give up, and so the holder; but
	 * no successor opens a channel again. */
	if (is_deaf(ref))
		bodies_kill_holder(ref);
	process_kill(ref->worker_pidfd);
}

void
bodies_check(struct loop_timer *timer)
{
	struct master *m = timer->arg;

	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->body_fd >= 0)
			check_body(ref);
		ref->log_budget = COURIER_LINES_A_SECOND;
		if (ref->log_lost > 0)
			log_warn("worker %u logs too much lines_dropped=%llu",
			    ref->seat, (unsigned long long)ref->log_lost);
		ref->log_lost = 0;
	}
	handover_wake(m);
	loop_timer_set(m->loop, timer, BODIES_CHECK_MS);
}
