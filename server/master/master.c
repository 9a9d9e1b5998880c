/*
 * master - the process that binds, supervises and answers; see master.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/title.h"
#include "common/version.h"
#include "server/master/activation.h"
#include "server/master/adopt.h"
#include "server/master/courier.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/outbox.h"
#include "server/master/reload.h"
#include "server/master/start.h"
#include "server/master/status.h"
#include "server/master/takeover.h"
#include "server/master/upgrade.h"
#include "server/state/channel.h"

static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};

/* Stopping */

void
master_on_empty(struct master *m)
{
	loop_stop(m->loop);
}

static void
on_stop_timer(struct loop_timer *timer)
{
	struct master *m = timer->arg;

	log_warn("workers did not end in time and are killed");
	bodies_kill(m);
	/* What is killed is reaped, and that ends the loop; if one was missed,
	 * the next time finds it. */
	m->phase = MASTER_STOPPING;
	loop_timer_set(m->loop, timer, MASTER_STOP_GRACE_MS);
}

void
master_stop(struct master *m, uint64_t drain_ms)
{
	enum master_phase phase =
	    drain_ms == 0 ? MASTER_STOPPING : MASTER_DRAINING;

	if (m->phase >= phase)
		phase = MASTER_STOPPING;
	if (m->phase == MASTER_STOPPING)
		return;
	if (phase == MASTER_STOPPING)
		drain_ms = 0;
	if (drain_ms == 0)
		log_info("stopping: connections are closed");
	else
		log_info("stopping: connections may go on until the drain "
			 "timeout is over drain_timeout_ms=%llu",
		    (unsigned long long)drain_ms);
	/* The workers are told this as soon as a reload that is given up tells
	 * them so. */
	m->stop_at_ms = loop_now_ms(m->loop) + drain_ms;
	m->phase = phase;
	notify_stopping(m);
	/* If this process dies meanwhile, its bodies still end as they are told:
	 * nobody takes over a stop. */
	doors_remove_all(&m->doors);
	upgrade_stop(m);
	reload_stop(m);
	rebalance_stop(m);
	loop_timer_set(m->loop, &m->stop_timer,
	    status_stop_left_ms(m) + MASTER_STOP_GRACE_MS);
	bodies_tell(m);
	listeners_close(&m->listeners);
}

/* The log */

static void
tell_level(struct master *m)
{
	enum log_level most = m->level;

	for (uint32_t i = 0; i < m->plan->services.count; i++) {
		if (m->service_levels[i] != MASTER_NO_LEVEL &&
		    m->service_levels[i] > most)
			most = (enum log_level)m->service_levels[i];
	}
	m->worker_level = most;
	BODIES_EACH(&m->bodies, ref)
	{
		outbox_level_changed(ref);
		courier_send(ref);
	}
}

void
master_set_level(struct master *m, enum log_level level, uint32_t service)
{
	if (service == CHANNEL_ALL) {
		memset(m->service_levels, MASTER_NO_LEVEL,
		    sizeof(m->service_levels));
		m->level = level;
		log_set_level(level);
	} else if (service < m->plan->services.count) {
		m->service_levels[service] = (uint8_t)level;
	}
	tell_level(m);
}

int
master_reopen_logs(struct master *m, char *why, size_t why_size)
{
	(void)m;
	return logger_reopen(why, why_size);
}

/* A level that was set at run time stays, unless the configuration's has
 * changed, or its service has gone. */
void
master_on_commit(struct master *m, const struct plan *old)
{
	const struct plan *plan = m->plan;

	for (uint32_t i = 0; i < plan->services.count; i++) {
		if (plan_service(plan, i)->state != ROW_ACTIVE)
			m->service_levels[i] = MASTER_NO_LEVEL;
	}
	if (old->log.level != plan->log.level && !m->level_is_fixed)
		master_set_level(m, (enum log_level)plan->log.level,
		    CHANNEL_ALL);
	else
		tell_level(m);
	activation_tell_missed(&m->passed, plan);
}

/* Signals */

static void
on_signal(struct master *m, int sig)
{
	char why[1];

	switch (sig) {
	case SIGTERM:
		master_stop(m,
		    m->phase == MASTER_SERVING ? m->plan->drain_timeout_ms : 0);
		break;
	case SIGINT:
		master_stop(m, 0);
		break;
	case SIGHUP:
		reload_on_signal(m);
		break;
	case SIGUSR1:
		master_reopen_logs(m, why, sizeof(why));
		break;
	default:
		bodies_reap(m);
		break;
	}
}

static void
on_signals(struct loop_watch *watch, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == sizeof(info))
		on_signal(watch->arg, (int)info.ssi_signo);
}

static int
watch_signals(struct master *m)
{
	sigset_t set;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	/* A log file, or shared memory, that the limit does not let grow is an
	 * error like others. */
	(void)signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		sigaddset(&set, handled[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	m->signals = (struct loop_watch){
	    .fd = fd,
	    .events = EPOLLIN,
	    .ready = on_signals,
	    .arg = m,
	};
	return loop_add(m->loop, &m->signals);
}

/* Starting */

static uint64_t
raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max;
}

static int
open_log(struct master *m, const struct master_options *options, char *why,
    size_t why_size)
{
	int rc = logger_open(m->plan, options->log_to_stderr, why, why_size);

	if (rc < 0)
		return rc;
	m->level_is_fixed = options->verbose > 0;
	m->level = m->level_is_fixed ? LEVEL_DEBUG
				     : (enum log_level)m->plan->log.level;
	m->worker_level = m->level;
	memset(m->service_levels, MASTER_NO_LEVEL, sizeof(m->service_levels));
	log_open(logger_write, m->level);
	return 0;
}

static int
open_sockets(struct master *m, char *why, size_t why_size)
{
	int rc;

	m->listeners.passed = &m->passed;
	m->listeners.found = m->takeover == NULL ? NULL : &m->takeover->found;
	rc = listeners_open(&m->listeners, m->plan, why, why_size);
	if (rc < 0)
		return rc;
	activation_tell_missed(&m->passed, m->plan);
	return control_open(m, upgrade_heir(m), &m->control, why, why_size);
}

static int
open_bodies(struct master *m, char *why, size_t why_size)
{
	int rc = bodies_open(m);

	if (rc == 0 && m->takeover != NULL)
		rc = adopt_bodies(m, m->takeover);
	if (rc < 0)
		(void)snprintf(why, why_size,
		    "cannot watch over the workers: %s", strerror(-rc));
	return rc;
}

static int
open_all(struct master *m, const struct master_options *options, char *why,
    size_t why_size)
{
	int rc = loop_new(&m->loop);

	if (rc == 0)
		rc = upgrade_open(m);
	if (rc == 0)
		rc = notify_open(m);
	if (rc == 0)
		rc = activation_open(&m->passed, why, why_size);
	if (rc < 0)
		return rc;
	rc = start_open(m, options, why, why_size);
	if (rc == 0)
		rc = open_log(m, options, why, why_size);
	if (rc == 0)
		rc = watch_signals(m);
	if (rc == 0)
		rc = reload_open(m);
	if (rc == 0)
		rc = open_sockets(m, why, why_size);
	if (rc == 0)
		rc = open_bodies(m, why, why_size);
	if (rc == 0)
		upgrade_resume(m);
	return rc;
}

static void
close_all(struct master *m)
{
	upgrade_close(m);
	reload_close(m);
	bodies_release(m);
	if (m->control != NULL)
		control_close(m->control);
	listeners_remove_files(&m->listeners);
	listeners_release(&m->listeners);
	takeover_release(m->takeover);
	doors_close(&m->doors, m->is_in_command);
	activation_close(&m->passed);
	notify_close(m);
	if (m->loop != NULL)
		loop_free(m->loop);
	plan_unmap(m->plan);
}

static int
serve(struct master *m)
{
	int rc;

	m->is_in_command = true;
	start_take_over(m);
	atomic_store(&m->board_head->generation, m->plan->generation);
	rc = bodies_start(m, m->plan->workers);
	log_info("srvd %s serves services=%u workers=%u max_connections=%u "
		 "config=%s",
	    SRVD_VERSION, plan_active_services(m->plan), m->plan->workers,
	    m->plan->max_connections,
	    plan_string(m->plan, m->plan->config_path));
	if (rc == 0)
		rc = loop_run(m->loop);
	if (rc < 0) {
		log_error("the master's loop failed: %s", strerror(-rc));
		bodies_kill(m);
	}
	return rc;
}

/* Whoever started us looks at standard error, wherever the log goes. */
static void
say_failure(struct master *m, const char *why)
{
	notify_failed(m, why);
	upgrade_failed(m, why);
	log_error("srvd can't start: %s", why);
	if (!logger_is_stderr())
		(void)fprintf(stderr, "srvd can't start: %s\n", why);
}

int
master_run(const struct master_options *options)
{
	struct master m = {
	    .plan_fd = -1,
	    .next_fd = -1,
	    .board_fd = -1,
	    .board_read_fd = -1,
	    .config_path = options->config_path,
	    .launch = options->launch,
	    .nofile = raise_nofile(),
	    .drops = geteuid() == 0,
	    .started_ms = clock_monotonic_ms(),
	};
	char why[640] = "";
	int rc;

	m.stop_timer = (struct loop_timer){.due = on_stop_timer, .arg = &m};
	title_set("srvd: master");
	/* Orphaned workers come to us, so that none stays a zombie. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* Workers that are the same user could trace us, or take descriptors
	 * from us. */
	if (!m.drops)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	rc = open_all(&m, options, why, sizeof(why));
	if (rc < 0)
		say_failure(&m, why[0] != '\0' ? why : strerror(-rc));
	else
		rc = serve(&m);
	if (m.phase != MASTER_SERVING)
		log_info("stopped");
	close_all(&m);
	return rc < 0 ? 1 : 0;
}
