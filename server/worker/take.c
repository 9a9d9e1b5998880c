/*
 * take - connections that come from another body; see take.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/state/channel.h"
#include "server/worker/closing.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/poller.h"
#include "server/worker/record.h"
#include "server/worker/relay.h"
#include "server/worker/scarcity.h"
#include "server/worker/take.h"

#define MESSAGES_A_TURN 4
/* An answer that found no room, or a channel that could not be watched. */
#define RETRY_MS 20

static struct transfer_message message;

static void
watch(struct worker *w)
{
	w->take.is_unwatched = poller_watch(w->head->take.fd,
				   poller_key_single(POLLER_TAKE), EPOLLIN) < 0;
}

/* Say what is ours (A2). */
static void
answer(struct worker *w, uint64_t nonce)
{
	static struct transfer_message have;
	int rc;

	transfer_init(&have, TRANSFER_HAVE);
	have.head.nonce = nonce;
	have.head.batch = w->head->take.batch;
	w->take.nonce = nonce;
	rc = transfer_send(w->head->take.fd, &have);
	w->take.owes = rc < 0 && !channel_is_over(rc);
}

static void
end(struct worker *w)
{
	struct body_take *take = &w->head->take;
	int fd = take->fd;

	/* The master may have it, too. */
	poller_remove(fd);
	take->over = take->transfer;
	atomic_signal_fence(memory_order_seq_cst);
	take->transfer = 0;
	atomic_signal_fence(memory_order_seq_cst);
	take->fd = 0;
	close(fd);
	w->take.owes = false;
	w->take.is_unwatched = false;
}

bool
take_begin(struct worker *w, uint64_t transfer, int fd)
{
	struct body_take *take = &w->head->take;

	/* The master orders another when the last is over: its end has come,
	 * if not been read. */
	if (take->transfer != 0 && take->transfer != transfer)
		take_on_event(w);
	if (take->transfer != 0 || transfer == take->over)
		return false;
	take->batch = 0;
	take->fd = fd;
	atomic_signal_fence(memory_order_seq_cst);
	take->transfer = transfer;
	watch(w);
	return true;
}

/* Could we go on with all of them?  Returns 0, or an error that the giver
 * needs not know, since it tries again. */
static int
check_batch(struct worker *w)
{
	uint32_t count = message.head.count;
	uint32_t pipes = 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct transfer_record *r = &message.records[i];

		if (!record_is_sound(w, r, message.fds + at))
			return -EINVAL;
		pipes += (r->flows[FLOW_UP].has_pipe != 0) +
		    (r->flows[FLOW_DOWN].has_pipe != 0);
		at += transfer_fds_of(r);
	}
	if (w->free_count + w->head->slots_max - w->head->slots_used < count)
		return -ENOSPC;
	return pipes_make_room(&w->pipes, pipes) ? 0 : -ENOSPC;
}

/* It is ours.  In this order, so that it never looks like one that is frozen
 * here (take_sort). */
static void
own(struct slot *slot)
{
	slot_set_state(slot, (enum conn_state)slot->arrives_as);
	atomic_signal_fence(memory_order_seq_cst);
	slot->batch = 0;
	atomic_signal_fence(memory_order_seq_cst);
}

/* From here on it counts as ours, and looks as if our predecessor had died on
 * it until it is gone on with. */
static void
enter(struct worker *w, struct slot *slot)
{
	worker_journal(w, JOURNAL_CONN, worker_slot_number(w, slot));
	own(slot);
	count_live_service(w, slot, 1);
	count_live_backend(w, slot, 1);
	worker_journal(w, JOURNAL_NONE, 0);
}

static void
go_on(struct worker *w, struct slot *slot, uint64_t frozen_us)
{
	worker_journal(w, JOURNAL_CONN, worker_slot_number(w, slot));
	slot->arrives_as = 0;
	relay_resume(w, slot);
	closing_catch_up(w, slot, frozen_us);
	worker_journal(w, JOURNAL_NONE, 0);
}

static void
take_batch(struct worker *w)
{
	static struct slot *placed[TRANSFER_BATCH_MAX];
	uint32_t count = message.head.count;
	const int *fds = message.fds;

	for (uint32_t i = 0; i < count; i++) {
		placed[i] = conn_place(w, message.head.batch);
		record_unpack(w, &message.records[i], fds, placed[i]);
		fds += transfer_fds_of(&message.records[i]);
	}
	atomic_signal_fence(memory_order_seq_cst);
	w->head->take.batch = message.head.batch;
	atomic_signal_fence(memory_order_seq_cst);
	message.fds_count = 0;
	for (uint32_t i = 0; i < count; i++)
		enter(w, placed[i]);
	/* A3 */
	answer(w, message.head.nonce);
	for (uint32_t i = 0; i < count; i++)
		go_on(w, placed[i], message.records[i].frozen_us);
}

/* True if the giver keeps to its part. */
static bool
is_next(const struct worker *w)
{
	return message.head.type == TRANSFER_BATCH &&
	    (message.head.count == 0 ||
		message.head.batch > w->head->take.batch);
}

static void
obey(struct worker *w)
{
	if (message.head.count > 0 && check_batch(w) == 0) {
		take_batch(w);
		return;
	}
	transfer_close_fds(&message);
	answer(w, message.head.nonce);
}

void
take_on_event(struct worker *w)
{
	int rc = 1;

	for (int i = 0; i < MESSAGES_A_TURN && w->head->take.transfer != 0;
	     i++) {
		rc = transfer_receive(w->head->take.fd, &message);
		if (rc == -EAGAIN)
			return;
		if (rc == 1 && is_next(w)) {
			obey(w);
		} else if (rc == -EMFILE) {
			scarcity_met(w, EMFILE);
			answer(w, message.head.nonce);
		} else {
			if (rc == 1)
				transfer_close_fds(&message);
			end(w);
		}
	}
}

bool
take_owes(const struct worker *w)
{
	return w->take.owes;
}

void
take_run(struct worker *w)
{
	if (w->take.owes)
		answer(w, w->take.nonce);
	if (w->take.is_unwatched)
		watch(w);
}

uint32_t
take_wait(const struct worker *w, uint32_t limit_ms)
{
	bool is_behind = w->take.owes || w->take.is_unwatched;

	return is_behind && limit_ms > RETRY_MS ? RETRY_MS : limit_ms;
}

/* After a death */

/* Its numbers stand nowhere then, and are closed with all such. */
static void
forget(struct worker *w, struct slot *slot)
{
	for (unsigned d = 0; d < 2; d++) {
		uint16_t pipe = slot->flows[d].pipe;

		/* Before the slot's: a pipe that is ready and nobody's would be
		 * thought free. */
		if (pipe != 0 && pipe <= w->head->pipes_max)
			w->head->pipes[pipe - 1].state = PIPE_NONE;
		atomic_signal_fence(memory_order_seq_cst);
		slot->flows[d].pipe = 0;
	}
	memset(slot, 0, sizeof(*slot));
}

static bool
has_arrived(const struct worker *w, const struct slot *slot)
{
	const struct body_take *take = &w->head->take;

	return take->transfer != 0 && slot->batch != 0 &&
	    slot->batch == take->batch &&
	    (slot->arrives_as == CONN_RELAYING ||
		slot->arrives_as == CONN_RESETTING);
}

void
take_sort(struct worker *w)
{
	for (uint32_t i = 0; i < w->head->slots_used; i++) {
		struct slot *slot = worker_slot(w, i);

		if (slot->state == CONN_ARRIVING && has_arrived(w, slot))
			own(slot);
		else if (slot->state == CONN_ARRIVING ||
		    (slot->state == CONN_CLOSING && slot->batch != 0))
			forget(w, slot);
		else if (slot->arrives_as != 0)
			slot->batch = 0;
	}
}

void
take_tell(struct worker *w)
{
	/* What was asked may have died with our predecessor. */
	if (w->head->take.transfer != 0)
		answer(w, 0);
}

void
take_recover(struct worker *w)
{
	if (w->head->take.transfer != 0)
		watch(w);
}
