/*
 * reload_workers - what workers have to do with a reload: they prepare, and
 * after the commit they follow; see reload_state.h.
 *
 * Runs in: master.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/access.h"
#include "server/master/courier.h"
#include "server/master/handover.h"
#include "server/master/in_use.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "server/master/outbox.h"
#include "server/master/reload_state.h"

#define PREPARE_MS 2000
/* Twice: for the worker that was there, and for its successor. */
#define FOLLOW_MS 5000

static bool
worker_follows(const struct body_ref *ref)
{
	return ref->body_fd >= 0 &&
	    ref->follows == ref->master->plan->generation;
}

/* Following */

static void
tell_all(struct master *m, void (*change)(struct body_ref *ref))
{
	BODIES_EACH(&m->bodies, ref)
	{
		change(ref);
		courier_send(ref);
	}
}

void
reload_settle(struct reload *r)
{
	listeners_retire(&r->m->listeners, r->m->plan);
	handover_wake(r->m);
	reload_finish(r, NULL);
}

/* One that hands over may hang, and have no holder that would replace it.  It
 * holds nobody up: what its connections use keeps its rows (P2). */
static bool
is_left_behind(const struct body_ref *ref)
{
	return ref->is_retiring &&
	    !outbox_is_ready(ref, ref->master->plan->generation);
}

static void
look_whether_all_follow(struct reload *r)
{
	const struct bodies *bodies = &r->m->bodies;

	BODIES_EACH(bodies, ref)
	{
		if (!worker_follows(ref) && !is_left_behind(ref))
			return;
	}
	reload_settle(r);
}

static void
hurry_worker(const struct body_ref *ref)
{
	if (worker_follows(ref) || ref->body_fd < 0 || is_left_behind(ref))
		return;
	if (ref->is_lost || ref->holder_pid == 0) {
		log_error("worker %u still works by the old configuration, and "
			  "has no holder that could replace it process=%d",
		    ref->seat, ref->worker_pid);
		return;
	}
	log_warn("worker %u does not follow the reload and is replaced "
		 "process=%d",
	    ref->seat, ref->worker_pid);
	if (ref->worker_pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, ref->worker_pidfd, SIGKILL,
		    NULL, 0);
}

/* The second time: each had a successor, and that had its time. */
static void
on_follow_timeout(struct reload *r)
{
	const struct bodies *bodies = &r->m->bodies;

	if (!r->has_hurried) {
		r->has_hurried = true;
		BODIES_EACH(bodies, ref)
		hurry_worker(ref);
		loop_timer_set(r->m->loop, &r->deadline, FOLLOW_MS);
		return;
	}
	BODIES_EACH(bodies, ref)
	{
		if (!worker_follows(ref))
			log_warn("worker %u does not work by the new "
				 "configuration yet",
			    ref->seat);
	}
	reload_settle(r);
}

/* The commit */

/* Connections that ended until now have their lines where lines went. */
static void
switch_logs(const struct master *m)
{
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->body_fd >= 0)
			access_take_all(ref);
	}
	logger_commit();
}

static void
commit(struct reload *r)
{
	struct master *m = r->m;

	if (listeners_listen(&m->listeners, m->plan, m->next, r->message,
		sizeof(r->message)) < 0) {
		reload_abandon(r, "bind");
		return;
	}
	in_use_set_bases(m, m->plan, m->next);
	r->old = m->plan;
	r->old_fd = m->plan_fd;
	m->plan = m->next;
	m->plan_fd = m->next_fd;
	m->next = NULL;
	m->next_fd = -1;
	r->result.plan = NULL;
	r->result.plan_fd = -1;
	atomic_store(&m->board_head->generation, m->plan->generation);
	r->stage = RELOAD_FOLLOWING;
	r->has_hurried = false;
	loop_timer_set(m->loop, &r->deadline, FOLLOW_MS);
	listeners_commit(&m->listeners, m->plan);
	switch_logs(m);
	BODIES_EACH(&m->bodies, ref)
	outbox_commit(ref);
	/* It tells them something, which wakes who has nothing to do. */
	master_on_commit(m, r->old);
	bodies_resize(m, m->plan->workers);
}

/* Preparing */

static bool
worker_is_ready(const struct body_ref *ref)
{
	return ref->body_fd >= 0 &&
	    outbox_is_ready(ref, ref->master->next->generation);
}

static void
go_on(struct reload *r)
{
	if (r->dry_run)
		reload_abandon(r, NULL);
	else
		commit(r);
}

static void
look_whether_all_are_ready(struct reload *r)
{
	const struct bodies *bodies = &r->m->bodies;

	BODIES_EACH(bodies, ref)
	{
		if (!worker_is_ready(ref))
			return;
	}
	go_on(r);
}

static void
explain_unready(const struct body_ref *ref, char *why, size_t why_size)
{
	if (ref->body_fd < 0)
		(void)snprintf(why, why_size,
		    "worker %u is not running, it is being started: try again",
		    ref->seat);
	else if (ref->worker_pid == 0)
		(void)snprintf(why, why_size,
		    "worker %u has died and its successor is not there yet: "
		    "try again",
		    ref->seat);
	else
		(void)snprintf(why, why_size,
		    "worker %u (process %d) did not get ready within %d s; if "
		    "it hangs the watchdog replaces it: try again then",
		    ref->seat, ref->worker_pid, PREPARE_MS / 1000);
}

static void
on_prepare_timeout(struct reload *r)
{
	const struct bodies *bodies = &r->m->bodies;

	BODIES_EACH(bodies, ref)
	{
		if (worker_is_ready(ref) || ref->is_retiring)
			continue;
		explain_unready(ref, r->message, sizeof(r->message));
		reload_abandon(r, "prepare");
		return;
	}
	go_on(r);
}

void
reload_prepare(struct reload *r)
{
	struct master *m = r->m;

	m->next = r->result.plan;
	m->next_fd = r->result.plan_fd;
	m->last_generation = m->next->generation;
	r->stage = RELOAD_PREPARING;
	loop_timer_set(m->loop, &r->deadline, PREPARE_MS);
	BODIES_EACH(&m->bodies, ref)
	courier_send(ref);
}

void
reload_tell_aborted(struct master *m)
{
	if (m->next == NULL)
		return;
	m->next = NULL;
	m->next_fd = -1;
	tell_all(m, outbox_abort);
}

/* Either */

void
reload_look(struct reload *r)
{
	if (r->stage == RELOAD_PREPARING)
		look_whether_all_are_ready(r);
	else
		look_whether_all_follow(r);
}

void
reload_on_timeout(struct reload *r)
{
	if (r->stage == RELOAD_PREPARING)
		on_prepare_timeout(r);
	else
		on_follow_timeout(r);
}
