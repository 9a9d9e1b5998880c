/*
 * attempt - one backend dialed for one client; see attempt.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "server/worker/attempt.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/levels.h"
#include "server/worker/local_ports.h"
#include "server/worker/poller.h"
#include "server/worker/scarcity.h"

/* A full Unix-domain backlog has no event. */
#define RETRY_MS 20

static const struct plan_backend *
backend_of(const struct worker *w, const struct slot *slot)
{
	return plan_backend(w->plan, slot->backend);
}

uint64_t
attempt_deadline(const struct worker *w, const struct slot *slot)
{
	uint64_t timeout = conn_service(w, slot)->connect_timeout_ms;

	return timeout == 0 ? UINT64_MAX : slot->phase_ms + timeout;
}

void
attempt_set_timer(struct worker *w, const struct slot *slot, uint64_t due)
{
	if (due > attempt_deadline(w, slot))
		due = attempt_deadline(w, slot);
	if (due != UINT64_MAX)
		timers_set(&w->timers, worker_slot_number(w, slot), due);
}

static void
set_options(const struct worker *w, const struct slot *slot)
{
	static const int on = 1;
	int fd = slot->fd[SIDE_BACKEND];

	if (!conn_side_is_tcp(slot, SIDE_BACKEND))
		return;
	/* So that splice() and the urgent byte meet in one stream (tcp(7)). */
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	if (conn_service(w, slot)->nodelay)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
note_server(struct slot *slot, const struct addr *addr)
{
	slot->server.kind = addr->kind;
	slot->server.port = addr->port;
	memcpy(slot->server.ip, addr->ip, sizeof(slot->server.ip));
}

int
attempt_watch(struct worker *w, struct slot *slot)
{
	uint64_t key = poller_key_conn(slot->id, worker_slot_number(w, slot),
	    SIDE_BACKEND);
	bool is_new = (slot->side_flags[SIDE_BACKEND] & SIDE_WATCHED) == 0;

	slot->side_flags[SIDE_BACKEND] |= SIDE_WATCHED;
	slot->interest[SIDE_BACKEND] = EPOLLOUT;
	return is_new ? poller_add(slot->fd[SIDE_BACKEND], key, EPOLLOUT)
		      : poller_watch(slot->fd[SIDE_BACKEND], key, EPOLLOUT);
}

static void
note_source(struct slot *slot)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	if (slot->fd[SIDE_BACKEND] != 0 &&
	    conn_side_is_tcp(slot, SIDE_BACKEND) &&
	    getsockname(slot->fd[SIDE_BACKEND], (struct sockaddr *)&ss,
		&length) == 0)
		endpoint_from_sockaddr(&slot->source, (struct sockaddr *)&ss,
		    length);
}

static void
note_time(const struct worker *w, struct slot *slot)
{
	uint64_t us = w->now_us - slot->started_us;

	slot->connect_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* A dial to an address of this machine where nobody listens may be given that
 * very port, and is connected to itself then (RFC 9293, 3.5). */
static bool
is_to_itself(const struct slot *slot)
{
	return conn_side_is_tcp(slot, SIDE_BACKEND) &&
	    slot->source.kind == slot->server.kind &&
	    slot->source.port == slot->server.port &&
	    memcmp(slot->source.ip, slot->server.ip, sizeof(slot->source.ip)) ==
	    0;
}

/* The socket is connected; but is it to a backend? */
static enum attempt_result
conclude(struct worker *w, struct slot *slot)
{
	note_time(w, slot);
	note_source(slot);
	if (is_to_itself(slot)) {
		/* The backend could not bind to a port in TIME_WAIT. */
		conn_reset_at_close(slot, SIDE_BACKEND);
		errno = ECONNREFUSED;
		return ATTEMPT_FAILED;
	}
	count_connected(w, slot);
	return ATTEMPT_CONNECTED;
}

/* Of a call that failed; errno stands. */
static enum attempt_result
not_dialed(struct worker *w)
{
	int error = errno;

	if (!scarcity_is(error))
		return ATTEMPT_FAILED;
	scarcity_met(w, error);
	return ATTEMPT_SHORT;
}

static int
call_connect(struct worker *w, const struct slot *slot,
    const struct sockaddr *address, socklen_t length)
{
	return conn_side_is_tcp(slot, SIDE_BACKEND)
	    ? local_ports_connect(w, slot, address, length)
	    : connect(slot->fd[SIDE_BACKEND], address, length);
}

enum attempt_result
attempt_connect(struct worker *w, struct slot *slot)
{
	struct sockaddr_storage ss;
	int length = addr_to_sockaddr(&backend_of(w, slot)->addr, &ss);

	if (length < 0)
		return ATTEMPT_FAILED;
	if (call_connect(w, slot, (struct sockaddr *)&ss, (socklen_t)length) ==
		0 ||
	    errno == EISCONN)
		return conclude(w, slot);
	if (errno == EINPROGRESS || errno == EALREADY) {
		if (attempt_watch(w, slot) < 0)
			return not_dialed(w);
		attempt_set_timer(w, slot, UINT64_MAX);
		return ATTEMPT_WAITING;
	}
	if (errno == EAGAIN && slot->server.kind == ADDR_UNIX) {
		attempt_set_timer(w, slot, w->now_ms + RETRY_MS);
		return ATTEMPT_WAITING;
	}
	return not_dialed(w);
}

enum attempt_result
attempt_on_event(struct worker *w, struct slot *slot, uint32_t events)
{
	int error = 0;
	socklen_t length = sizeof(error);

	/* A failed connect is never writable without one of these as well. */
	if ((events & (EPOLLERR | EPOLLHUP)) == 0)
		return conclude(w, slot);
	(void)getsockopt(slot->fd[SIDE_BACKEND], SOL_SOCKET, SO_ERROR, &error,
	    &length);
	errno = error == 0 ? ECONNREFUSED : error;
	return ATTEMPT_FAILED;
}

static enum attempt_result
dial_backend(struct worker *w, struct slot *slot)
{
	const struct addr *addr = &backend_of(w, slot)->addr;
	int family = addr->kind == ADDR_UNIX ? AF_UNIX
	    : addr->kind == ADDR_TCP6        ? AF_INET6
					     : AF_INET;
	int fd;

	note_server(slot, addr);
	if (addr->kind == ADDR_ECHO || addr->kind == ADDR_DISCARD) {
		slot->builtin = addr->kind;
		return conclude(w, slot);
	}
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return not_dialed(w);
	slot->fd[SIDE_BACKEND] = fd;
	set_options(w, slot);
	return attempt_connect(w, slot);
}

enum attempt_result
attempt_begin(struct worker *w, struct slot *slot, uint32_t backend)
{
	slot->backend = backend;
	slot->tried[slot->tried_count] = (uint16_t)backend;
	slot->tried_count++;
	slot->phase_ms = w->now_ms;
	/* Last: who has a backend has it among the tried ones. */
	atomic_signal_fence(memory_order_seq_cst);
	slot->has_backend = 1;
	count_live_backend(w, slot, 1);
	return dial_backend(w, slot);
}

void
attempt_end(struct worker *w, struct slot *slot)
{
	conn_close_side(slot, SIDE_BACKEND);
	count_live_backend(w, slot, -1);
	slot->has_backend = 0;
	slot->builtin = 0;
	memset(&slot->server, 0, sizeof(slot->server));
	memset(&slot->source, 0, sizeof(slot->source));
}

void
attempt_withdraw(struct worker *w, struct slot *slot)
{
	slot->tried_count--;
	atomic_signal_fence(memory_order_seq_cst);
	attempt_end(w, slot);
}

/*
 * A lack of local ports is one of this backend's address only, so the next one
 * is tried.  Nobody waits for a port: looking for one in vain takes the kernel
 * a walk over all of them.
 */
void
attempt_fail(struct worker *w, struct slot *slot, int error)
{
	if (error == EADDRNOTAVAIL)
		scarcity_met_ports(w, slot);
	if (levels_want(w, slot->service, LEVEL_DEBUG))
		log_debug("dial failed id=%llu backend=%s address=%s "
			  "error=\"%s\"",
		    (unsigned long long)slot->id,
		    plan_string(w->plan, backend_of(w, slot)->name),
		    plan_string(w->plan, backend_of(w, slot)->text),
		    strerror(error));
	count_failed(w, slot);
	attempt_end(w, slot);
}
