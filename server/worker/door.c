/*
 * door - where a new master comes to; see door.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/state/channel.h"
#include "server/state/versions.h"
#include "server/worker/door.h"
#include "server/worker/follow.h"
#include "server/worker/orders.h"
#include "server/worker/poller.h"
#include "server/worker/sockets.h"

/* When what may pass (no descriptor, a full channel) is tried again. */
#define RETRY_MS 20

void
door_watch(void)
{
	/* A body without one has /dev/null there, which can't be watched. */
	(void)!poller_watch(BODY_FD_DOOR, poller_key_single(POLLER_DOOR),
	    EPOLLIN);
}

/* The user of the master that made this body, or root (D1). */
static bool
is_master(const struct worker *w, int fd)
{
	struct ucred peer = {.uid = PLAN_NO_ID};
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	    (peer.uid == 0 || peer.uid == w->head->master_uid);
}

static int
accept_one(void)
{
	int fd =
	    accept4(BODY_FD_DOOR, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* D3 */
static void
fill_place(void)
{
	(void)dup2(BODY_FD_NULL, BODY_FD_CHANNEL);
}

void
door_recover(void)
{
	if (fcntl(BODY_FD_CHANNEL, F_GETFD) < 0)
		fill_place();
}

/* The dead channel's number is the lowest free one then: who comes gets it
 * even when no other descriptor can be had. */
static int
accept_in_place(void)
{
	int fd;

	close(BODY_FD_CHANNEL);
	fd = accept_one();
	if (fd < 0)
		fill_place();
	return fd;
}

static int
admit(struct worker *w)
{
	int fd = accept_one();
	int rc;

	if (fd == -EMFILE)
		fd = accept_in_place();
	if (fd < 0)
		return fd;
	rc = is_master(w, fd) ? 0 : -EPERM;
	if (fd == BODY_FD_CHANNEL) {
		if (rc < 0)
			fill_place();
		return rc;
	}
	if (rc == 0 && dup2(fd, BODY_FD_CHANNEL) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

void
door_on_event(struct worker *w)
{
	int rc;

	if (!w->is_alone) {
		poller_remove(BODY_FD_DOOR);
		return;
	}
	w->head->is_telling = 1;
	rc = admit(w);
	if (rc < 0)
		w->head->is_telling = 0;
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS) {
		poller_remove(BODY_FD_DOOR);
		w->door_retry_ms = w->now_ms + RETRY_MS;
	}
	if (rc < 0)
		return;
	poller_remove(BODY_FD_DOOR);
	w->is_alone = false;
	w->is_body_told = false;
	w->next_told = 0;
	orders_open(w);
}

/* What the master that died had begun to prepare and did not get to commit is
 * nobody's; but its number must not be used again. */
static uint64_t
forget_unfinished(struct worker *w)
{
	uint64_t last = w->generation;

	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		if (w->head->plans[i].generation > last)
			last = w->head->plans[i].generation;
	}
	follow_abort(w, UINT64_MAX);
	return last;
}

static int
plan_fd(const struct worker *w)
{
	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		if (w->plan != NULL &&
		    w->head->plans[i].generation == w->generation)
			return w->head->plans[i].fd;
	}
	return -1;
}

static int
tell_body(struct worker *w)
{
	int fds[] = {BODY_FD_BODY, BODY_FD_BOARD_READ, plan_fd(w)};
	struct channel_message message;

	channel_init(&message, CHANNEL_BODY);
	message.first = w->head->seat;
	message.count = w->head->row;
	message.generation = w->plan == NULL ? 0 : w->generation;
	message.request = forget_unfinished(w);
	versions_write(message.text);
	message.text_length = (uint32_t)strlen(message.text);
	return channel_send(BODY_FD_CHANNEL, &message, fds, fds[2] < 0 ? 2 : 3);
}

static struct channel_socket
describe(const struct body_head *head, uint32_t n)
{
	return (struct channel_socket){
	    .number = sockets_number(head, n),
	    .seat = n < BODY_LISTENERS_MAX
		? head->seat
		: head->extra_seat[n - BODY_LISTENERS_MAX],
	};
}

/* The next ones; 0 also when there are no more. */
static int
tell_sockets(struct worker *w)
{
	struct channel_socket socket;
	int fds[CHANNEL_SOCKETS_MAX];
	struct channel_message message;
	uint32_t i = w->next_told;
	int rc = 0;

	channel_init(&message, CHANNEL_SOCKETS);
	for (; i < BODY_SOCKETS_MAX && message.count < CHANNEL_SOCKETS_MAX;
	     i++) {
		if (!sockets_has(w->head, w->plan, i))
			continue;
		socket = describe(w->head, i);
		memcpy(message.text + message.text_length, &socket,
		    sizeof(socket));
		message.text_length += (uint32_t)sizeof(socket);
		fds[message.count++] = w->head->listener_fd[i];
	}
	if (message.count > 0)
		rc =
		    channel_send(BODY_FD_CHANNEL, &message, fds, message.count);
	if (rc == 0)
		w->next_told = i;
	return rc;
}

static int
tell(struct worker *w)
{
	struct channel_message message;
	int rc = 0;

	if (!w->is_body_told)
		rc = tell_body(w);
	w->is_body_told = rc == 0;
	while (rc == 0 && w->next_told < BODY_SOCKETS_MAX)
		rc = tell_sockets(w);
	if (rc < 0)
		return rc;
	channel_init(&message, CHANNEL_INVENTORY);
	return channel_send(BODY_FD_CHANNEL, &message, NULL, 0);
}

void
door_run(struct worker *w)
{
	int rc;

	if (w->is_alone && w->door_retry_ms != 0 &&
	    w->now_ms >= w->door_retry_ms) {
		w->door_retry_ms = 0;
		door_watch();
	}
	if (w->head->is_telling == 0 || w->now_ms < w->door_retry_ms)
		return;
	rc = w->is_alone ? -EPIPE : tell(w);
	/* Full, or more in flight than the user may have, or memory is short.
	 * If it is gone, the channel's end says so. */
	w->head->is_telling = rc < 0 && !channel_is_over(rc);
	w->door_retry_ms = w->head->is_telling != 0 ? w->now_ms + RETRY_MS : 0;
}

uint32_t
door_wait(const struct worker *w, uint32_t limit_ms)
{
	bool waits = w->head->is_telling != 0 || w->door_retry_ms != 0;

	return waits && limit_ms > RETRY_MS ? RETRY_MS : limit_ms;
}
