/*
 * give - connections that go to another body; see give.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/log.h"
#include "server/state/channel.h"
#include "server/worker/closing.h"
#include "server/worker/conn.h"
#include "server/worker/drain.h"
#include "server/worker/give.h"
#include "server/worker/levels.h"
#include "server/worker/poller.h"
#include "server/worker/record.h"
#include "server/worker/relay.h"

#define MESSAGES_A_TURN 4
#define SLOTS_A_ROUND   4096

/* Until those are looked at again that could not be given yet; until the taker
 * is tried again that could not take; and how often a silent channel, which
 * epoll may have had no memory for, is looked at. */
#define UNFIT_MS   20
#define REFUSED_MS 100

/* So often in a row until one that is to give some gives up. */
#define REFUSALS_MAX 20

static struct transfer_message message;

static bool
is_open(const struct worker *w)
{
	return w->head->give.transfer != 0 && w->head->give.fd != 0;
}

bool
give_is_on(const struct worker *w)
{
	return w->head->give.transfer != 0;
}

static void
look_again(struct worker *w, uint32_t ms)
{
	w->give.next_ms = w->now_ms + ms;
}

/* Freezing */

static bool
is_fit(const struct slot *slot)
{
	return (slot->state == CONN_RELAYING ||
		   slot->state == CONN_RESETTING) &&
	    slot->batch == 0 && slot->reason == 0 &&
	    !slot->flows[FLOW_UP].at_mark && !slot->flows[FLOW_DOWN].at_mark;
}

/* In this order (D2). */
static void
freeze(struct worker *w, struct slot *slot)
{
	slot->batch = w->head->give.batch;
	atomic_signal_fence(memory_order_seq_cst);
	timers_cancel(&w->timers, worker_slot_number(w, slot));
	for (unsigned side = 0; side < SIDES; side++) {
		if ((slot->side_flags[side] & SIDE_WATCHED) != 0)
			poller_remove(slot->fd[side]);
	}
	w->give.frozen++;
	w->give.frozen_us = w->now_us;
	record_pack(w, slot, &message);
}

/* It remains ours. */
static void
unfreeze(struct worker *w, struct slot *slot)
{
	worker_journal(w, JOURNAL_CONN, worker_slot_number(w, slot));
	slot->batch = 0;
	w->give.frozen--;
	relay_resume(w, slot);
	closing_catch_up(w, slot, w->give.frozen_us);
	worker_journal(w, JOURNAL_NONE, 0);
}

static void
settle_slot(struct worker *w, struct slot *slot, uint32_t have)
{
	struct body_give *give = &w->head->give;

	if (slot->batch > have) {
		unfreeze(w, slot);
		return;
	}
	w->give.frozen--;
	give->given++;
	if (give->left != CHANNEL_ALL && give->left > 0)
		give->left--;
	conn_leave(w, slot);
}

/* All up to a batch are the taker's, and all others ours (D1). */
static void
settle(struct worker *w, uint32_t have)
{
	uint32_t i = w->give.first;
	uint32_t used = w->head->slots_used;

	for (uint32_t n = 0; n < used && w->give.frozen > 0; n++) {
		struct slot *slot = worker_slot(w, i);

		if (slot_is_frozen(slot))
			settle_slot(w, slot, have);
		i = i + 1 >= used ? 0 : i + 1;
	}
}

/* The end */

/* The last word to the master (D3). */
static void
report(struct worker *w)
{
	struct body_give *give = &w->head->give;
	struct channel_message last;
	int rc;

	channel_init(&last, CHANNEL_GIVEN);
	last.request = give->transfer;
	last.count = give->given;
	last.is_reset = give->is_broken;
	rc = channel_send(BODY_FD_CHANNEL, &last, NULL, 0);
	if (rc < 0 && !channel_is_over(rc)) {
		look_again(w, UNFIT_MS);
		return;
	}
	give->over = give->transfer;
	atomic_signal_fence(memory_order_seq_cst);
	give->transfer = 0;
}

static void
end(struct worker *w, bool is_broken)
{
	struct body_give *give = &w->head->give;
	int fd = give->fd;

	give->is_broken = is_broken;
	/* The master may have it, too. */
	poller_remove(fd);
	atomic_signal_fence(memory_order_seq_cst);
	give->fd = 0;
	atomic_signal_fence(memory_order_seq_cst);
	close(fd);
	report(w);
}

/* The taker's body is gone, and all answers have been read.  What it said is
 * its own has ended with it: it may have read of those what nobody else has. */
static void
end_early(struct worker *w)
{
	settle(w, w->head->give.have);
	end(w, true);
}

/* Asking */

/* Send message as the next question: it may have a batch. */
static int
ask(struct worker *w)
{
	struct body_give *give = &w->head->give;
	int rc;

	give->nonce++;
	atomic_signal_fence(memory_order_seq_cst);
	message.head.nonce = give->nonce;
	message.head.batch = give->batch;
	rc = transfer_send(give->fd, &message);
	if (rc == 0)
		w->give.phase = GIVE_ASKED;
	look_again(w, REFUSED_MS);
	/* It has an end, which is read in its turn. */
	if (channel_is_over(rc))
		give_on_event(w);
	return rc;
}

static void
ask_only(struct worker *w)
{
	transfer_init(&message, TRANSFER_BATCH);
	(void)!ask(w);
}

/* Batches */

static void
say_refused(struct worker *w)
{
	if (!w->give.is_refused_said &&
	    levels_want(w, LEVELS_GENERAL, LEVEL_INFO))
		log_info("connections can't be handed over just now, and stay "
			 "where they are until they can");
	w->give.is_refused_said = true;
}

/* None of a batch could be taken: the next is smaller, and one that can't be
 * taken even by itself is passed over. */
static void
on_refused(struct worker *w)
{
	if (w->give.limit > 1)
		w->give.next = w->give.first;
	w->give.limit = w->give.limit / 2 > 0 ? w->give.limit / 2 : 1;
	say_refused(w);
	look_again(w, REFUSED_MS);
	if (++w->give.refused >= REFUSALS_MAX &&
	    w->head->give.left != CHANNEL_ALL)
		w->give.is_in_vain = true;
}

static uint32_t
batch_limit(const struct worker *w)
{
	uint32_t left = w->head->give.left;

	return w->give.limit < left ? w->give.limit : left;
}

/* Freeze the next that are fit, and put them into message. */
static void
collect(struct worker *w)
{
	uint32_t limit = batch_limit(w);

	w->head->give.batch++;
	transfer_init(&message, TRANSFER_BATCH);
	for (uint32_t n = 0; n < SLOTS_A_ROUND && message.head.count < limit &&
	     record_has_room(&message) && w->give.unfit < w->head->slots_used;
	     n++) {
		struct slot *slot;

		if (w->give.next >= w->head->slots_used)
			w->give.next = 0;
		slot = worker_slot(w, w->give.next);
		w->give.unfit++;
		if (is_fit(slot)) {
			if (message.head.count == 0)
				w->give.first = w->give.next;
			w->give.unfit = 0;
			freeze(w, slot);
		}
		w->give.next++;
	}
}

static void
send_batch(struct worker *w)
{
	int rc;

	collect(w);
	if (message.head.count == 0) {
		if (w->give.unfit < w->head->slots_used)
			return;
		/* There may be others later, if all are meant. */
		w->give.unfit = 0;
		if (w->head->give.left != CHANNEL_ALL)
			end(w, false);
		else
			look_again(w, UNFIT_MS);
		return;
	}
	w->give.unfit = 0;
	rc = ask(w);
	w->give.has_sent = rc == 0;
	if (rc == 0 || !is_open(w))
		return;
	/* The kernel did not take it, so nobody has it. */
	settle(w, 0);
	on_refused(w);
}

/* May connections be given just now?  An order to close some of them goes
 * before. */
static bool
may_give(const struct worker *w)
{
	return !w->closing.is_on && !w->is_draining && w->plan != NULL;
}

static bool
is_over(const struct worker *w)
{
	return w->head->give.left == 0 || w->give.is_in_vain ||
	    (w->head->is_retiring != 0 && w->live == 0);
}

void
give_run(struct worker *w)
{
	if (!give_is_on(w))
		return;
	if (is_open(w) && w->give.phase == GIVE_ANSWERED && is_over(w)) {
		end(w, w->give.is_in_vain);
		return;
	}
	if (w->now_ms < w->give.next_ms)
		return;
	if (!is_open(w)) {
		report(w);
	} else if (w->give.phase == GIVE_UNSURE) {
		ask_only(w);
	} else if (w->give.phase == GIVE_ASKED) {
		look_again(w, REFUSED_MS);
		give_on_event(w);
	} else if (may_give(w)) {
		send_batch(w);
	}
}

uint32_t
give_wait(const struct worker *w, uint32_t limit_ms)
{
	uint64_t next = w->give.next_ms;

	if (!give_is_on(w) ||
	    (is_open(w) && w->give.phase == GIVE_ANSWERED && !may_give(w)))
		return limit_ms;
	if (next <= w->now_ms)
		return 0;
	return next - w->now_ms < limit_ms ? (uint32_t)(next - w->now_ms)
					   : limit_ms;
}

/* Answers */

static void
on_answer(struct worker *w, uint32_t have)
{
	uint32_t given = w->head->give.given;
	bool was_sent = w->give.has_sent;

	w->give.has_sent = false;
	w->give.phase = GIVE_ANSWERED;
	w->give.next_ms = w->now_ms;
	settle(w, have);
	/* A batch of our predecessor's may never have been sent. */
	if (!was_sent)
		return;
	if (w->head->give.given == given) {
		on_refused(w);
		return;
	}
	w->give.refused = 0;
	w->give.limit =
	    2 * w->give.limit < GIVE_BATCH ? 2 * w->give.limit : GIVE_BATCH;
}

/* Whatever it answers, and should it be the last word that is heard. */
static void
note_have(struct worker *w, uint32_t batch)
{
	if (batch > w->head->give.have)
		w->head->give.have = batch;
}

void
give_on_event(struct worker *w)
{
	/* Apart: a batch may be on its way that has not been sent. */
	static struct transfer_message answer;
	int rc;

	for (int i = 0; i < MESSAGES_A_TURN && is_open(w); i++) {
		rc = transfer_receive(w->head->give.fd, &answer);
		if (rc == 0)
			end_early(w);
		/* What can't be understood answers nothing; and an error is
		 * no end (D1). */
		if (rc == -EPROTO || rc == -EMFILE)
			continue;
		if (rc != 1)
			return;
		transfer_close_fds(&answer);
		if (answer.head.type != TRANSFER_HAVE)
			continue;
		note_have(w, answer.head.batch);
		if (answer.head.nonce == w->head->give.nonce &&
		    w->give.phase == GIVE_ASKED) {
			on_answer(w, answer.head.batch);
		} else if (answer.head.nonce == 0) {
			/* It may not have seen the question. */
			w->give.phase = GIVE_UNSURE;
			w->give.next_ms = w->now_ms;
		}
	}
}

/* Beginning */

static void
init_cache(struct worker *w)
{
	w->give = (struct give){
	    .phase = GIVE_UNSURE,
	    .limit = GIVE_BATCH,
	    .frozen_us = w->now_us,
	};
}

static void
watch(struct worker *w)
{
	/* Without memory for it: it is looked at by time (REFUSED_MS). */
	(void)!poller_watch(w->head->give.fd, poller_key_single(POLLER_GIVE),
	    EPOLLIN);
}

bool
give_is_refused(const struct worker *w, uint64_t transfer)
{
	const struct body_give *give = &w->head->give;

	return give->transfer != 0 && give->transfer != transfer;
}

bool
give_begin(struct worker *w, uint64_t transfer, uint32_t count, int fd)
{
	struct body_give *give = &w->head->give;

	/* The master means to have no other: that one ends soon. */
	if (give_is_refused(w, transfer))
		give->left = 0;
	if (give->transfer != 0 || transfer == give->over)
		return false;
	*give = (struct body_give){
	    .fd = fd,
	    .left = count,
	    .over = give->over,
	};
	atomic_signal_fence(memory_order_seq_cst);
	give->transfer = transfer;
	init_cache(w);
	watch(w);
	return true;
}

void
give_recover(struct worker *w)
{
	init_cache(w);
	for (uint32_t i = 0; i < w->head->slots_used; i++)
		w->give.frozen += slot_is_frozen(worker_slot(w, i));
	if (is_open(w))
		watch(w);
	else
		settle(w, w->head->give.have);
}
