/*
 * takeover - find the bodies of a dead master; see takeover.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/process.h"
#include "server/master/takeover.h"
#include "server/master/takeover_judge.h"
#include "server/state/channel.h"

#define RETRY_MS  20
#define EXTEND_MS 1000

/* Of one worker, until the next has its turn (T2). */
#define MESSAGES_A_TURN 64

/* A number that more can follow: what was sent may be any. */
#define GENERATION_MAX (UINT64_C(1) << 62)

/* One body */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
forget_body(struct takeover *t, struct takeover_body *taken,
    enum taken_state state)
{
	found_drop(&t->found, taken->row);
	close_fd(&taken->channel_fd);
	close_fd(&taken->body_fd);
	close_fd(&taken->plan_fd);
	close_fd(&taken->worker_pidfd);
	close_fd(&taken->holder_pidfd);
	taken->worker_pid = 0;
	taken->holder_pid = 0;
	taken->sockets = 0;
	taken->state = state;
	taken->retry_ms = clock_monotonic_ms() + RETRY_MS;
}

static int
knock(struct takeover *t, struct takeover_body *taken)
{
	int fd = doors_knock(t->doors, taken->row);

	taken->retry_ms = clock_monotonic_ms() + RETRY_MS;
	if (fd >= 0) {
		taken->channel_fd = fd;
		taken->state = TAKEN_TELLING;
		return 0;
	}
	if (fd == -ECONNREFUSED || fd == -ENOENT) {
		doors_remove(t->doors, taken->row);
		taken->state = TAKEN_NONE;
		return 0;
	}
	if (fd == -EAGAIN || fd == -EINTR)
		return 0;
	(void)snprintf(t->why, t->why_size,
	    "cannot connect to body %u, whose master has died: %s", taken->row,
	    strerror(-fd));
	return fd;
}

/* Who says hello, and its parent (M1). */
static bool
open_processes(struct takeover_body *taken, pid_t pid)
{
	pid_t parent;

	if (pid <= 0 || pid == getpid())
		return false;
	taken->worker_pidfd = process_open(pid);
	if (taken->worker_pidfd < 0)
		return false;
	parent = process_parent(pid);
	taken->worker_pid = pid;
	if (parent <= 1 || parent == getpid())
		return true;
	taken->holder_pidfd = process_open(parent);
	/* It had that parent when that was opened: it is this one. */
	if (taken->holder_pidfd >= 0 && process_parent(pid) == parent &&
	    process_is_named(parent, PROCESS_HOLDER))
		taken->holder_pid = parent;
	else
		close_fd(&taken->holder_pidfd);
	return true;
}

/* Memory that a master of our user has made, and that nobody can shrink. */
static int
check_memory(int fd, struct stat *st)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, st) < 0 ||
	    st->st_uid != geteuid())
		return -EPROTO;
	return 0;
}

static int
check_board(struct takeover *t, int fd)
{
	struct board board;
	struct stat st;
	int rc = check_memory(fd, &st);

	if (rc < 0)
		return rc;
	if (t->board_fd >= 0)
		return st.st_ino == t->board_inode ? 0 : -EPROTO;
	rc = board_map(fd, &board);
	if (rc < 0)
		return rc == -EINVAL ? -EPROTO : rc;
	board_unmap(&board);
	t->board_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	t->board_inode = st.st_ino;
	return t->board_fd < 0 ? -errno : 0;
}

static int
take_body(struct takeover *t, struct takeover_body *taken,
    const struct channel_message *message, struct channel_extra *extra)
{
	struct stat st;
	int rc;

	if (extra->fds_count < 2 || taken->body_fd >= 0 ||
	    message->count != taken->row ||
	    message->first != taken->row % PLAN_WORKERS_MAX ||
	    message->request > GENERATION_MAX)
		return -EPROTO;
	rc = takeover_judge(t, taken, message);
	if (rc == 0)
		rc = check_memory(extra->fds[0], &st);
	if (rc == 0)
		rc = check_board(t, extra->fds[1]);
	if (rc < 0)
		return rc;
	taken->seat = message->first;
	taken->generation = message->generation;
	if (message->request > t->last_generation)
		t->last_generation = message->request;
	taken->body_fd = extra->fds[0];
	close(extra->fds[1]);
	if (message->generation != 0 && extra->fds_count == 3)
		taken->plan_fd = extra->fds[2];
	else
		channel_close_fds(extra, 2);
	extra->fds_count = 0;
	return 0;
}

static int
take_sockets(struct takeover *t, struct takeover_body *taken,
    const struct channel_message *message, struct channel_extra *extra)
{
	struct channel_socket as[CHANNEL_SOCKETS_MAX];
	uint32_t count = extra->fds_count;
	int rc = 0;

	if (count > CHANNEL_SOCKETS_MAX || message->count != count ||
	    message->text_length != count * sizeof(as[0]) ||
	    count > BODY_SOCKETS_MAX - taken->sockets)
		return -EPROTO;
	taken->sockets += count;
	memcpy(as, message->text, message->text_length);
	extra->fds_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct found_socket socket = {
		    .row = taken->row,
		    .seat = as[i].seat,
		    .number = as[i].number,
		};

		if (rc == 0)
			rc = found_add(&t->found, extra->fds[i], &socket);
		else
			channel_close_fd(extra->fds[i]);
	}
	return rc;
}

/* Returns 1 when that was all, -ECHILD if the worker is another one. */
static int
take_message(struct takeover *t, struct takeover_body *taken,
    const struct channel_message *message, struct channel_extra *extra)
{
	switch ((enum channel_type)message->type) {
	case CHANNEL_HELLO:
		if (taken->worker_pid == 0)
			return open_processes(taken, extra->pid) ? 0 : -ECHILD;
		return extra->pid == taken->worker_pid ? 0 : -ECHILD;
	case CHANNEL_BODY:
		return taken->worker_pid == 0
		    ? -ECHILD
		    : take_body(t, taken, message, extra);
	case CHANNEL_SOCKETS:
		return taken->body_fd < 0
		    ? -ECHILD
		    : take_sockets(t, taken, message, extra);
	case CHANNEL_INVENTORY:
		return taken->body_fd < 0 ? -ECHILD : 1;
	default:
		return 0;
	}
}

/* What it says first is told by another version. */
static int
hear_another(struct takeover *t, struct takeover_body *taken,
    const struct channel_message *message, const struct channel_extra *extra)
{
	taken->worker_pid = extra->pid;
	return takeover_judge_channel(t, taken, message->version);
}

static int
listen_to(struct takeover *t, struct takeover_body *taken)
{
	static struct channel_message message;
	static struct channel_extra extra;
	int rc = 0;

	for (unsigned i = 0; i < MESSAGES_A_TURN && rc != 1; i++) {
		rc = channel_receive(taken->channel_fd, &message, &extra);
		if (rc == -EPROTONOSUPPORT)
			return hear_another(t, taken, &message, &extra);
		if (rc == 1 || rc == -EPROTO)
			taken->is_strange = rc != 1;
		if (rc == -EAGAIN || rc == -EMFILE)
			return rc == -EAGAIN ? 0 : rc;
		/* Its end, or one that we don't understand. */
		if (rc != 1)
			return -ECHILD;
		rc = take_message(t, taken, &message, &extra);
		channel_close_fds(&extra, 0);
		if (rc < 0)
			return rc;
	}
	if (rc != 1)
		return 0;
	channel_refuse_fds(taken->channel_fd);
	taken->state = TAKEN_DONE;
	return 0;
}

/* All of them */

static int
on_ready(struct takeover *t, struct takeover_body *taken, short events)
{
	int rc;

	if (taken->state == TAKEN_TELLING) {
		rc = listen_to(t, taken);
		if (rc < 0 && rc != -ECHILD)
			return takeover_explain(t, taken, rc);
		if (rc == 0)
			return 0;
	} else if ((events & (POLLHUP | POLLERR)) == 0) {
		return 0;
	}
	/* It died: there is a successor, or nobody. */
	forget_body(t, taken, TAKEN_SOUGHT);
	return 0;
}

static int
knock_all(struct takeover *t)
{
	uint64_t now = clock_monotonic_ms();
	int rc = 0;

	for (uint32_t i = 0; i < BOARD_ROWS && rc == 0; i++) {
		if (t->taken[i].state == TAKEN_SOUGHT &&
		    now >= t->taken[i].retry_ms)
			rc = knock(t, &t->taken[i]);
	}
	return rc;
}

static int
wait_for_all(struct takeover *t)
{
	struct pollfd fds[BOARD_ROWS];
	struct takeover_body *of[BOARD_ROWS];
	nfds_t count = 0;
	int rc = 0;

	for (uint32_t i = 0; i < BOARD_ROWS; i++) {
		struct takeover_body *taken = &t->taken[i];

		if (taken->channel_fd < 0)
			continue;
		of[count] = taken;
		fds[count++] = (struct pollfd){
		    .fd = taken->channel_fd,
		    .events = taken->state == TAKEN_TELLING ? POLLIN : 0,
		};
	}
	if (poll(fds, count, RETRY_MS) <= 0)
		return 0;
	for (nfds_t i = 0; i < count && rc == 0; i++) {
		if (fds[i].revents != 0)
			rc = on_ready(t, of[i], fds[i].revents);
	}
	return rc;
}

/* One that is neither gone nor told all, or NULL. */
static const struct takeover_body *
find_open(struct takeover *t)
{
	const struct takeover_body *open = NULL;

	t->count = 0;
	for (uint32_t i = 0; i < BOARD_ROWS; i++) {
		const struct takeover_body *taken = &t->taken[i];

		t->count += taken->state == TAKEN_DONE;
		if (taken->state == TAKEN_SOUGHT ||
		    taken->state == TAKEN_TELLING)
			open = taken;
	}
	return open;
}

static int
collect(struct takeover *t, struct master *m, uint64_t limit_ms)
{
	uint64_t begun = clock_monotonic_ms();
	uint64_t said = 0;
	const struct takeover_body *open;
	int rc = 0;

	while (rc == 0 && (open = find_open(t)) != NULL) {
		uint64_t now = clock_monotonic_ms();

		if (now - begun >= limit_ms)
			return takeover_explain_late(t, open, limit_ms);
		if (now - said >= EXTEND_MS) {
			notify_collecting(m);
			said = now;
		}
		rc = knock_all(t);
		if (rc == 0)
			rc = wait_for_all(t);
	}
	return rc;
}

static int
map_plan(struct takeover *t, uint64_t generation)
{
	struct stat st;
	int rc = check_memory(t->plan_fd, &st);

	if (rc == 0 && (fcntl(t->plan_fd, F_GET_SEALS) & F_SEAL_WRITE) == 0)
		rc = -EPROTO;
	if (rc == 0)
		rc = plan_map(t->plan_fd, &t->plan);
	if (rc == 0 && t->plan->generation != generation)
		rc = -EPROTO;
	return rc;
}

/* The plan in force: the newest that a worker follows (a commit is followed
 * at once, but for a worker that died before it could). */
static int
choose_plan(struct takeover *t)
{
	const struct takeover_body *newest = NULL;
	int rc;

	for (uint32_t i = 0; i < BOARD_ROWS; i++) {
		const struct takeover_body *taken = &t->taken[i];

		if (taken->state == TAKEN_DONE && taken->plan_fd >= 0 &&
		    (newest == NULL || taken->generation > newest->generation))
			newest = taken;
	}
	if (newest == NULL)
		return 0;
	if (newest->generation > t->last_generation)
		t->last_generation = newest->generation;
	t->plan_fd = newest->plan_fd;
	rc = map_plan(t, newest->generation);
	if (rc == 0)
		t->found.plan = t->plan;
	if (rc == 0)
		return 0;
	return takeover_explain(t, newest, rc == -EINVAL ? -EPROTO : rc);
}

static struct takeover *
takeover_new(const struct doors *doors)
{
	struct takeover *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->doors = doors;
	t->board_fd = -1;
	t->plan_fd = -1;
	for (uint32_t i = 0; i < BOARD_ROWS; i++)
		t->taken[i] = (struct takeover_body){
		    .state = doors_has(doors, i) ? TAKEN_SOUGHT : TAKEN_NONE,
		    .row = i,
		    .channel_fd = -1,
		    .body_fd = -1,
		    .plan_fd = -1,
		    .worker_pidfd = -1,
		    .holder_pidfd = -1,
		};
	return t;
}

struct takeover *
takeover_collect(struct master *m, uint64_t limit_ms, char *why,
    size_t why_size, int *rc)
{
	struct takeover *t = takeover_new(&m->doors);

	*rc = t == NULL ? -ENOMEM : 0;
	if (t == NULL)
		return NULL;
	t->why = why;
	t->why_size = why_size;
	*rc = collect(t, m, limit_ms);
	if (*rc == 0)
		*rc = choose_plan(t);
	if (*rc == 0 && t->count > 0) {
		found_settle(&t->found);
		return t;
	}
	takeover_release(t);
	return NULL;
}

int
takeover_board(const struct takeover *t)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", t->board_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void
takeover_release(struct takeover *t)
{
	if (t == NULL)
		return;
	for (uint32_t i = 0; i < BOARD_ROWS; i++)
		forget_body(t, &t->taken[i], TAKEN_NONE);
	found_release(&t->found);
	plan_unmap(t->plan);
	close_fd(&t->board_fd);
	free(t);
}
