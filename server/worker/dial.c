/*
 * dial - from an accepted client to a connected backend; see dial.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/dial.h"
#include "server/worker/levels.h"
#include "server/worker/local_ports.h"
#include "server/worker/pick.h"
#include "server/worker/poller.h"
#include "server/worker/relay.h"
#include "server/worker/scarcity.h"
#include "server/worker/tcp.h"

/* A full Unix-domain backlog and a lack of descriptors have no event. */
#define RETRY_MS 20

#define REFUSED_SAID_MS 10000

enum dial_result {
	DIAL_CONNECTED,
	DIAL_WAITING, /* for epoll or the timer */
	DIAL_SHORT,   /* of descriptors or memory: as if nothing was tried */
	DIAL_FAILED,
};

static const struct plan_backend *
backend_of(const struct worker *w, const struct slot *slot)
{
	return plan_backend(w->plan, slot->backend);
}

/* When the present attempt has lasted too long; UINT64_MAX: never. */
static uint64_t
deadline(const struct worker *w, const struct slot *slot)
{
	uint64_t timeout = conn_service(w, slot)->connect_timeout_ms;

	return timeout == 0 ? UINT64_MAX : slot->phase_ms + timeout;
}

static void
set_timer(struct worker *w, const struct slot *slot, uint64_t due)
{
	if (due > deadline(w, slot))
		due = deadline(w, slot);
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

static int
watch_backend(struct worker *w, struct slot *slot)
{
	uint64_t key = poller_key_conn(slot->id, worker_slot_number(w, slot),
	    SIDE_BACKEND);
	bool is_new = (slot->side_flags[SIDE_BACKEND] & SIDE_WATCHED) == 0;

	slot->side_flags[SIDE_BACKEND] |= SIDE_WATCHED;
	slot->interest[SIDE_BACKEND] = EPOLLOUT;
	return is_new ? poller_add(slot->fd[SIDE_BACKEND], key, EPOLLOUT)
		      : poller_watch(slot->fd[SIDE_BACKEND], key, EPOLLOUT);
}

/* Of a call that failed; errno stands. */
static enum dial_result
not_dialed(struct worker *w)
{
	int error = errno;

	if (!scarcity_is(error))
		return DIAL_FAILED;
	scarcity_met(w, error);
	return DIAL_SHORT;
}

static int
call_connect(struct worker *w, const struct slot *slot,
    const struct sockaddr *address, socklen_t length)
{
	return conn_side_is_tcp(slot, SIDE_BACKEND)
	    ? local_ports_connect(w, slot, address, length)
	    : connect(slot->fd[SIDE_BACKEND], address, length);
}

/* Call connect() for the slot's socket; again as often as it likes. */
static enum dial_result
connect_backend(struct worker *w, struct slot *slot)
{
	struct sockaddr_storage ss;
	int length = addr_to_sockaddr(&backend_of(w, slot)->addr, &ss);

	if (length < 0)
		return DIAL_FAILED;
	if (call_connect(w, slot, (struct sockaddr *)&ss, (socklen_t)length) ==
		0 ||
	    errno == EISCONN)
		return DIAL_CONNECTED;
	if (errno == EINPROGRESS || errno == EALREADY) {
		if (watch_backend(w, slot) < 0)
			return not_dialed(w);
		set_timer(w, slot, UINT64_MAX);
		return DIAL_WAITING;
	}
	if (errno == EAGAIN && slot->server.kind == ADDR_UNIX) {
		set_timer(w, slot, w->now_ms + RETRY_MS);
		return DIAL_WAITING;
	}
	return not_dialed(w);
}

static enum dial_result
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
		return DIAL_CONNECTED;
	}
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return not_dialed(w);
	slot->fd[SIDE_BACKEND] = fd;
	set_options(w, slot);
	return connect_backend(w, slot);
}

static void
begin_attempt(struct worker *w, struct slot *slot, uint32_t backend)
{
	slot->backend = backend;
	slot->tried[slot->tried_count] = (uint16_t)backend;
	slot->tried_count++;
	slot->phase_ms = w->now_ms;
	/* Last: who has a backend has it among the tried ones. */
	atomic_signal_fence(memory_order_seq_cst);
	slot->has_backend = 1;
	count_live_backend(w, slot, 1);
}

static void
end_attempt(struct worker *w, struct slot *slot)
{
	conn_close_side(slot, SIDE_BACKEND);
	count_live_backend(w, slot, -1);
	slot->has_backend = 0;
	slot->builtin = 0;
	memset(&slot->server, 0, sizeof(slot->server));
	memset(&slot->source, 0, sizeof(slot->source));
}

/* As if this attempt had not been made. */
static void
withdraw(struct worker *w, struct slot *slot)
{
	slot->tried_count--;
	atomic_signal_fence(memory_order_seq_cst);
	end_attempt(w, slot);
}

/* Descriptors are short. */
static void
postpone(struct worker *w, struct slot *slot)
{
	withdraw(w, slot);
	slot->is_postponed = 1;
	w->postponed++;
	timers_set(&w->timers, worker_slot_number(w, slot),
	    w->now_ms + RETRY_MS);
}

/*
 * A lack of local ports is one of this backend's address only, so the next one
 * is tried.  Nobody waits for a port: looking for one in vain takes the kernel
 * a walk over all of them.
 */
static void
fail_attempt(struct worker *w, struct slot *slot, int error)
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
	end_attempt(w, slot);
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

/* False: it is no backend that answered, and the attempt has failed. */
static bool
succeed(struct worker *w, struct slot *slot)
{
	note_time(w, slot);
	note_source(slot);
	if (is_to_itself(slot)) {
		/* The backend could not bind to a port in TIME_WAIT. */
		conn_reset_at_close(slot, SIDE_BACKEND);
		fail_attempt(w, slot, ECONNREFUSED);
		return false;
	}
	count_connected(w, slot);
	relay_start(w, slot);
	return true;
}

/* A backend that is down is told of now and then, not with every client. */
static void
say_refused(struct worker *w, const struct slot *slot)
{
	w->refused++;
	if (!levels_want(w, slot->service, LEVEL_WARN) ||
	    (w->refused_ms != 0 && w->now_ms - w->refused_ms < REFUSED_SAID_MS))
		return;
	w->refused_ms = w->now_ms;
	log_warn("no backend could be reached, clients are reset service=%s "
		 "tried=%u clients=%u",
	    plan_string(w->plan, conn_service(w, slot)->name),
	    slot->tried_count, w->refused);
	w->refused = 0;
}

/* error: why the last dial failed; 0: not just now. */
static void
refuse(struct worker *w, struct slot *slot, int error)
{
	if (conn_service(w, slot)->state != ROW_ACTIVE) {
		conn_close(w, slot, REASON_REMOVED, END_RESET);
		return;
	}
	/* Ports that are short are not the backends' fault, and were told. */
	if (error != EADDRNOTAVAIL)
		say_refused(w, slot);
	count_refused(w, slot);
	conn_close(w, slot, REASON_REFUSED, END_RESET);
}

void
dial_start(struct worker *w, struct slot *slot)
{
	uint32_t number = worker_slot_number(w, slot);
	uint64_t phase_ms = slot->phase_ms;
	uint32_t backend = 0;
	int error = 0;

	worker_journal(w, JOURNAL_DIAL, number);
	if (slot->is_postponed) {
		slot->is_postponed = 0;
		w->postponed--;
	}
	while (pick_backend(w, slot, &backend)) {
		begin_attempt(w, slot, backend);
		switch (dial_backend(w, slot)) {
		case DIAL_CONNECTED:
			worker_journal(w, JOURNAL_CONN, number);
			if (succeed(w, slot))
				return;
			worker_journal(w, JOURNAL_DIAL, number);
			error = ECONNREFUSED;
			break;
		case DIAL_WAITING:
			return;
		case DIAL_SHORT:
			postpone(w, slot);
			slot->phase_ms = phase_ms;
			return;
		case DIAL_FAILED:
			error = errno;
			fail_attempt(w, slot, error);
			break;
		}
	}
	refuse(w, slot, error);
}

void
dial_on_event(struct worker *w, struct slot *slot, uint32_t events)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (slot->has_backend == 0 ||
	    (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
		return;
	/* A failed connect is never writable without one of these as well. */
	if ((events & (EPOLLERR | EPOLLHUP)) == 0) {
		if (!succeed(w, slot))
			dial_start(w, slot);
		return;
	}
	(void)getsockopt(slot->fd[SIDE_BACKEND], SOL_SOCKET, SO_ERROR, &error,
	    &length);
	fail_attempt(w, slot, error == 0 ? ECONNREFUSED : error);
	dial_start(w, slot);
}

void
dial_on_timer(struct worker *w, struct slot *slot)
{
	if (slot->has_backend != 0 && w->now_ms >= deadline(w, slot)) {
		fail_attempt(w, slot, ETIMEDOUT);
		dial_start(w, slot);
		return;
	}
	if (slot->has_backend == 0) {
		if (w->now_ms >= deadline(w, slot))
			refuse(w, slot, 0);
		else
			dial_start(w, slot);
		return;
	}
	switch (connect_backend(w, slot)) {
	case DIAL_CONNECTED:
		if (!succeed(w, slot))
			dial_start(w, slot);
		break;
	case DIAL_FAILED:
		fail_attempt(w, slot, errno);
		dial_start(w, slot);
		break;
	case DIAL_SHORT:
		postpone(w, slot);
		break;
	case DIAL_WAITING:
		break;
	}
}

void
dial_review(struct worker *w, struct slot *slot)
{
	enum plan_on_remove on_remove = conn_on_remove(w, slot);

	if (conn_service(w, slot)->state != ROW_ACTIVE) {
		if (on_remove == ON_REMOVE_CLOSE) {
			conn_close(w, slot, REASON_REMOVED, END_RESET);
			return;
		}
	} else if (on_remove != ON_REMOVE_KEEP) {
		/* Its backend was removed: there are others. */
		withdraw(w, slot);
		dial_start(w, slot);
		return;
	}
	if (deadline(w, slot) != UINT64_MAX)
		timers_hasten(&w->timers, worker_slot_number(w, slot),
		    deadline(w, slot));
}

static bool
is_connected(const struct slot *slot)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	return slot->fd[SIDE_BACKEND] != 0 &&
	    getpeername(slot->fd[SIDE_BACKEND], (struct sockaddr *)&ss,
		&length) == 0;
}

/* The dead worker may have got anywhere between the flag and the call. */
static void
forget_watch(struct slot *slot)
{
	for (unsigned side = 0; side < SIDES; side++) {
		if (slot->fd[side] != 0)
			poller_remove(slot->fd[side]);
		slot->side_flags[side] &= (uint8_t)~SIDE_WATCHED;
	}
}

/* Is it counted that the last of the tried ones failed? */
static bool
has_failed(const struct slot *slot)
{
	return slot->tried_count > 0 &&
	    (slot->tally & TALLY_FAILED << (slot->tried_count - 1)) != 0;
}

void
dial_recover(struct worker *w, struct slot *slot, bool was_worked_on)
{
	struct tcp_facts facts;

	if (was_worked_on)
		forget_watch(slot);
	if (slot->has_backend != 0 && has_failed(slot))
		end_attempt(w, slot);
	else if (slot->has_backend == 0 && !has_failed(slot) &&
	    slot->tried_count > 0)
		slot->tried_count--; /* it was only about to be tried */
	if (slot->has_backend == 0) {
		dial_start(w, slot);
		return;
	}
	if (is_connected(slot)) {
		if (!succeed(w, slot))
			dial_start(w, slot);
		return;
	}
	if (slot->fd[SIDE_BACKEND] != 0 && slot->server.kind == ADDR_UNIX) {
		dial_on_timer(w, slot);
		return;
	}
	if (slot->fd[SIDE_BACKEND] != 0 &&
	    tcp_ask(slot->fd[SIDE_BACKEND], &facts) && facts.is_dialing) {
		if (watch_backend(w, slot) == 0) {
			set_timer(w, slot, UINT64_MAX);
			return;
		}
	}
	/* It failed, or was never begun: in that case it counts as untried. */
	if (was_worked_on) {
		if (slot->tried_count > 0)
			slot->tried_count--;
		end_attempt(w, slot);
	} else {
		fail_attempt(w, slot, ECONNREFUSED);
	}
	dial_start(w, slot);
}
