/*
 * accept - the listening sockets, and clients taken from them; see accept.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "server/worker/accept.h"
#include "server/worker/conn.h"
#include "server/worker/dial.h"
#include "server/worker/levels.h"
#include "server/worker/poller.h"
#include "server/worker/scarcity.h"
#include "server/worker/sockets.h"

/* Several accepts a wake-up, but not all: others wait too.  A turn begins
 * with one, since asking in vain costs as much as a wake-up, and doubles
 * while more are queued. */
#define ACCEPTS_A_TURN 16
#define DRAIN_ACCEPTS  16384

/* A paused socket is looked at again after this. */
#define RESUME_MS 20
#define SHORT_MS  100

/* Failures in a row until it is said that a socket has them: one may be of a
 * moment. */
#define FAILED_SAID 3

enum accept_result {
	ACCEPT_TAKEN,
	ACCEPT_EMPTY, /* nobody is queued any more */
	ACCEPT_PAUSE, /* not now */
};

static const struct plan_listener *
listener_of(const struct worker *w, uint32_t number)
{
	return plan_listener(w->plan, sockets_number(w->head, number) / 2);
}

bool
accept_is_passed(const struct worker *w, uint32_t number)
{
	return body_listener_is_passed(listener_of(w, number),
	    sockets_number(w->head, number));
}

static void
watch(struct worker *w, uint32_t number)
{
	int rc = poller_watch(w->head->listener_fd[number],
	    poller_key_listener(number), EPOLLIN);

	/* No memory for it: as if it were paused, so that it is tried again. */
	if (rc < 0 && !w->listening[number].is_paused) {
		w->listening[number].is_paused = true;
		w->paused++;
		w->resume_ms = w->now_ms + SHORT_MS;
	}
}

static void
pause_listening(struct worker *w, uint32_t number, uint32_t ms)
{
	struct listening *l = &w->listening[number];

	if (!l->is_paused)
		w->paused++;
	l->is_paused = true;
	/* Without interest in anything EPOLLHUP would still be told. */
	poller_remove(w->head->listener_fd[number]);
	if (w->resume_ms == 0 || w->resume_ms > w->now_ms + ms)
		w->resume_ms = w->now_ms + ms;
}

void
accept_pause(struct worker *w, uint32_t number)
{
	bool is_short =
	    scarcity_has(w, SHORT_DESCRIPTORS) || scarcity_has(w, SHORT_MEMORY);

	pause_listening(w, number, is_short ? SHORT_MS : RESUME_MS);
}

static bool
is_plan_socket(const struct worker *w, uint32_t number)
{
	return w->plan != NULL && number < BODY_SOCKETS_MAX &&
	    w->listening[number].is_open &&
	    sockets_number(w->head, number) / 2 < w->plan->listeners.count;
}

static void
open_socket(struct worker *w, uint32_t n)
{
	struct listening *l = &w->listening[n];

	*l = (struct listening){
	    .is_open = true,
	    .is_shared = listener_of(w, n)->addr.kind == ADDR_UNIX ||
		accept_is_passed(w, n),
	};
	/* A member of a group may have waited for this (listeners.c). */
	if (!l->is_shared)
		(void)listen(w->head->listener_fd[n],
		    (int)listener_of(w, n)->backlog);
	watch(w, n);
}

void
accept_open(struct worker *w)
{
	SOCKETS_EACH(w->plan, n)
	{
		if (!w->listening[n].is_open &&
		    sockets_has(w->head, w->plan, n))
			open_socket(w, n);
	}
}

/* Limits */

/* A live count of all workers together, at offset in their rows. */
static uint64_t
live_at(const struct worker *w, size_t offset)
{
	return board_sum(w->board, offset, w->plan->max_connections);
}

static uint64_t
gateway_connections(const struct worker *w)
{
	return live_at(w, offsetof(struct board_row, connections));
}

static bool
is_at_limit(struct worker *w, const struct plan_listener *listener)
{
	const struct plan_service *service =
	    plan_service(w->plan, listener->service);
	size_t offset =
	    offsetof(struct board_row, services[listener->service].connections);

	if (gateway_connections(w) >= w->plan->max_connections) {
		scarcity_met_limit(w, LEVELS_GENERAL);
		return true;
	}
	if (service->max_connections == 0 ||
	    live_at(w, offset) < service->max_connections)
		return false;
	scarcity_met_limit(w, listener->service);
	return true;
}

/* A socket shared with the other workers is left to them once by whoever has
 * more connections than the mean. */
static bool
abstains(struct worker *w, uint32_t number)
{
	struct listening *l = &w->listening[number];
	uint64_t live = gateway_connections(w);

	if (!l->is_shared || l->is_armed ||
	    (uint64_t)w->live * w->plan->workers <= live) {
		l->is_armed = false;
		return false;
	}
	l->is_armed = true;
	return true;
}

/* A service manager has the sockets that it passed too, and may shut one down;
 * or whoever else it passed them to. */
static void
say_failing(struct worker *w, uint32_t number, int error)
{
	const struct plan_listener *listener = listener_of(w, number);
	struct listening *l = &w->listening[number];

	if (!accept_is_passed(w, number) || l->failed == FAILED_SAID)
		return;
	if (++l->failed == FAILED_SAID &&
	    levels_want(w, listener->service, LEVEL_WARN))
		log_warn("nobody can connect to %s, which the service manager "
			 "passed, until it listens again service=%s "
			 "error=\"%s\"",
		    plan_string(w->plan, listener->text),
		    plan_string(w->plan,
			plan_service(w->plan, listener->service)->name),
		    strerror(error));
}

/* Accepting */

/*
 * Whether accept waits is a matter of the open file, so of all who have it.  A
 * service manager that gives a socket to another service as well makes it
 * waiting again, and then one of two workers waited for a client that the other
 * had taken.
 */
static void
keep_nonblocking(struct worker *w, uint32_t number)
{
	int fd = w->head->listener_fd[number];
	int flags;

	if (!accept_is_passed(w, number))
		return;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Where the client came to.  The plan may have lost the listener's row since
 * a dead worker accepted it; and "any address" is none. */
static void
note_local(struct slot *slot, const struct plan_listener *listener)
{
	static const uint8_t any[16];
	const struct addr *bound = &listener->addr;
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	slot->local.kind = bound->kind;
	slot->local.port = bound->port;
	memcpy(slot->local.ip, bound->ip, sizeof(slot->local.ip));
	if (bound->kind == ADDR_UNIX ||
	    (bound->kind != ADDR_PASSED && bound->port != 0 &&
		memcmp(bound->ip, any, sizeof(any)) != 0))
		return;
	if (bound->kind == ADDR_PASSED)
		slot->local = (struct endpoint){.kind = ADDR_NONE};
	if (getsockname(slot->fd[SIDE_CLIENT], (struct sockaddr *)&ss,
		&length) == 0)
		endpoint_from_sockaddr(&slot->local, (struct sockaddr *)&ss,
		    length);
}

/* The client is a connection from here on. */
static void
admit(struct worker *w, struct slot *slot, const struct sockaddr *peer,
    socklen_t length)
{
	endpoint_from_sockaddr(&slot->client, peer, length);
	note_local(slot, plan_listener(w->plan, slot->listener));
	/* One that has been reset already tells no name. */
	if (slot->client.kind == ADDR_NONE)
		slot->client.kind =
		    slot->local.kind == ADDR_UNIX ? ADDR_UNIX : ADDR_TCP4;
	conn_accepted(w, slot);
}

static enum accept_result
accept_failed(struct worker *w, uint32_t number, int error)
{
	if (scarcity_is(error)) {
		scarcity_met(w, error);
		return ACCEPT_PAUSE;
	}
	switch (error) {
	case EAGAIN:
		return ACCEPT_EMPTY;
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case EINTR:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		/* The client's own error, passed on by accept(2). */
		return ACCEPT_TAKEN;
	default:
		say_failing(w, number, error);
		return ACCEPT_PAUSE;
	}
}

static enum accept_result
accept_one(struct worker *w, uint32_t number)
{
	const struct plan_listener *listener = listener_of(w, number);
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);
	struct slot *slot;
	int fd;
	int error;

	if (w->postponed > 0 || is_at_limit(w, listener))
		return ACCEPT_PAUSE;
	slot = conn_claim(w);
	if (slot == NULL) {
		scarcity_met_limit(w, LEVELS_GENERAL);
		return ACCEPT_PAUSE;
	}
	slot->service = listener->service;
	slot->listener = sockets_number(w->head, number) / 2;
	worker_journal(w, JOURNAL_ACCEPT, worker_slot_number(w, slot));
	fd = accept4(w->head->listener_fd[number], (struct sockaddr *)&ss,
	    &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		error = errno;
		conn_unclaim(w, slot);
		return accept_failed(w, number, error);
	}
	slot->fd[SIDE_CLIENT] = fd;
	w->listening[number].failed = 0;
	admit(w, slot, (struct sockaddr *)&ss, length);
	dial_start(w, slot);
	return ACCEPT_TAKEN;
}

static uint8_t
next_eagerness(const struct worker *w, const struct listening *l,
    enum accept_result result)
{
	bool is_busy = result == ACCEPT_TAKEN && l->last_round + 1 == w->round;

	if (!is_busy)
		return 0;
	return l->eager >= ACCEPTS_A_TURN / 2 ? ACCEPTS_A_TURN - 1
					      : (uint8_t)(2 * l->eager + 1);
}

void
accept_on_event(struct worker *w, uint32_t number)
{
	struct listening *l = &w->listening[number];
	enum accept_result result = ACCEPT_TAKEN;

	if (!is_plan_socket(w, number))
		return;
	if (abstains(w, number)) {
		pause_listening(w, number, TIMERS_TICK_MS);
		return;
	}
	keep_nonblocking(w, number);
	for (uint32_t i = 0; i <= l->eager && result == ACCEPT_TAKEN; i++)
		result = accept_one(w, number);
	l->eager = next_eagerness(w, l, result);
	l->last_round = w->round;
	if (result == ACCEPT_PAUSE)
		accept_pause(w, number);
}

void
accept_resume(struct worker *w)
{
	if (w->paused == 0 || w->resume_ms == 0 || w->resume_ms > w->now_ms)
		return;
	w->resume_ms = 0;
	w->paused = 0;
	SOCKETS_EACH(w->plan, n)
	{
		if (!w->listening[n].is_paused)
			continue;
		w->listening[n].is_paused = false;
		watch(w, n);
	}
}

bool
accept_queued(struct worker *w, uint32_t number)
{
	enum accept_result result =
	    is_plan_socket(w, number) ? ACCEPT_TAKEN : ACCEPT_EMPTY;

	if (result == ACCEPT_TAKEN)
		keep_nonblocking(w, number);
	for (int i = 0; i < DRAIN_ACCEPTS && result == ACCEPT_TAKEN; i++)
		result = accept_one(w, number);
	worker_journal(w, JOURNAL_NONE, 0);
	return result != ACCEPT_PAUSE;
}

void
accept_adopt(struct worker *w, struct slot *slot)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	if (getpeername(slot->fd[SIDE_CLIENT], (struct sockaddr *)&ss,
		&length) < 0)
		length = 0;
	admit(w, slot, (struct sockaddr *)&ss, length);
}
