/*
 * leave - listening sockets that are accepted on no longer; see leave.h.
 */
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "server/worker/accept.h"
#include "server/worker/leave.h"
#include "server/worker/sockets.h"

/* How often it is looked whether others need us to stand in for them. */
#define RELIEVE_MS 500

/* It is watched and paused no longer, and is closed. */
static void
close_socket(struct worker *w, uint32_t n)
{
	if (w->listening[n].is_paused)
		w->paused--;
	w->listening[n].is_open = false;
	w->listening[n].is_paused = false;
	sockets_close(w->head, n);
}

/* Has next the listener that socket n is of? */
static bool
is_kept(const struct worker *w, uint32_t n, const struct plan *next)
{
	uint32_t number = sockets_number(w->head, n);

	return sockets_is_wanted(next, number) &&
	    w->head->listener_born[n] == plan_listener(next, number / 2)->born;
}

void
leave_removed(struct worker *w, const struct plan *next)
{
	SOCKETS_EACH(w->plan, n)
	{
		if (!sockets_has(w->head, w->plan, n) ||
		    sockets_has(w->head, next, n))
			continue;
		/* One of another seat may be another worker's from here on. */
		if (!is_kept(w, n, next)) {
			(void)accept_queued(w, n);
			/* The master has it as well: who comes from here on
			 * shall be refused and not wait for nobody.  But one
			 * that was passed is not ours to end. */
			if (!accept_is_passed(w, n))
				(void)shutdown(w->head->listener_fd[n],
				    SHUT_RD);
		}
		close_socket(w, n);
	}
}

static bool
is_queued_on(const struct worker *w, uint32_t n)
{
	struct pollfd pfd = {.fd = w->head->listener_fd[n], .events = POLLIN};

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLIN) != 0;
}

/* Is somebody queued who can't be accepted yet?  A socket that was passed
 * keeps its queue for whoever is given it next. */
static bool
must_wait(struct worker *w, uint32_t n)
{
	if (accept_queued(w, n) || !is_queued_on(w, n) ||
	    accept_is_passed(w, n))
		return false;
	accept_pause(w, n);
	/* No room for more: their connects fail, or are tried again when the
	 * socket is closed and somebody else may have bound its address. */
	(void)listen(w->head->listener_fd[n], 0);
	return true;
}

bool
leave_drained(struct worker *w)
{
	bool waits = false;

	for (uint32_t n = 0; n < BODY_SOCKETS_MAX; n++) {
		if (w->head->listener_fd[n] == 0)
			continue;
		if (must_wait(w, n)) {
			waits = true;
			continue;
		}
		close_socket(w, n);
	}
	return waits;
}

/* Has a worker of the seat all its sockets? */
static bool
is_served(const struct worker *w, uint32_t seat)
{
	for (uint32_t row = seat; row < BOARD_ROWS; row += PLAN_WORKERS_MAX) {
		if (board_is_live(w->board, row) &&
		    atomic_load(&board_row(w->board, row)->accepts) >=
			w->generation)
			return true;
	}
	return false;
}

void
leave_relieved(struct worker *w)
{
	/* What came for a plan that is being prepared is of seats that have a
	 * worker as yet. */
	if (w->plan == NULL || w->beside != NULL || w->now_ms < w->relieve_ms)
		return;
	w->relieve_ms = w->now_ms + RELIEVE_MS;
	for (uint32_t i = 0; i < BODY_EXTRAS_MAX; i++) {
		uint32_t seat = w->head->extra_seat[i];

		if (w->head->listener_fd[BODY_LISTENERS_MAX + i] == 0 ||
		    seat >= w->plan->workers || !is_served(w, seat))
			continue;
		close_socket(w, BODY_LISTENERS_MAX + i);
	}
}

void
leave_all(struct worker *w)
{
	for (uint32_t n = 0; n < BODY_SOCKETS_MAX; n++) {
		close_socket(w, n);
	}
}
