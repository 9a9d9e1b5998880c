/*
 * reload - the transaction that puts another configuration in force; see
 * reload.h.
 *
 * Invariants
 *  R1  Before commit() (reload_workers.c) nothing that is in force is
 *      touched; reload_abandon() undoes all the rest.
 *  R2  Both plans stay mapped until whoever waits has been told: the changes
 *      name strings of both.
 *  R3  A generation that a worker was sent is never used again.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/config/config.h"
#include "server/master/in_use.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/reload.h"
#include "server/master/reload_check.h"
#include "server/master/reload_state.h"
#include "server/master/upgrade.h"

/* The child has its own limits; this is for one that can't keep them. */
#define READ_MS 32000

/* The end */

static void
forget_all(struct reload *r)
{
	plan_unmap(r->old);
	if (r->old_fd >= 0)
		close(r->old_fd);
	r->old = NULL;
	r->old_fd = -1;
	config_result_release(&r->result);
	free(r->changes);
	r->changes = NULL;
	r->changes_count = 0;
}

static void
remember(struct master *m, const struct reload_outcome *outcome)
{
	if (outcome->dry_run)
		return;
	m->reload_ok = outcome->ok;
	m->reload_at_us = clock_epoch_us();
	reload_sentence(outcome, m->reload_message, sizeof(m->reload_message));
	if (outcome->ok)
		m->loaded_at_us = m->reload_at_us;
}

/* failed: the stage that did, or NULL; why is in r->message, or errors are in
 * the result. */
void
reload_finish(struct reload *r, const char *failed)
{
	struct master *m = r->m;
	const struct reload_outcome outcome = {
	    .ok = failed == NULL,
	    .dry_run = r->dry_run,
	    .generation = m->plan->generation,
	    .changes = r->changes,
	    .changes_count = r->changes_count,
	    .errors = r->result.errors,
	    .errors_count = r->result.errors_count,
	    .stage = failed == NULL ? "" : failed,
	    .message = failed == NULL ? "" : r->message,
	};

	r->stage = RELOAD_TELLING;
	loop_timer_cancel(m->loop, &r->deadline);
	loop_timer_cancel(m->loop, &r->look);
	remember(m, &outcome);
	reload_log(&outcome, r->done == NULL);
	if (!r->dry_run)
		notify_reloaded(m);
	if (r->done != NULL)
		r->done(r->arg, &outcome);
	r->done = NULL;
	forget_all(r);
	r->stage = RELOAD_IDLE;
	if (r->again)
		loop_timer_set(m->loop, &r->look, 0);
}

/* Undo what there is before a commit (R1). */
void
reload_abandon(struct reload *r, const char *failed)
{
	struct master *m = r->m;

	reload_tell_aborted(m);
	listeners_abort(&m->listeners);
	logger_abort();
	reload_finish(r, failed);
}

/* Reading */

static void
on_plan(struct reload *r)
{
	struct master *m = r->m;
	const struct plan *to = r->result.plan;
	int rc;

	if (to == NULL) {
		(void)snprintf(r->message, sizeof(r->message),
		    "the configuration has errors");
		reload_finish(r, "check");
		return;
	}
	rc = reload_check(m, to, r->message, sizeof(r->message));
	if (rc == 0) {
		(void)snprintf(r->message, sizeof(r->message),
		    "there is not enough memory");
		rc = reload_list_changes(m, to, &r->changes, &r->changes_count);
	}
	/* Without a difference there is nothing to do, unless rows that were
	 * removed can be given to others now. */
	if (rc < 0 ||
	    (r->changes_count == 0 && !config_frees_rows(m->plan, to))) {
		reload_finish(r, rc < 0 ? "check" : NULL);
		return;
	}
	rc = listeners_prepare(&m->listeners, m->plan, to, r->message,
	    sizeof(r->message));
	if (rc == 0)
		rc = logger_prepare(to, r->message, sizeof(r->message));
	if (rc < 0)
		reload_abandon(r, "bind");
	else
		reload_prepare(r);
}

static void
on_child_said(struct loop_watch *watch, uint32_t events)
{
	struct reload *r = watch->arg;

	(void)events;
	if (config_receive(&r->child) != -EAGAIN)
		loop_remove(r->m->loop, watch);
}

bool
reload_on_child(struct master *m, pid_t pid, int status)
{
	struct reload *r = m->reload;

	if (r->stage != RELOAD_READING || r->child.pid != pid)
		return false;
	loop_remove(m->loop, &r->child_watch);
	loop_timer_cancel(m->loop, &r->deadline);
	config_reaped(&r->child, status);
	config_finish(&r->child, &r->result);
	on_plan(r);
	return true;
}

static int
begin_to_read(struct reload *r)
{
	struct master *m = r->m;
	const struct config_request request = {
	    .path = m->config_path,
	    .generation = m->last_generation + 1,
	    .nofile = m->nofile,
	    .passed = &m->passed,
	    .previous = m->plan,
	    .service_in_use = in_use_service,
	    .backend_in_use = in_use_backend,
	    .in_use_arg = m,
	};
	int rc = config_begin(&request, &r->child);

	if (rc < 0)
		return rc;
	r->child_watch = (struct loop_watch){
	    .fd = r->child.fd,
	    .events = EPOLLIN,
	    .ready = on_child_said,
	    .arg = r,
	};
	rc = loop_add(m->loop, &r->child_watch);
	if (rc < 0)
		config_abandon(&r->child);
	return rc;
}

/* End what has not been committed; why is in r->message. */
static void
give_up(struct reload *r, const char *stage)
{
	switch (r->stage) {
	case RELOAD_READING:
		loop_remove(r->m->loop, &r->child_watch);
		config_abandon(&r->child);
		reload_finish(r, stage);
		break;
	case RELOAD_PREPARING:
		reload_abandon(r, stage);
		break;
	default:
		break;
	}
}

/* A dry run makes way: those who may only look must not keep those who may
 * change something from it. */
static void
supersede(struct reload *r)
{
	(void)snprintf(r->message, sizeof(r->message),
	    "a reload was asked for meanwhile: try again");
	give_up(r, "superseded");
}

bool
reload_make_way(struct master *m)
{
	struct reload *r = m->reload;

	if (r->dry_run)
		supersede(r);
	return r->stage == RELOAD_IDLE && !r->again;
}

/* The child could not be started: for want of memory, descriptors, processes. */
static void
say_unread(struct master *m, bool dry_run, int error)
{
	log_error("can't reload: %s", strerror(-error));
	if (dry_run)
		return;
	m->reload_ok = false;
	m->reload_at_us = clock_epoch_us();
	(void)snprintf(m->reload_message, sizeof(m->reload_message),
	    "the configuration could not be read: %s", strerror(-error));
}

int
reload_begin(struct master *m, bool dry_run, reload_done_fn *done, void *arg)
{
	struct reload *r = m->reload;
	int rc;

	if (m->phase != MASTER_SERVING)
		return -ESHUTDOWN;
	if (upgrade_is_busy(m))
		return -EBUSY;
	if (r->dry_run && !dry_run)
		supersede(r);
	if (r->stage != RELOAD_IDLE)
		return -EBUSY;
	rc = begin_to_read(r);
	if (rc < 0) {
		say_unread(m, dry_run, rc);
		return rc;
	}
	r->stage = RELOAD_READING;
	r->dry_run = dry_run;
	r->done = done;
	r->arg = arg;
	r->message[0] = '\0';
	if (!dry_run)
		notify_reloading(m);
	loop_timer_set(m->loop, &r->deadline, READ_MS);
	return 0;
}

/* What happens meanwhile */

static void
on_deadline(struct loop_timer *timer)
{
	struct reload *r = timer->arg;

	switch (r->stage) {
	case RELOAD_READING:
		/* Its end is told as that of any child. */
		(void)kill(r->child.pid, SIGKILL);
		break;
	case RELOAD_PREPARING:
	case RELOAD_FOLLOWING:
		reload_on_timeout(r);
		break;
	default:
		break;
	}
}

static void
on_look(struct loop_timer *timer)
{
	struct reload *r = timer->arg;

	switch (r->stage) {
	case RELOAD_PREPARING:
	case RELOAD_FOLLOWING:
		reload_look(r);
		break;
	case RELOAD_IDLE:
		if (r->again)
			reload_on_signal(r->m);
		break;
	default:
		break;
	}
}

void
reload_on_worker(struct master *m)
{
	struct reload *r = m->reload;

	if (r->stage == RELOAD_PREPARING || r->stage == RELOAD_FOLLOWING)
		loop_timer_set(m->loop, &r->look, 0);
}

void
reload_on_refused(struct body_ref *ref, uint64_t generation, const char *text)
{
	struct master *m = ref->master;
	struct reload *r = m->reload;

	if (r->stage != RELOAD_PREPARING || generation != m->next->generation)
		return;
	(void)snprintf(r->message, sizeof(r->message), "worker %u: %.500s",
	    ref->seat, text);
	reload_abandon(r, "prepare");
}

void
reload_on_signal(struct master *m)
{
	struct reload *r = m->reload;
	int rc;

	r->again =
	    upgrade_is_busy(m) || (r->stage != RELOAD_IDLE && !r->dry_run);
	if (r->again)
		return;
	rc = reload_begin(m, false, NULL, NULL);
	if (rc == 0)
		return;
	if (rc == -ESHUTDOWN) {
		log_warn("SIGHUP is not followed by a reload: " RELOAD_STOPS);
		return;
	}
	/* The service manager may have sent it, and waits. */
	notify_reloading(m);
	notify_reloaded(m);
}

void
reload_resume(struct master *m)
{
	struct reload *r = m->reload;

	if (r != NULL && r->stage == RELOAD_IDLE && r->again)
		loop_timer_set(m->loop, &r->look, 0);
}

void
reload_stop(struct master *m)
{
	struct reload *r = m->reload;

	r->again = false;
	(void)snprintf(r->message, sizeof(r->message), RELOAD_STOPS);
	if (r->stage == RELOAD_FOLLOWING)
		reload_settle(r);
	else
		give_up(r, "stop");
}

void
reload_forget(struct master *m, const void *arg)
{
	struct reload *r = m->reload;

	if (r->arg == arg)
		r->done = NULL;
}

int
reload_open(struct master *m)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	*r = (struct reload){
	    .m = m,
	    .old_fd = -1,
	    .result = {.plan_fd = -1},
	    .deadline = {.due = on_deadline, .arg = r},
	    .look = {.due = on_look, .arg = r},
	};
	m->reload = r;
	return 0;
}

void
reload_close(struct master *m)
{
	struct reload *r = m->reload;

	if (r == NULL)
		return;
	reload_stop(m);
	loop_timer_cancel(m->loop, &r->deadline);
	loop_timer_cancel(m->loop, &r->look);
	free(r);
	m->reload = NULL;
}
