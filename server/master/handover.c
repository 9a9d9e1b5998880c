/*
 * handover - bodies that go, and connections that go from body to body; see
 * handover.h.
 *
 * Invariants
 *  H1  A body gives in one transfer at a time, and takes in one.
 *  H2  An end is kept until its worker has it, as a successor may have to be
 *      sent it again.  Then it is closed here: so the end of one body is the
 *      end of the channel to the other.
 *  H3  A body is told to retire only when a worker that follows the plan in
 *      force accepts in its place.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/log.h"
#include "server/master/bodies.h"
#include "server/master/courier.h"
#include "server/master/deaths.h"
#include "server/master/handover.h"
#include "server/master/master.h"
#include "server/master/outbox.h"
#include "server/master/rebalance.h"
#include "server/master/upgrade.h"
#include "server/state/channel.h"
#include "server/state/transfer.h"

/* A crash a moment shall not cost a body a moment. */
#define FRESH_MS 1000
/* After a transfer that broke. */
#define AGAIN_MS 100
/* An end that has not been acknowledged for so long is sent again. */
#define JOIN_MS 1000
/* One that retires and gets rid of no connection for so long wants a look. */
#define STALL_MS 10000

/* What should be */

static const char *
find_reason(const struct body_ref *ref)
{
	if (ref->seat >= ref->master->bodies.count)
		return "there are fewer workers now";
	if (ref->is_foreign)
		return upgrade_from(ref->master) == NULL
		    ? "it belonged to another master"
		    : "it belonged to the program before the upgrade";
	if (ref->is_lost)
		return "its holder is gone";
	if (ref->is_faulted)
		return "it crashed, and shall not do so twice in one place";
	return NULL;
}

/* A body that was damaged is not worth a successor that is handed its
 * connections: bodies.c ends it. */
static bool
may_be_replaced(const struct body_ref *ref)
{
	const struct body_ref *partner =
	    bodies_partner(&ref->master->bodies, ref);
	uint64_t now = loop_now_ms(ref->master->loop);

	if (partner->body_fd >= 0 || ref->is_damaged)
		return false;
	return ref->is_foreign || ref->is_lost ||
	    now - ref->started_ms >= FRESH_MS;
}

static void
look_whether_it_goes(struct body_ref *ref)
{
	const char *reason = find_reason(ref);

	if (ref->leaves != NULL || reason == NULL)
		return;
	if (!ref->is_current) {
		ref->leaves = reason;
	} else if (may_be_replaced(ref)) {
		ref->leaves = reason;
		bodies_replace(ref);
	}
}

static bool
follows(const struct body_ref *ref)
{
	return ref->body_fd >= 0 && ref->worker_pid != 0 &&
	    ref->follows == ref->master->plan->generation;
}

/* The body that accepts in the place of one that goes: the fresh one, or of a
 * seat that is no more, the one that is given its sockets. */
static struct body_ref *
heir_of(const struct body_ref *ref)
{
	const struct bodies *bodies = &ref->master->bodies;

	return bodies_at(bodies, ref->seat % bodies->count);
}

static void
say_retirement(const struct body_ref *ref, const struct body_ref *heir)
{
	if (heir->seat == ref->seat)
		log_info("worker %u's connections are handed over to a fresh "
			 "one: %s",
		    ref->seat, ref->leaves);
	else
		log_info("worker %u's connections are handed over to worker "
			 "%u: %s",
		    ref->seat, heir->seat, ref->leaves);
}

static void
look_whether_it_retires(struct body_ref *ref)
{
	const struct body_ref *heir = heir_of(ref);

	if (ref->leaves == NULL || ref->is_retiring || !follows(heir))
		return;
	/* The last moment for what its death did: the next one is its end. */
	deaths_look(ref);
	say_retirement(ref, heir);
	ref->is_retiring = true;
	outbox_retire_changed(ref);
	courier_send(ref);
}

/* Transfers */

static bool
is_giving(const struct body_ref *ref)
{
	return ref->give.transfer != 0;
}

bool
handover_may_take(const struct body_ref *ref)
{
	return ref->is_current && ref->leaves == NULL && follows(ref) &&
	    ref->take.transfer == 0;
}

static void
drop_end(struct body_end *end)
{
	if (end->transfer != 0 && end->fd >= 0)
		close(end->fd);
	*end = (struct body_end){.fd = -1};
}

int
handover_begin(struct body_ref *giver, struct body_ref *taker, uint32_t count)
{
	struct master *m = giver->master;
	uint64_t transfer;
	int pair[2];
	int rc;

	if (is_giving(giver) || !handover_may_take(taker))
		return -EBUSY;
	rc = transfer_open(pair);
	if (rc < 0)
		return rc;
	transfer = atomic_fetch_add(&m->board_head->transfer, 1) + 1;
	giver->give = (struct body_end){
	    .transfer = transfer,
	    .other = taker,
	    .count = count,
	    .fd = pair[0],
	};
	taker->take = (struct body_end){
	    .transfer = transfer,
	    .other = giver,
	    .fd = pair[1],
	};
	courier_send(taker);
	courier_send(giver);
	return 0;
}

/* Whom it hands over to; another one, if that has failed. */
static struct body_ref *
find_taker(const struct body_ref *ref)
{
	const struct bodies *bodies = &ref->master->bodies;

	return bodies_at(bodies, (ref->seat + ref->broken) % bodies->count);
}

static uint32_t
count_live(const struct body_ref *ref)
{
	return atomic_load(&board_row(&ref->master->board, ref->row)
				->connections);
}

static void
say_stall(const struct body_ref *ref)
{
	const struct body_ref *taker =
	    ref->give.other == NULL ? find_taker(ref) : ref->give.other;

	log_warn("worker %u's connections have not been handed over for %u s, "
		 "and go on where they are: srvctl status tells what the "
		 "workers are short of, srvctl connections which are still "
		 "being dialed; if it is neither, end the process that takes "
		 "them, which costs none connections=%u giver=%d taker=%d",
	    ref->seat, STALL_MS / 1000, ref->stall.left, ref->worker_pid,
	    taker->worker_pid);
}

/* Whatever holds it up, it does not go unsaid. */
static void
look_whether_it_stalls(struct body_ref *ref)
{
	struct body_stall *stall = &ref->stall;
	uint64_t now = loop_now_ms(ref->master->loop);
	uint32_t left = ref->is_retiring ? count_live(ref) : 0;

	if (left == 0 || left != stall->left) {
		stall->left = left;
		stall->since_ms = now;
	} else if (!stall->is_said && now - stall->since_ms >= STALL_MS) {
		say_stall(ref);
		stall->is_said = true;
	}
}

static void
look_whether_it_gives(struct body_ref *ref)
{
	const struct master *m = ref->master;
	struct body_ref *taker;
	int rc;

	if (!ref->is_retiring || is_giving(ref) ||
	    loop_now_ms(m->loop) < ref->give_after_ms || count_live(ref) == 0)
		return;
	taker = find_taker(ref);
	rc = handover_begin(ref, taker, CHANNEL_ALL);
	if (rc == 0 || rc == -EBUSY)
		return;
	log_error("can't begin to hand over worker %u's connections, trying "
		  "again: %s",
	    ref->seat, strerror(-rc));
	ref->give_after_ms = loop_now_ms(m->loop) + JOIN_MS;
}

/* The worker had no room for it, or said so to nobody. */
static void
look_whether_it_joined(struct body_ref *ref, struct body_end *end)
{
	if (end->transfer == 0 || end->fd < 0 || !end->is_sent ||
	    loop_now_ms(ref->master->loop) - end->sent_ms < JOIN_MS)
		return;
	end->is_sent = false;
	courier_send(ref);
}

/* What is to be done now. */
static void
handover_look(struct master *m)
{
	if (m->phase != MASTER_SERVING || m->bodies.count == 0)
		return;
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->body_fd < 0)
			continue;
		look_whether_it_goes(ref);
		look_whether_it_retires(ref);
		look_whether_it_stalls(ref);
		look_whether_it_gives(ref);
		look_whether_it_joined(ref, &ref->give);
		look_whether_it_joined(ref, &ref->take);
	}
	rebalance_look(m);
}

static void
on_timer(struct loop_timer *timer)
{
	handover_look(timer->arg);
}

void
handover_wake(struct master *m)
{
	m->handover_timer.due = on_timer;
	m->handover_timer.arg = m;
	loop_timer_set(m->loop, &m->handover_timer, 0);
}

/* What has happened */

static void
note_joined(struct body_end *end, uint64_t transfer)
{
	if (end->transfer != transfer || end->fd < 0)
		return;
	close(end->fd);
	end->fd = -1;
}

void
handover_on_joined(struct body_ref *ref, uint64_t transfer)
{
	if (transfer == 0)
		return;
	note_joined(&ref->give, transfer);
	note_joined(&ref->take, transfer);
}

void
handover_on_given(struct body_ref *ref, const struct channel_message *message)
{
	struct body_ref *taker = ref->give.other;

	/* It may be said twice, and a worker may say anything. */
	if (!is_giving(ref) || message->request != ref->give.transfer)
		return;
	if (message->count <= BODY_SLOTS_MAX)
		ref->given += message->count;
	rebalance_on_given(ref, message->count, message->is_reset != 0);
	if (taker != NULL && taker->take.transfer == ref->give.transfer)
		drop_end(&taker->take);
	drop_end(&ref->give);
	ref->broken = message->is_reset ? ref->broken + 1 : 0;
	ref->give_after_ms = loop_now_ms(ref->master->loop) + AGAIN_MS;
	log_debug("worker %u's hand-over is over transfer=%llu "
		  "connections=%u broken=%s",
	    ref->seat, (unsigned long long)message->request, message->count,
	    message->is_reset ? "yes" : "no");
	handover_wake(ref->master);
}

void
handover_on_body_end(struct body_ref *ref)
{
	struct body_ref *taker = ref->give.other;
	struct body_ref *giver = ref->take.other;

	if (is_giving(ref) && taker != NULL &&
	    taker->take.transfer == ref->give.transfer)
		drop_end(&taker->take);
	/* The giver sees the end of the channel, and says so. */
	if (ref->take.transfer != 0 && giver != NULL &&
	    giver->give.transfer == ref->take.transfer)
		giver->give.other = NULL;
	drop_end(&ref->give);
	drop_end(&ref->take);
	ref->leaves = NULL;
	ref->is_retiring = false;
	ref->broken = 0;
	ref->given = 0;
	ref->give_after_ms = 0;
	ref->stall = (struct body_stall){.left = 0};
	if (ref->master->phase == MASTER_SERVING)
		handover_wake(ref->master);
}

void
handover_close(struct master *m)
{
	BODIES_EACH(&m->bodies, ref)
	{
		drop_end(&ref->give);
		drop_end(&ref->take);
	}
	rebalance_stop(m);
	loop_timer_cancel(m->loop, &m->handover_timer);
}
