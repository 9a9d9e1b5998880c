/*
 * holder - the sleeping parent of one worker; see holder.h.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/title.h"
#include "server/holder/drop.h"
#include "server/holder/holder.h"
#include "server/state/board.h"

#define TITLE_PREFIX "srvd: holder "

/* A worker that can't even settle is cloned again ever later. */
#define DELAY_FIRST_MS 10
#define DELAY_LAST_MS  5000

/* At the latest then another watchdog time is noticed. */
#define STEP_MAX_MS 5000

struct holder {
	struct body body;
	struct board board;
	struct board_row *row;
	worker_main_fn *worker;
	uint32_t index;
	uint64_t delay_ms;
	bool was_blamed;  /* the last death had a culprit */
	bool is_uncloned; /* a worker could not be cloned; said so */
};

int
holder_is_asked_for(int argc, char **argv)
{
	return argc == 1 &&
	    strncmp(argv[0], TITLE_PREFIX, strlen(TITLE_PREFIX)) == 0;
}

/* Wait for SIGCHLD, at most ms; true if it came. */
static int
wait_for_child(uint64_t ms)
{
	struct timespec limit = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_nsec = (long)(ms % 1000) * 1000000,
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return sigtimedwait(&set, NULL, &limit) == SIGCHLD;
}

static pid_t
clone_worker(void)
{
#ifdef SRVD_HOLDER_FORK
	return fork();
#else
	/* As fork, but the descriptor table is one (clone(2), CLONE_FILES).
	 * glibc's atfork handlers don't run; with one thread none is needed. */
	return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
#endif
}

/*
 * Wait until the worker has ended; kill it if it makes no progress.  If this
 * process itself was kept from running (a frozen cgroup, a suspended
 * machine) the worker's time begins anew.
 */
static void
watch(struct holder *h, pid_t pid, siginfo_t *info)
{
	uint64_t beat = atomic_load(&h->body.head->beat);
	uint64_t since = clock_monotonic_ms();
	uint64_t watchdog;
	uint64_t before;
	uint64_t step;
	uint64_t seen;

	for (;;) {
		info->si_pid = 0;
		if (waitid(P_PID, (id_t)pid, info, WEXITED | WNOHANG) == 0 &&
		    info->si_pid == pid)
			return;
		/* It may change with a reload; a worker that writes nonsense
		 * there could as well write the beat. */
		watchdog = h->body.head->watchdog_ms;
		step = watchdog == 0 || watchdog / 4 >= STEP_MAX_MS
		    ? STEP_MAX_MS
		    : watchdog / 4 + 1;
		before = clock_monotonic_ms();
		if (wait_for_child(step))
			continue;
		seen = atomic_load(&h->body.head->beat);
		if (seen != beat || clock_monotonic_ms() - before > 2 * step) {
			beat = seen;
			since = clock_monotonic_ms();
		}
		if (watchdog != 0 && clock_monotonic_ms() - since >= watchdog) {
			atomic_store(&h->body.head->watchdog_fired, 1);
			(void)kill(pid, SIGKILL);
			since = clock_monotonic_ms();
		}
	}
}

static int
is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL ||
	    sig == SIGFPE || sig == SIGABRT;
}

/* What the worker left word of, if that is what it died of. */
static uint64_t
take_address(struct body_head *head, int sig)
{
	struct body_fault fault = head->fault;

	head->fault = (struct body_fault){.signal = 0};
	return is_fault(sig) && fault.signal == (uint32_t)sig && fault.code > 0
	    ? fault.address
	    : BODY_NO_ADDRESS;
}

/* Write down how the worker ended; its successor's sweep draws on it. */
static void
record_death(struct holder *h, const siginfo_t *info)
{
	struct body_head *head = h->body.head;
	struct body_death *death = &head->death;

	/* That is none: what is known of the last one remains. */
	if (info->si_code == CLD_EXITED &&
	    info->si_status == WORKER_EXIT_DONE) {
		atomic_store(&head->worker_pid, 0);
		atomic_store(&head->is_done, 1);
		return;
	}
	death->at_us = clock_epoch_us();
	death->status = info->si_status;
	death->culprit = 0;
	death->fault_address = take_address(head, info->si_status);
	if (info->si_code == CLD_EXITED)
		death->cause = DEATH_EXIT;
	else if (atomic_load(&head->watchdog_fired) != 0)
		death->cause = DEATH_WATCHDOG;
	else if (is_fault(info->si_status))
		death->cause = DEATH_SIGNAL;
	else
		death->cause = DEATH_KILLED;
	atomic_store(&head->watchdog_fired, 0);
	atomic_store(&head->worker_pid, 0);
	atomic_fetch_add(&head->deaths, 1);
}

/*
 * Did it die of one connection, which the successor will close?  It is
 * believed as long as successors do: a worker that itself died before it got
 * to close the last culprit has not.
 */
static bool
is_blamed(struct holder *h, bool culprit_closed)
{
	const struct body_head *head = h->body.head;
	bool believed = !h->was_blamed || culprit_closed;

	h->was_blamed = (head->death.cause == DEATH_SIGNAL ||
			    head->death.cause == DEATH_WATCHDOG) &&
	    JOURNAL_ACT_OF(atomic_load(&head->journal)) != JOURNAL_NONE;
	return h->was_blamed && believed;
}

/* Respawn at once, unless the worker died before it had settled and nobody
 * is to blame. */
static void
pause_before_next(struct holder *h, bool blamed)
{
	uint64_t until;
	uint64_t now;

	if (atomic_load(&h->body.head->settled) != 0 || blamed) {
		h->delay_ms = 0;
		return;
	}
	h->delay_ms = h->delay_ms == 0 ? DELAY_FIRST_MS : h->delay_ms * 2;
	if (h->delay_ms > DELAY_LAST_MS)
		h->delay_ms = DELAY_LAST_MS;
	until = clock_monotonic_ms() + h->delay_ms;
	while ((now = clock_monotonic_ms()) < until)
		(void)wait_for_child(until - now);
}

static int
become_worker(struct holder *h)
{
	char title[32];

	(void)snprintf(title, sizeof(title), "srvd: worker %u", h->index);
	title_set(title);
	return h->worker(&h->body, &h->board, h->row);
}

/* Once, however often it is tried. */
static void
say_uncloned(struct holder *h, int error)
{
	if (!h->is_uncloned)
		log_error(
		    "holder %u can't start its worker, trying again: %s; "
		    "memory or processes (TasksMax=, ulimit -u) are short",
		    h->index, strerror(error));
	h->is_uncloned = true;
}

static int
hold(struct holder *h)
{
	siginfo_t info;
	bool closed;
	pid_t pid;

	for (;;) {
		atomic_store(&h->body.head->settled, 0);
		pid = clone_worker();
		if (pid == 0)
			_exit(become_worker(h));
		if (pid < 0) {
			say_uncloned(h, errno);
			pause_before_next(h, false);
			continue;
		}
		h->is_uncloned = false;
		atomic_store(&h->body.head->worker_pid, (uint32_t)pid);
		watch(h, pid, &info);
		closed = h->body.head->death.culprit != 0;
		record_death(h, &info);
		if (info.si_code == CLD_EXITED &&
		    (info.si_status == WORKER_EXIT_DONE ||
			info.si_status == WORKER_EXIT_BROKEN))
			return info.si_status;
		pause_before_next(h, is_blamed(h, closed));
	}
}

/* Map what the master passed, and keep no descriptor that could write the
 * board (H1). */
static int
take_body(struct holder *h)
{
	int rc = body_map(BODY_FD_BODY, 1, &h->body);

	if (rc < 0)
		return rc;
	h->index = h->body.head->seat;
	rc = board_map(BODY_FD_BOARD_READ, &h->board);
	if (rc < 0)
		return rc;
	h->row = board_map_row(BODY_FD_BOARD_WRITE, h->body.head->row);
	if (h->row == NULL)
		return -errno;
	return close_range(BODY_FD_FREE, ~0U, 0) < 0 ? -errno : 0;
}

static void
prepare_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE,
	    SIGUSR1, SIGUSR2, SIGALRM};
	sigset_t set;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
}

int
holder_main(worker_main_fn *worker, const char *argv0)
{
	struct holder h = {.worker = worker};
	struct drop_spec spec;
	int rc;

	prepare_signals();
	rc = take_body(&h);
	if (rc < 0) {
		log_error("%s is for the gateway itself to start: %s", argv0,
		    strerror(-rc));
		return 2;
	}
	title_set(argv0);
	spec = (struct drop_spec){
	    .uid = h.body.head->uid,
	    .gid = h.body.head->gid,
	    .groups = h.body.head->groups,
	    .groups_count = h.body.head->groups_count,
	};
	rc = drop_privileges(&spec);
	if (rc < 0) {
		log_error("holder %u can't become user %u: %s", h.index,
		    spec.uid, strerror(-rc));
		return 1;
	}
	return hold(&h);
}
