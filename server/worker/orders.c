/*
 * orders - what the master tells this worker; see orders.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "server/state/channel.h"
#include "server/worker/closing.h"
#include "server/worker/door.h"
#include "server/worker/drain.h"
#include "server/worker/follow.h"
#include "server/worker/give.h"
#include "server/worker/levels.h"
#include "server/worker/orders.h"
#include "server/worker/poller.h"
#include "server/worker/scarcity.h"
#include "server/worker/take.h"

#define MESSAGES_A_TURN 16

static struct board_row *log_row;

static void
say(struct worker *w, const struct channel_message *message)
{
	int rc = channel_send(BODY_FD_CHANNEL, message, NULL, 0);

	/* A hello makes the master send all again, and us answer it. */
	if (rc < 0 && !channel_is_over(rc))
		w->owes_hello = true;
}

static void
tell(struct worker *w, enum channel_type type, uint64_t generation)
{
	struct channel_message message;

	channel_init(&message, type);
	message.generation = generation;
	say(w, &message);
}

void
orders_log(enum log_level level, const char *line)
{
	struct channel_message message;
	size_t length = strnlen(line, CHANNEL_TEXT_MAX);

	channel_init(&message, CHANNEL_LOG);
	message.level = level;
	message.text_length = (uint32_t)length;
	memcpy(message.text, line, length);
	if (channel_send(BODY_FD_CHANNEL, &message, NULL, 0) < 0 &&
	    log_row != NULL)
		atomic_fetch_add(&log_row->log_dropped, 1);
}

static void
become_alone(struct worker *w)
{
	w->is_alone = true;
	door_watch();
}

void
orders_open(struct worker *w)
{
	log_row = w->row;
	/* There may be no channel (D3). */
	if (poller_watch(BODY_FD_CHANNEL, poller_key_single(POLLER_CHANNEL),
		EPOLLIN) == -EPERM)
		become_alone(w);
	tell(w, CHANNEL_HELLO, w->generation);
}

/* Say whether the plan could be followed, once that is known. */
static void
report(struct worker *w, uint64_t generation)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_READY);
	message.generation = generation;
	switch (follow_judge(w, generation, message.text, CHANNEL_TEXT_MAX)) {
	case FOLLOW_READY:
		break;
	case FOLLOW_REFUSED:
		message.type = CHANNEL_REFUSED;
		message.text_length = (uint32_t)strlen(message.text);
		break;
	case FOLLOW_INCOMPLETE:
		return;
	}
	say(w, &message);
}

static void
join(struct worker *w, uint64_t transfer)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_JOINED);
	message.request = transfer;
	say(w, &message);
}

/* A transfer that does not come to be. */
static void
decline(struct worker *w, uint64_t transfer)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_GIVEN);
	message.request = transfer;
	message.is_reset = 1;
	say(w, &message);
}

static void
begin_give(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	if (extra->fds_count != 1 || message->request == 0)
		return;
	if (give_is_refused(w, message->request))
		decline(w, message->request);
	if (give_begin(w, message->request, message->count, extra->fds[0]))
		extra->fds_count = 0;
	join(w, message->request);
}

/* If it can't be the giver finds the channel at its end. */
static void
begin_take(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	if (extra->fds_count != 1 || message->request == 0)
		return;
	if (take_begin(w, message->request, extra->fds[0]))
		extra->fds_count = 0;
	join(w, message->request);
}

static void
obey(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	switch ((enum channel_type)message->type) {
	case CHANNEL_PLAN:
		follow_take_plan(w, message, extra);
		report(w, message->generation);
		break;
	case CHANNEL_LISTENERS:
		/* Their plan may have been the last that a dead worker took
		 * from the channel: all comes again after our hello. */
		if (follow_take_sockets(w, message, extra))
			report(w, message->generation);
		break;
	case CHANNEL_ABORT:
		follow_abort(w, message->generation);
		break;
	case CHANNEL_LEVEL:
		levels_set(w, message->first, message->level);
		break;
	case CHANNEL_CLOSE:
		closing_order(w, message);
		break;
	case CHANNEL_DRAIN:
		drain_begin(w, message->until_ms);
		break;
	case CHANNEL_STOP:
		drain_begin(w, DRAIN_AT_ONCE);
		break;
	case CHANNEL_GIVE:
		begin_give(w, message, extra);
		break;
	case CHANNEL_TAKE:
		begin_take(w, message, extra);
		break;
	case CHANNEL_RETIRE:
		drain_retire(w);
		break;
	default:
		break;
	}
	channel_close_fds(extra, 0);
}

/* What a message brought found no place in our table. */
static void
refuse_parcel(struct worker *w, const struct channel_message *parcel)
{
	struct channel_message message;

	scarcity_met(w, EMFILE);
	if (parcel->type == CHANNEL_GIVE)
		decline(w, parcel->request);
	if (parcel->type == CHANNEL_GIVE || parcel->type == CHANNEL_TAKE) {
		join(w, parcel->request);
		return;
	}
	channel_init(&message, CHANNEL_REFUSED);
	message.generation = parcel->generation;
	message.text_length =
	    (uint32_t)snprintf(message.text, sizeof(message.text),
		"it is out of descriptors: allow more (LimitNOFILE= or ulimit "
		"-n), or try again when connections have ended");
	say(w, &message);
}

void
orders_on_event(struct worker *w)
{
	static struct channel_message message;
	static struct channel_extra extra;
	int rc;

	for (int i = 0; i < MESSAGES_A_TURN; i++) {
		rc = channel_receive(BODY_FD_CHANNEL, &message, &extra);
		if (rc == 1) {
			/* What follows upon a commit was sent after it. */
			orders_follow(w);
			obey(w, &message, &extra);
			continue;
		}
		if (rc == -EMFILE) {
			refuse_parcel(w, &message);
			continue;
		}
		/* The master is dead: that is no end for a body. */
		if (rc == 0 ||
		    (rc < 0 && rc != -EAGAIN && rc != -EPROTO &&
			rc != -EPROTONOSUPPORT)) {
			poller_remove(BODY_FD_CHANNEL);
			become_alone(w);
		}
		return;
	}
}

void
orders_check(struct worker *w)
{
	struct channel_message message;

	if (closing_run(w)) {
		channel_init(&message, CHANNEL_CLOSED);
		message.request = w->head->closing.request;
		message.count = (uint32_t)w->head->closing.closed;
		say(w, &message);
	}
	if (w->owes_hello) {
		w->owes_hello = false;
		tell(w, CHANNEL_HELLO, w->generation);
	}
}

void
orders_follow(struct worker *w)
{
	if (follow_next(w))
		tell(w, CHANNEL_FOLLOWS, w->generation);
}
