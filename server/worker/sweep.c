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
#include "server/worker/follow.h"
#include "server/worker/poller.h"
#include "server/worker/relay.h"
#include "server/worker/sweep.h"
#include "server/worker/take.h"

struct sweep {
	struct worker *w;
	struct claims claims;
	enum journal_act act; /* what the dead worker was doing, */
	uint32_t number;      /* and to which slot */
	bool is_second;       /* it died in its own sweep */
	bool has_culprit;
	enum close_reason blame;
	uint8_t owned[BODY_PIPES_MAX]; /* pipes that a slot names */
};

/* What the dead worker was at, and whether that is to blame.  The journal is
 * cleared first: if closing the culprit is what kills us, our successor must
 * not try the same again without delay.  What it said is kept beside it: a
 * sweep that was cut off leaves all slots to be looked at as if they had been
 * worked on. */
static void
read_journal(struct sweep *s)
{
	struct body_head *head = s->w->head;
	uint64_t word = atomic_load(&head->journal);

	s->is_second = atomic_load(&head->sweeping) != 0;
	if (!s->is_second)
		atomic_store(&head->owed, word);
	atomic_store(&head->sweeping, 1);
	atomic_store(&head->journal, 0);
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
	return s->is_second || worker_slot(s->w, number)->arrives_as != 0 ||
	    (s->act != JOURNAL_NONE && s->number == number);
}

/* Checks (W2) */

/* Does the slot say of its pipe what the pipe says?  If it was worked on that
 * is made good later. */
static bool
is_pending_sound(const struct sweep *s, const struct flow *flow, bool is_final)
{
	if (!is_final)
		return true;
	if (flow->pipe == 0)
		return flow_pending(flow) == 0;
	return pipes_content(&s->w->pipes, flow->pipe) ==
	    (int64_t)flow_pending(flow);
}

static bool
is_flow_sound(struct sweep *s, const struct flow *flow, bool is_final)
{
	if (flow->state >= FLOW_STATES)
		return false;
	if (flow->pipe == 0)
		return is_pending_sound(s, flow, is_final);
	if (flow->pipe > s->w->head->pipes_max ||
	    s->w->head->pipes[flow->pipe - 1].state != PIPE_READY ||
	    s->owned[flow->pipe - 1])
		return false;
	s->owned[flow->pipe - 1] = 1;
	return is_pending_sound(s, flow, is_final);
}

/* Has it what its state takes? */
static bool
is_state_sound(const struct slot *slot)
{
	bool has_client = slot->fd[SIDE_CLIENT] != 0;
	bool has_server = slot->fd[SIDE_BACKEND] != 0;

	switch (slot->state) {
	case CONN_ACCEPTING:
		return !has_server && !slot->has_backend;
	case CONN_DIALING:
		return has_client;
	case CONN_RELAYING:
	case CONN_RESETTING:
		return has_client && slot->has_backend &&
		    has_server == (slot->builtin == 0);
	default:
		return slot->state == CONN_CLOSING;
	}
}

/* Both or none are claimed: what a damaged slot had open is closed. */
static bool
are_fds_sound(struct sweep *s, const struct slot *slot)
{
	int client = slot->fd[SIDE_CLIENT];
	int backend = slot->fd[SIDE_BACKEND];

	if (client != 0 && !claims_add(&s->claims, client))
		return false;
	if (backend == 0 || claims_add(&s->claims, backend))
		return true;
	if (client != 0)
		claims_remove(&s->claims, client);
	return false;
}

/* Are its service and backend there (P2)? */
static bool
has_rows(const struct plan *plan, const struct slot *slot)
{
	return slot->service < plan->services.count &&
	    plan_service(plan, slot->service)->state != ROW_EMPTY &&
	    slot->backend < plan->backends.count &&
	    (slot->has_backend == 0 ||
		plan_backend(plan, slot->backend)->state != ROW_EMPTY);
}

static bool
is_slot_sound(struct sweep *s, const struct slot *slot)
{
	const struct plan *plan = s->w->plan;
	/* What a frozen one's pipe holds may be the taker's doing. */
	bool is_final = slot->state != CONN_CLOSING && slot->batch == 0 &&
	    !was_worked_on(s, worker_slot_number(s->w, slot));

	return is_state_sound(slot) && slot->id != 0 && plan != NULL &&
	    has_rows(plan, slot) && slot->listener < plan->listeners.count &&
	    slot->dead_side < SIDES && slot->end <= END_RESET &&
	    slot->tried_count <= SLOT_TRIED_MAX &&
	    (slot->builtin == 0 || slot->builtin == ADDR_ECHO ||
		slot->builtin == ADDR_DISCARD) &&
	    is_flow_sound(s, &slot->flows[FLOW_UP], is_final) &&
	    is_flow_sound(s, &slot->flows[FLOW_DOWN], is_final) &&
	    are_fds_sound(s, slot);
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
		memset(slot, 0, sizeof(*slot));
	}
}

/* Descriptors */

static void
claim_transfers(struct sweep *s)
{
	struct body_head *head = s->w->head;

	if (head->give.transfer == 0 || head->give.fd == 0 ||
	    !claims_add(&s->claims, head->give.fd))
		head->give.fd = 0;
	if (head->take.transfer == 0 || !claims_add(&s->claims, head->take.fd))
		head->take.transfer = 0;
}

static void
claim_tables(struct sweep *s)
{
	struct body_head *head = s->w->head;

	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		if (head->plans[i].generation == 0 ||
		    !claims_add(&s->claims, head->plans[i].fd))
			memset(&head->plans[i], 0, sizeof(head->plans[i]));
	}
	for (uint32_t i = 0; i < BODY_SOCKETS_MAX; i++) {
		if (head->listener_fd[i] != 0 &&
		    !claims_add(&s->claims, head->listener_fd[i]))
			head->listener_fd[i] = 0;
	}
	for (uint32_t i = 0; i < head->pipes_max; i++) {
		struct body_pipe *pipe = &head->pipes[i];

		if (pipe->state == PIPE_READY && pipe->bytes > 0 &&
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
	uint64_t owed = atomic_load(&s->w->head->owed);
	int fd = claims_first_gap(&s->claims);
	struct slot *slot;
	int listening = 1;
	socklen_t length = sizeof(listening);

	if (JOURNAL_ACT_OF(owed) != JOURNAL_ACCEPT ||
	    JOURNAL_SLOT_OF(owed) >= s->w->head->slots_used)
		return;
	slot = worker_slot(s->w, JOURNAL_SLOT_OF(owed));
	if (slot->state != CONN_ACCEPTING || slot->fd[SIDE_CLIENT] != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) <
		0 ||
	    listening != 0)
		return;
	slot->fd[SIDE_CLIENT] = fd;
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
		const struct slot *slot = worker_slot(w, i);

		if (slot->state == CONN_FREE) {
			w->free_slots[w->free_count++] = i;
			continue;
		}
		w->live++;
		w->postponed += slot->is_postponed != 0;
	}
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

	if (slot_is_frozen(slot))
		return;
	if (slot->state != CONN_FREE && slot->reason == REASON_CLOSED)
		count_closed(w, slot);
	if (slot->state == CONN_ACCEPTING && slot->fd[SIDE_CLIENT] != 0)
		accept_adopt(w, slot);
	/* One that was not accepted yet, or as good as closed. */
	if (slot->state == CONN_ACCEPTING || slot->state == CONN_CLOSING) {
		w->head->death.culprit = slot->id;
		conn_finish(w, slot);
	}
	if (slot->state == CONN_FREE)
		return;
	w->head->death.culprit = slot->id;
	log_error("a connection was closed because its worker %s on it id=%llu "
		  "service=%s",
	    s->blame == REASON_WATCHDOG ? "hung" : "crashed",
	    (unsigned long long)slot->id,
	    plan_string(w->plan, conn_service(w, slot)->name));
	atomic_fetch_add(&w->row->culprits, 1);
	relay_settle(w, slot);
	conn_close(w, slot, s->blame, END_RESET);
}

/* The dead worker may have got anywhere between freezing it and that. */
static void
forget_watch(const struct slot *slot)
{
	for (unsigned side = 0; side < SIDES; side++) {
		if (slot->fd[side] != 0)
			poller_remove(slot->fd[side]);
	}
}

static void
resume_slot(struct sweep *s, uint32_t number)
{
	struct worker *w = s->w;
	struct slot *slot = worker_slot(w, number);
	bool worked_on = was_worked_on(s, number);

	if (slot_is_frozen(slot)) {
		forget_watch(slot);
		return;
	}
	/* Counted as it was accepted, if the dead worker did not get to it. */
	if (slot->state == CONN_DIALING)
		count_accepted(w, slot);
	worker_journal(w, JOURNAL_CONN, number);
	slot->arrives_as = 0;
	if (slot->reason != REASON_NONE && slot->state != CONN_CLOSING &&
	    slot_is_connection(slot)) {
		/* It was about to be closed, and may be half way there. */
		conn_close(w, slot, slot->reason, (enum conn_end)slot->end);
		worker_journal(w, JOURNAL_NONE, 0);
		return;
	}
	switch (slot->state) {
	case CONN_ACCEPTING:
		if (slot->fd[SIDE_CLIENT] != 0)
			accept_adopt(w, slot);
		else
			conn_unclaim(w, slot);
		if (slot->state == CONN_DIALING)
			dial_start(w, slot);
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
	take_sort(s->w);
	claim_tables(s);
	claim_transfers(s);
	rc = follow_recover_plan(s->w);
	if (rc < 0)
		return rc;
	pipes_init(&s->w->pipes, s->w->head);
	check_slots(s);
	find_accepted(s);
	claims_close_gaps(&s->claims);
	claims_release(&s->claims);
	/* Whatever we open from here on is not the accept's. */
	atomic_store(&s->w->head->owed, 0);
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
	take_tell(w);
	if (w->plan != NULL)
		accept_open(w);
	if (s.has_culprit)
		close_culprit(&s);
	for (uint32_t i = 0; i < w->head->slots_used; i++)
		resume_slot(&s, i);
	atomic_store(&w->head->sweeping, 0);
	return 0;
}
