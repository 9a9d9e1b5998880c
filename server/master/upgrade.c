/*
 * upgrade - the transaction that puts another program in this one's place; see
 * upgrade.h.
 *
 * Invariants
 *  U1  Until execve() nothing that is in force is touched, so there is nothing
 *      to undo.
 *  U2  What is checked is what is executed: one open file, whatever becomes of
 *      its path.
 *  U3  Whoever waits is told once: by this program, or, with its descriptor,
 *      by the next.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/version.h"
#include "server/master/access.h"
#include "server/master/control_upgrade.h"
#include "server/master/launch.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/program.h"
#include "server/master/reload.h"
#include "server/master/status.h"
#include "server/master/upgrade.h"
#include "server/master/upgrade_check.h"
#include "server/master/upgrade_order.h"

/* How long the bodies of before may take until whoever waits is told. */
#define SETTLE_MS 30000
#define WHY_SIZE  640

enum upgrade_stage {
	UPGRADE_IDLE,
	UPGRADE_CHECKING, /* the child runs */
	UPGRADE_READY,    /* it could; executed as soon as the loop is free */
	UPGRADE_SETTLING, /* executed: the bodies of before hand over */
};

struct upgrade {
	struct master *m;
	enum upgrade_stage stage;
	struct upgrade_waiter waiter;
	struct upgrade_check check;
	struct launch_program program; /* U2 */
	char path[PATH_MAX];           /* of it */
	char from[VERSIONS_NAME_SIZE];
	char to[VERSIONS_NAME_SIZE];
	struct loop_timer timer;     /* READY: go; SETTLING: enough */
	struct upgrade_order before; /* of the program before this one */
};

/* The end */

static uint32_t
count_remaining(const struct master *m)
{
	uint32_t count = 0;

	BODIES_EACH(&m->bodies, ref)
	count += ref->body_fd >= 0 && (!ref->is_current || ref->is_foreign);
	return count;
}

/* failed: the stage that did, with a message, or NULL. */
static void
finish(struct upgrade *u, const char *failed, const char *message)
{
	struct master *m = u->m;
	const struct upgrade_outcome outcome = {
	    .ok = failed == NULL,
	    .program = u->path,
	    .from = u->from,
	    .to = u->to,
	    .remaining = count_remaining(m),
	    .stage = failed == NULL ? "" : failed,
	    .message = failed == NULL ? "" : message,
	};
	upgrade_done_fn *done = u->waiter.done;

	loop_timer_cancel(m->loop, &u->timer);
	upgrade_check_abandon(&u->check);
	if (u->program.fd >= 0)
		(void)close(u->program.fd);
	u->program.fd = -1;
	if (outcome.ok)
		log_info("upgrade: done from=%s to=%s program=%s remaining=%u",
		    u->from, u->to, u->path, outcome.remaining);
	else
		log_error("upgrade refused, this program goes on: %s: %s",
		    failed, message);
	u->stage = UPGRADE_IDLE;
	u->waiter.done = NULL;
	if (done != NULL)
		done(u->waiter.arg, &outcome);
	reload_resume(m);
}

/* It was something about the program that failed: why is about "it". */
static void
refuse(struct upgrade *u, const char *failed, const char *why)
{
	char message[PATH_MAX + WHY_SIZE + sizeof(": ")];

	(void)snprintf(message, sizeof(message), "%s: %s", u->path, why);
	finish(u, failed, message);
}

/* Beginning */

/* The file that this process was started from, whatever it was told to become
 * since; a restart would begin with it as well. */
static const char *
home_of(const struct master *m)
{
	const char *home = m->upgrade->before.home;

	return *home == '\0' ? m->launch->program : home;
}

/* What is under way that does not go together with an upgrade, or NULL. */
static const char *
find_rival(struct master *m)
{
	if (m->upgrade->stage != UPGRADE_IDLE)
		return "another upgrade is under way: try again when it is "
		       "done";
	if (m->closing.is_open)
		return CLOSING_IS_BUSY;
	if (m->rebalance.is_open)
		return REBALANCE_IS_BUSY;
	if (count_remaining(m) > 0)
		return "connections are still being handed over to new "
		       "workers: try again when no worker is retiring";
	if (!reload_make_way(m))
		return RELOAD_IS_BUSY;
	return NULL;
}

static int
may_begin(struct master *m, const char **stage, char *why, size_t why_size)
{
	const char *rival;

	*stage = UPGRADE_STAGE_STOP;
	(void)snprintf(why, why_size, "%s", RELOAD_STOPS);
	if (m->phase != MASTER_SERVING)
		return -ESHUTDOWN;
	*stage = UPGRADE_STAGE_BUSY;
	rival = find_rival(m);
	if (rival == NULL)
		return 0;
	(void)snprintf(why, why_size, "%s", rival);
	return -EBUSY;
}

static int
try_begin(struct upgrade *u, const char *program, const char **stage, char *why,
    size_t why_size)
{
	struct master *m = u->m;
	int rc = may_begin(m, stage, why, why_size);

	if (rc < 0)
		return rc;
	*stage = UPGRADE_STAGE_PROGRAM;
	u->program.fd = program_open(program, why, why_size);
	if (u->program.fd < 0)
		return u->program.fd;
	*stage = UPGRADE_STAGE_CHECK;
	(void)snprintf(u->path, sizeof(u->path), "%s", program);
	rc = upgrade_check_begin(&u->check, m->loop, m->launch, &u->program,
	    m->passed.count, plan_string(m->plan, m->plan->control.path));
	if (rc == 0)
		return 0;
	(void)snprintf(why, why_size, "%s: it could not be run: %s", program,
	    strerror(-rc));
	(void)close(u->program.fd);
	u->program.fd = -1;
	return rc;
}

int
upgrade_begin(struct master *m, const char *program,
    const struct upgrade_waiter *waiter, struct upgrade_outcome *refused,
    char *why, size_t why_size)
{
	struct upgrade *u = m->upgrade;
	int rc;

	if (program == NULL)
		program = home_of(m);
	*refused = (struct upgrade_outcome){
	    .program = program,
	    .from = SRVD_VERSION,
	    .to = "",
	    .message = why,
	};
	rc = try_begin(u, program, &refused->stage, why, why_size);
	if (rc < 0) {
		log_error("upgrade refused: %s: %s", refused->stage, why);
		return rc;
	}
	u->stage = UPGRADE_CHECKING;
	u->waiter = *waiter;
	(void)snprintf(u->from, sizeof(u->from), "%s", SRVD_VERSION);
	log_info("upgrade: the program is asked whether it could serve "
		 "program=%s",
	    program);
	return 0;
}

void
upgrade_before_reap(struct master *m, pid_t pid)
{
	if (m->upgrade != NULL && m->upgrade->check.pid == pid)
		upgrade_check_end_all(&m->upgrade->check);
}

bool
upgrade_on_child(struct master *m, pid_t pid, int status)
{
	struct upgrade *u = m->upgrade;
	char why[WHY_SIZE];

	if (u == NULL || u->stage != UPGRADE_CHECKING || u->check.pid != pid)
		return false;
	if (upgrade_check_end(&u->check, status, u->to, why, sizeof(why)) < 0) {
		refuse(u, UPGRADE_STAGE_CHECK, why);
		return true;
	}
	u->stage = UPGRADE_READY;
	loop_timer_set(m->loop, &u->timer, 0);
	return true;
}

/* In place */

static void
execute(struct upgrade *u)
{
	struct master *m = u->m;
	struct upgrade_order order = {
	    .started_ms = m->started_ms,
	    .waiter_fd = -1,
	    .from = SRVD_VERSION,
	};
	char text[UPGRADE_ORDER_SIZE];
	char why[WHY_SIZE];
	int rc;

	if (u->waiter.done != NULL)
		order.waiter_fd =
		    u->waiter.fd_of(u->waiter.arg, &order.waiter_is_last);
	control_bequeath(m->control, &order.heir);
	(void)snprintf(order.home, sizeof(order.home), "%s", home_of(m));
	upgrade_order_write(&order, text);
	log_info("upgrade: another program takes over from=%s to=%s program=%s",
	    u->from, u->to, u->path);
	notify_upgrading(m, u->to);
	/* The next program may have another idea of where they stand. */
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->body_fd >= 0)
			access_take_all(ref);
	}
	rc = launch_exec(m->launch, &u->program, m->passed.count,
	    (int[LAUNCH_KEPT]){order.waiter_fd, order.heir.fd}, text);
	(void)snprintf(why, sizeof(why), "it could not be executed: %s",
	    strerror(-rc));
	refuse(u, UPGRADE_STAGE_EXEC, why);
}

static void
on_timer(struct loop_timer *timer)
{
	struct upgrade *u = timer->arg;

	if (u->stage == UPGRADE_READY)
		execute(u);
	else if (u->stage == UPGRADE_SETTLING)
		finish(u, NULL, NULL);
}

/* After it */

static void
settle(struct upgrade *u)
{
	u->m->started_ms = u->before.started_ms;
	u->stage = UPGRADE_SETTLING;
	(void)snprintf(u->from, sizeof(u->from), "%s", u->before.from);
	(void)snprintf(u->to, sizeof(u->to), "%s", SRVD_VERSION);
	(void)snprintf(u->path, sizeof(u->path), "%s", u->m->launch->program);
}

const char *
upgrade_from(const struct master *m)
{
	const struct upgrade *u = m->upgrade;

	return u == NULL || *u->before.from == '\0' ? NULL : u->before.from;
}

const struct control_heir *
upgrade_heir(const struct master *m)
{
	return &m->upgrade->before.heir;
}

void
upgrade_resume(struct master *m)
{
	struct upgrade *u = m->upgrade;
	int fd = u->before.waiter_fd;

	if (u->stage != UPGRADE_SETTLING)
		return;
	loop_timer_set(m->loop, &u->timer, SETTLE_MS);
	u->before.waiter_fd = -1;
	if (fd >= 0)
		control_upgrade_resume(m->control, fd, u->before.waiter_is_last,
		    &u->waiter);
}

void
upgrade_failed(struct master *m, const char *why)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL || u->stage != UPGRADE_SETTLING)
		return;
	if (u->before.waiter_fd >= 0) {
		control_upgrade_refuse(u->before.waiter_fd, UPGRADE_STAGE_START,
		    why);
		(void)close(u->before.waiter_fd);
		u->before.waiter_fd = -1;
	}
	finish(u, UPGRADE_STAGE_START, why);
}

void
upgrade_on_worker(struct master *m)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL || u->stage != UPGRADE_SETTLING || count_remaining(m) > 0)
		return;
	for (uint32_t i = 0; i < m->bodies.count; i++) {
		if (!status_worker_runs(m, i))
			return;
	}
	/* Not from within what bodies.c does. */
	loop_timer_set(m->loop, &u->timer, 0);
}

/* Meanwhile */

bool
upgrade_is_busy(const struct master *m)
{
	return m->upgrade != NULL && m->upgrade->stage != UPGRADE_IDLE;
}

const char *
upgrade_hindrance(const struct master *m)
{
	if (m->phase != MASTER_SERVING)
		return RELOAD_STOPS;
	return upgrade_is_busy(m) ? UPGRADE_IS_BUSY : NULL;
}

void
upgrade_forget(struct master *m, const void *arg)
{
	if (m->upgrade->waiter.arg == arg)
		m->upgrade->waiter.done = NULL;
}

void
upgrade_stop(struct master *m)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL || u->stage == UPGRADE_IDLE)
		return;
	if (u->stage == UPGRADE_SETTLING)
		finish(u, NULL, NULL);
	else
		finish(u, UPGRADE_STAGE_STOP, RELOAD_STOPS);
}

int
upgrade_open(struct master *m)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return -ENOMEM;
	u->m = m;
	u->program.fd = -1;
	u->program.path = u->path;
	u->timer = (struct loop_timer){.due = on_timer, .arg = u};
	m->upgrade = u;
	if (upgrade_order_read(&u->before, getenv(LAUNCH_VARIABLE),
		m->started_ms))
		settle(u);
	(void)unsetenv(LAUNCH_VARIABLE);
	return 0;
}

void
upgrade_close(struct master *m)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL)
		return;
	upgrade_failed(m, "the gateway has ended");
	upgrade_stop(m);
	free(u);
	m->upgrade = NULL;
}
