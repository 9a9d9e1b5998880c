/*
 * sweep - a new worker's first act; see sweep.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "server/worker/accept.h"
#include "server/worker/claims.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/dial.h"
#include "server/worker/orders.h"
#include "server/worker/relay.h"
#include "server/worker/sweep.h"

struct sweep {
	struct worker *w;
	struct claims claims;
	enum journal_act act; /* what the dead worker was doing, */
	uint32_t number;      /* and to which slot */
	bool has_culprit;
	enum close_reason blame;
	int adopted_fd; /* accepted, and written down nowhere; 0: none */
	uint8_t owned[BODY_PIPES_MAX]; /* pipes that a slot names */
};

/* What the dead worker was at, and whether that is to blame.  The journal is
 * cleared first: if closing the culprit is what kills us, our successor must
 * not try the same again without delay. */
static void
read_journal(struct sweep *s)
{
	struct body_head *head = s->w->head;
	uint64_t word = atomic_exchange(&head->journal, 0);

	s->act = JOURNAL_ACT_OF(word);
	s->number = JOURNAL_SLOT_OF(word);
	if (s->act == JOURNAL_NONE || s->act > JOURNAL_CONN ||
	    s->number >= head->slots_used) {
		s->act = JOURNAL_NONE;
		return;
	}
	s->blame = head->death.cause == DEATH_WATCHDOG ? REASON_WATCHDOG
						       : REASON_CULPRIT;
	s->has_culprit = atomic_load(&head->deaths) != 0 &&
	    (head->death.cause == DEATH_SIGNAL ||
		head->death.cause == DEATH_WATCHDOG);
}

static bool
was_worked_on(const struct sweep *s, uint32_t number)
{
	return s->act != JOURNAL_NONE && s->number == number;
}

/* Checks (W2) */

static bool
is_flow_sound(struct sweep *s, const struct flow *flow)
{
	if (flow->state >= FLOW_STATES)
		return false;
	if (flow->pipe == 0)
		return true;
	if (flow->pipe > s->w->head->pipes_max ||
	    s->w->head->pipes[flow->pipe - 1].state != PIPE_READY ||
	    s->owned[flow->pipe - 1])
		return false;
	s->owned[flow->pipe - 1] = 1;
	return true;
}

static bool
is_fd_sound(struct sweep *s, int fd)
{
	return fd == 0 || claims_add(&s->claims, fd);
}

static bool
is_slot_sound(struct sweep *s, const struct slot *slot)
{
	const struct plan *plan = s->w->plan;

	return slot->state < CONN_STATES && slot->id != 0 && plan != NULL &&
	    slot->service < plan->services.count &&
	    slot->listener < plan->listeners.count &&
	    slot->backend < plan->backends.count && slot->dead_side < SIDES &&
	    slot->tried_count <= SLOT_TRIED_MAX &&
	    (slot->builtin == 0 || slot->builtin == ADDR_ECHO ||
		slot->builtin == ADDR_DISCARD) &&
	    (slot->fd[SIDE_CLIENT] != 0 || slot->state == CONN_ACCEPTING ||
		slot->state == CONN_CLOSING) &&
	    is_flow_sound(s, &slot->flows[FLOW_UP]) &&
	    is_flow_sound(s, &slot->flows[FLOW_DOWN]) &&
	    is_fd_sound(s, slot->fd[SIDE_CLIENT]) &&
	    is_fd_sound(s, slot->fd[SIDE_BACKEND]);
}

static void
check_slots(struct sweep *s)
{
	struct worker *w = s->w;

	for (uint32_t i = 0; i < w->head->slots_used; i++) {
		struct slot *slot = worker_slot(w, i);

		if (slot->state == CONN_FREE || is_slot_sound(s, slot))
			continue;
		log_error("a damaged slot was given up with its connection "
			  "id=%llu slot=%u state=%u",
		    (unsigned long long)slot->id, i, slot->state);
		/* What it had claimed before the flaw was found stays open
		 * and unowned: a descriptor or two, for a bug. */
		memset(slot, 0, sizeof(*slot));
	}
}

/* Descriptors */

static void
claim_tables(struct sweep *s)
{
	struct body_head *head = s->w->head;

	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		if (head->plans[i].generation == 0 ||
		    !claims_add(&s->claims, head->plans[i].fd))
			memset(&head->plans[i], 0, sizeof(head->plans[i]));
	}
	for (uint32_t i = 0; i < BODY_LISTENERS_MAX; i++) {
		if (head->listener_fd[i] != 0 &&
		    !claims_add(&s->claims, head->listener_fd[i]))
			head->listener_fd[i] = 0;
	}
	for (uint32_t i = 0; i < head->pipes_max; i++) {
		struct body_pipe *pipe = &head->pipes[i];

		if (pipe->state == PIPE_READY &&
		    claims_add(&s->claims, pipe->fd[0]) &&
		    claims_add(&s->claims, pipe->fd[1]))
			continue;
		pipe->state = PIPE_NONE;
	}
}

/* An accept that was not written down: its descriptor is the lowest that
 * belongs to nobody, since the kernel gives out the lowest free number. */
static void
find_accepted(struct sweep *s)
{
	int fd = claims_first_gap(&s->claims);
	const struct slot *slot;
	int listening = 1;
	socklen_t length = sizeof(listening);

	if (s->act != JOURNAL_ACCEPT)
		return;
	slot = worker_slot(s->w, s->number);
	if (slot->state != CONN_ACCEPTING || slot->fd[SIDE_CLIENT] != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) <
		0 ||
	    listening != 0)
		return;
	s->adopted_fd = fd;
	(void)claims_add(&s->claims, fd);
}

/* Caches */

/* A pipe that no slot names; one with something in it was a damaged slot's,
 * and what it holds must never reach another connection. */
static void
free_pipe(struct worker *w, uint16_t number)
{
	if (pipes_content(&w->pipes, number) == 0)
		pipes_adopt(&w->pipes, number);
	else
		pipes_destroy(&w->pipes, &number);
}

static void
collect_free(struct sweep *s)
{
	struct worker *w = s->w;

	for (uint32_t i = w->head->slots_used; i-- > 0;) {
		if (worker_slot(w, i)->state == CONN_FREE)
			w->free_slots[w->free_count++] = i;
		else
			w->live++;
	}
	pipes_init(&w->pipes, w->head);
	for (uint32_t i = 0; i < w->head->pipes_max; i++) {
		if (w->head->pipes[i].state != PIPE_READY)
			continue;
		w->pipes.used++;
		if (!s->owned[i])
			free_pipe(w, (uint16_t)(i + 1));
	}
}

static void
recount(struct sweep *s)
{
	struct worker *w = s->w;

	count_recover(w);
	for (uint32_t i = 0; i < w->head->slots_used; i++) {
		const struct slot *slot = worker_slot(w, i);

		if (slot->state != CONN_DIALING &&
		    slot->state != CONN_RELAYING &&
		    slot->state != CONN_RESETTING)
			continue;
		count_live_service(w, slot, 1);
		if (slot->has_backend)
			count_live_backend(w, slot, 1);
	}
}

/* Connections */

static void
close_culprit(struct sweep *s)
{
	struct worker *w = s->w;
	struct slot *slot = worker_slot(w, s->number);

	if (slot->state != CONN_DIALING && slot->state != CONN_RELAYING &&
	    slot->state != CONN_RESETTING)
		return;
	w->head->death.culprit = slot->id;
	log_error("a connection was closed because its worker %s on it id=%llu "
		  "service=%s",
	    s->blame == REASON_WATCHDOG ? "hung" : "crashed",
	    (unsigned long long)slot->id,
	    plan_string(w->plan, conn_service(w, slot)->name));
	atomic_fetch_add(&w->row->culprits, 1);
	conn_close(w, slot, s->blame, END_RESET);
}

static void
resume_slot(struct sweep *s, uint32_t number)
{
	struct worker *w = s->w;
	struct slot *slot = worker_slot(w, number);
	bool worked_on = was_worked_on(s, number);

	w->postponed += slot->state == CONN_DIALING && slot->is_postponed;
	/* Counted as it was accepted, if the dead worker did not get to it. */
	if (slot->state == CONN_DIALING)
		count_accepted(w, slot);
	worker_journal(w, JOURNAL_CONN, number);
	switch (slot->state) {
	case CONN_ACCEPTING:
		if (slot->fd[SIDE_CLIENT] != 0)
			accept_adopt(w, slot, slot->fd[SIDE_CLIENT]);
		else if (s->adopted_fd != 0 && worked_on)
			accept_adopt(w, slot, s->adopted_fd);
		else
			conn_unclaim(w, slot);
		break;
	case CONN_DIALING:
		dial_recover(w, slot, worked_on);
		break;
	case CONN_RELAYING:
	case CONN_RESETTING:
		relay_recover(w, slot, worked_on);
		break;
	case CONN_CLOSING:
		conn_finish(w, slot);
		break;
	default:
		break;
	}
	worker_journal(w, JOURNAL_NONE, 0);
}

static int
sort_descriptors(struct sweep *s)
{
	int rc = claims_init(&s->claims);

	if (rc < 0)
		return rc;
	claim_tables(s);
	orders_map_plan(s->w);
	check_slots(s);
	find_accepted(s);
	claims_close_gaps(&s->claims);
	claims_release(&s->claims);
	return 0;
}

int
sweep(struct worker *w)
{
	struct sweep s = {.w = w};
	int rc;

	read_journal(&s);
	rc = sort_descriptors(&s);
	if (rc < 0)
		return rc;
	collect_free(&s);
	recount(&s);
	if (w->plan != NULL)
		accept_open(w);
	if (s.has_culprit)
		close_culprit(&s);
	for (uint32_t i = 0; i < w->head->slots_used; i++)
		resume_slot(&s, i);
	return 0;
}
