/*
 * bodies - the holders and workers, as their master sees them; bodies.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/access.h"
#include "server/master/bodies.h"
#include "server/master/closing.h"
#include "server/master/courier.h"
#include "server/master/deaths.h"
#include "server/master/handover.h"
#include "server/master/master.h"
#include "server/master/orphans.h"
#include "server/master/outbox.h"
#include "server/master/process.h"
#include "server/master/reload.h"
#include "server/master/spawn.h"
#include "server/master/upgrade.h"

#define DELAY_FIRST_MS 10
#define DELAY_LAST_MS  5000
#define SETTLED_MS     1000

/* Ids that a fresh body skips past those its predecessor may have used. */
#define ID_MARGIN (UINT64_C(1) << 20)

static void
drop_holder(struct body_ref *ref)
{
	if (ref->holder_pidfd >= 0) {
		loop_remove(ref->master->loop, &ref->holder_end);
		close(ref->holder_pidfd);
	}
	ref->holder_pidfd = -1;
}

/* It has ended; but before we were in command it was not ours to bury. */
static void
bury(const struct body_ref *ref)
{
	struct master *m = ref->master;

	if (!m->is_in_command)
		return;
	board_set_live(m->board_head, ref->row, false);
	doors_remove(&m->doors, ref->row);
}

static void
drop_body(struct body_ref *ref)
{
	courier_close(ref);
	loop_timer_cancel(ref->master->loop, &ref->access_timer);
	if (ref->body_fd >= 0) {
		access_take_all(ref);
		body_unmap(&ref->body);
		close(ref->body_fd);
		bury(ref);
	}
	ref->body_fd = -1;
	ref->holder_pid = 0;
	drop_holder(ref);
	ref->is_lost = false;
	ref->is_damaged = false;
	ref->is_foreign = false;
	ref->is_faulted = false;
}

/* Ends and beginnings */

static void
on_next(struct loop_timer *timer)
{
	bodies_begin(timer->arg);
}

static void
start_later(struct body_ref *ref)
{
	uint64_t lived = loop_now_ms(ref->master->loop) - ref->started_ms;

	if (lived >= SETTLED_MS)
		ref->delay_ms = 0;
	else
		ref->delay_ms =
		    ref->delay_ms == 0 ? DELAY_FIRST_MS : 2 * ref->delay_ms;
	if (ref->delay_ms > DELAY_LAST_MS)
		ref->delay_ms = DELAY_LAST_MS;
	loop_timer_set(ref->master->loop, &ref->next_timer, ref->delay_ms);
}

/* -1: it goes without, as there is no directory for them. */
static int
make_door(const struct body_ref *ref, int *fd)
{
	const struct doors *doors = &ref->master->doors;

	*fd = doors->is_open ? doors_make(doors, ref->row) : -1;
	return doors->is_open && *fd < 0 ? *fd : 0;
}

static int
try_start(struct body_ref *ref)
{
	const struct master *m = ref->master;
	struct spawn_fds fds = {
	    .board_read_fd = m->board_read_fd,
	    .board_write_fd = m->board_fd,
	};
	pid_t pid;
	int rc = bodies_make(ref);

	if (rc < 0)
		return rc;
	fds.body_fd = ref->body_fd;
	rc = courier_open(ref, &fds.channel_fd);
	if (rc < 0)
		return rc;
	rc = make_door(ref, &fds.door_fd);
	pid = rc < 0 ? rc : m->bodies.spawn(ref->seat, &fds);
	if (fds.door_fd >= 0)
		close(fds.door_fd);
	close(fds.channel_fd);
	if (pid < 0)
		return (int)pid;
	ref->holder_pid = pid;
	return 0;
}

/* Once, however often it is tried. */
static void
say_unstarted(struct body_ref *ref, int error)
{
	if (!ref->is_unstarted)
		log_error("can't start worker %u, trying again: %s", ref->seat,
		    strerror(error));
	ref->is_unstarted = true;
	(void)snprintf(ref->fault, sizeof(ref->fault),
	    "it can't be started, tried again and again: %s", strerror(error));
}

static void
say_started(struct body_ref *ref)
{
	if (!ref->is_unstarted)
		return;
	ref->is_unstarted = false;
	ref->fault[0] = '\0';
	log_info("worker %u could be started", ref->seat);
}

void
bodies_begin(struct body_ref *ref)
{
	int rc;

	ref->started_ms = loop_now_ms(ref->master->loop);
	ref->log_budget = COURIER_LINES_A_SECOND;
	rc = try_start(ref);
	if (rc == 0) {
		say_started(ref);
		return;
	}
	say_unstarted(ref, -rc);
	drop_body(ref);
	start_later(ref);
}

/* The id that a body's first connection gets: past all that its row ever had. */
static uint64_t
next_first_id(const struct body_ref *ref)
{
	uint64_t seen =
	    atomic_load(&board_row(&ref->master->board, ref->row)->next_id);
	uint64_t id = ref->first_id;

	/* A worker wrote it: believed as long as it is plausible. */
	if (seen >= id && seen - id < UINT64_C(1) << 48)
		id = seen - seen % BOARD_ROWS + ref->row + 1;
	return id + ID_MARGIN * BOARD_ROWS;
}

/* While the gateway serves. */
static void
say_end(const struct body_ref *ref, uint32_t live, uint64_t given)
{
	if (ref->is_current)
		log_error("worker %u's body is gone with its connections, a "
			  "new one is started connections=%u",
		    ref->seat, live);
	else if (live > 0)
		log_error("worker %u's former body is gone with the "
			  "connections that it had not handed over yet "
			  "connections=%u handed_over=%llu",
		    ref->seat, live, (unsigned long long)given);
	else
		log_info("worker %u's former body has ended handed_over=%llu",
		    ref->seat, (unsigned long long)given);
}

static void
look_whether_all_ended(struct master *m)
{
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->body_fd >= 0)
			return;
	}
	master_on_empty(m);
}

/* A body without holder and without worker is over. */
static void
end_body(struct body_ref *ref)
{
	struct master *m = ref->master;
	uint32_t live =
	    atomic_load(&board_row(&m->board, ref->row)->connections);
	uint32_t before = deaths_told(ref);
	uint64_t given = ref->given;
	bool was_lost;

	deaths_note(ref);
	deaths_look(ref);
	was_lost = ref->is_lost ||
	    (deaths_told(ref) == before &&
		atomic_load(&ref->body.head->is_done) == 0);
	ref->first_id = next_first_id(ref);
	handover_on_body_end(ref);
	drop_body(ref);
	closing_on_body_end(ref);
	upgrade_on_worker(m);
	if (m->phase != MASTER_SERVING) {
		look_whether_all_ended(m);
		return;
	}
	if (was_lost && (ref->is_current || live > 0))
		deaths_lost(ref);
	say_end(ref, live, given);
	if (ref->is_current)
		start_later(ref);
	else
		ref->fault[0] = '\0';
	/* Nobody waits for it any more. */
	reload_on_worker(m);
}

static bool
has_worker(const struct body_ref *ref)
{
	return process_is_there(ref->worker_pidfd);
}

void
bodies_on_holder_end(struct body_ref *ref)
{
	ref->holder_pid = 0;
	drop_holder(ref);
	/* There may be a hello of a worker that we don't know yet, */
	if (ref->channel_fd >= 0)
		courier_receive(ref);
	/* or one whose holder had just died when it said that, */
	if (!has_worker(ref))
		courier_greet(ref, ref->greeted_pid);
	/* or one that has not even got to it. */
	if (!has_worker(ref))
		courier_greet(ref, orphans_find(&ref->master->bodies));
	if (!has_worker(ref)) {
		end_body(ref);
		return;
	}
	ref->is_lost = true;
	if (ref->master->phase != MASTER_SERVING || ref->is_damaged)
		return;
	(void)snprintf(ref->fault, sizeof(ref->fault),
	    "its holder is gone: the next death of this worker ends its "
	    "connections");
	log_error("the holder of worker %u was killed: the worker goes on, "
		  "but its next death ends its connections",
	    ref->seat);
	handover_wake(ref->master);
}

static struct body_ref *
find_holder(struct master *m, pid_t pid)
{
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->holder_pid == pid)
			return ref;
	}
	return NULL;
}

static pid_t
reap_next(struct master *m, int *status)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return 0;
	upgrade_before_reap(m, info.si_pid);
	return waitpid(info.si_pid, status, 0);
}

void
bodies_reap(struct master *m)
{
	struct body_ref *ref;
	int status;
	pid_t pid;

	/* Others than these are workers that lost their holder: their pidfds
	 * tell what is to be known. */
	while ((pid = reap_next(m, &status)) > 0) {
		ref = find_holder(m, pid);
		if (ref != NULL)
			bodies_on_holder_end(ref);
		else if (!reload_on_child(m, pid, status))
			(void)upgrade_on_child(m, pid, status);
	}
}

static void
on_worker_gone(struct body_ref *ref)
{
	if (!ref->is_lost)
		return;
	if (!ref->is_damaged)
		ref->fault[0] = '\0';
	end_body(ref);
}

static void
init_ref(struct master *m, uint32_t i)
{
	struct body_ref *ref = &m->bodies.refs[i];

	*ref = (struct body_ref){
	    .master = m,
	    .row = i,
	    .seat = i % PLAN_WORKERS_MAX,
	    .body_fd = -1,
	    .channel_fd = -1,
	    .worker_pidfd = -1,
	    .holder_pidfd = -1,
	    .first_id = i + 1,
	    .worker_gone = on_worker_gone,
	    .next_timer = {.due = on_next, .arg = ref},
	};
}

int
bodies_open(struct master *m)
{
	/* All there may ever be: they are pointed at. */
	m->bodies.refs = calloc(BOARD_ROWS, sizeof(*m->bodies.refs));
	if (m->bodies.refs == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < BOARD_ROWS; i++)
		init_ref(m, i);
	if (m->bodies.spawn == NULL)
		m->bodies.spawn = spawn_holder;
	return 0;
}

/* One that was taken over; it has got nothing from us yet. */
static void
greet_adopted(struct body_ref *ref)
{
	board_set_live(ref->master->board_head, ref->row, true);
	courier_send(ref);
	if (ref->body.head->slots_max == 0)
		access_give_up(ref);
	access_resume(ref);
	access_wake(ref);
}

int
bodies_start(struct master *m, uint32_t count)
{
	int rc = m->bodies.refs == NULL ? bodies_open(m) : 0;

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < BOARD_ROWS; i++) {
		struct body_ref *ref = &m->bodies.refs[i];

		if (ref->body_fd >= 0)
			greet_adopted(ref);
		else if (board_was_used(&m->board, i))
			ref->first_id = next_first_id(ref);
	}
	bodies_resize(m, count);
	m->bodies.check_timer =
	    (struct loop_timer){.due = bodies_check, .arg = m};
	loop_timer_set(m->loop, &m->bodies.check_timer, BODIES_CHECK_MS);
	return 0;
}

/* Orders to all */

void
bodies_tell(struct master *m)
{
	BODIES_EACH(&m->bodies, ref)
	{
		loop_timer_cancel(m->loop, &ref->next_timer);
		if (ref->body_fd < 0)
			continue;
		outbox_phase_changed(ref);
		courier_send(ref);
	}
	look_whether_all_ended(m);
}

void
bodies_kill(struct master *m)
{
	BODIES_EACH(&m->bodies, ref)
	{
		/* The holder first, or it would start another worker. */
		bodies_kill_holder(ref);
		process_kill(ref->worker_pidfd);
	}
	orphans_end(&m->bodies);
}

void
bodies_release(struct master *m)
{
	if (m->bodies.refs == NULL)
		return;
	handover_close(m);
	if (m->is_in_command)
		orphans_end(&m->bodies);
	BODIES_EACH(&m->bodies, ref)
	drop_body(ref);
	loop_timer_cancel(m->loop, &m->bodies.check_timer);
	free(m->bodies.refs);
	m->bodies.refs = NULL;
	m->bodies.count = 0;
}
