/*
 * orders - what the master tells this worker; see orders.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/state/channel.h"
#include "server/worker/accept.h"
#include "server/worker/count.h"
#include "server/worker/orders.h"
#include "server/worker/pick.h"
#include "server/worker/poller.h"

#define MESSAGES_A_TURN 16

static struct board_row *log_row;

static void
tell(struct worker *w, enum channel_type type, uint64_t generation)
{
	struct channel_message message;

	channel_init(&message, type);
	message.generation = generation;
	/* A hello makes the master send all again, and us answer it. */
	if (channel_send(BODY_FD_CHANNEL, &message, NULL, 0) == -EAGAIN)
		w->owes_hello = true;
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

void
orders_open(struct worker *w)
{
	log_row = w->row;
	(void)!poller_watch(BODY_FD_CHANNEL, poller_key_channel(), EPOLLIN);
	tell(w, CHANNEL_HELLO, w->generation);
}

static struct body_plan *
find_plan(struct worker *w, uint64_t generation)
{
	for (uint32_t i = 0; i < BODY_PLANS; i++) {
		if (w->head->plans[i].generation == generation)
			return &w->head->plans[i];
	}
	return NULL;
}

static void
report_ready(struct worker *w, uint64_t generation)
{
	const struct body_plan *entry = find_plan(w, generation);
	const struct plan *plan;
	bool is_complete;

	if (generation == 0 || entry == NULL || plan_map(entry->fd, &plan) < 0)
		return;
	is_complete = accept_is_complete(w, plan);
	plan_unmap(plan);
	if (is_complete)
		tell(w, CHANNEL_READY, generation);
}

/* Keep a plan beside the one in force; a third takes the older's place. */
static void
take_plan(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	struct body_plan *entry = &w->head->plans[0];
	int old;

	if (message->generation == 0 || extra->fds_count != 1 ||
	    find_plan(w, message->generation) != NULL)
		return;
	if (entry->generation != 0 && entry->generation == w->generation)
		entry = &w->head->plans[1];
	old = entry->generation == 0 ? 0 : entry->fd;
	entry->generation = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (old != 0)
		close(old);
	entry->fd = extra->fds[0];
	extra->fds_count = 0;
	atomic_signal_fence(memory_order_seq_cst);
	entry->generation = message->generation;
}

static void
take_listeners(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	for (uint32_t i = 0; i < extra->fds_count; i++) {
		uint32_t number = message->first + i;

		if (number < BODY_LISTENERS_MAX &&
		    w->head->listener_fd[number] == 0)
			w->head->listener_fd[number] = extra->fds[i];
		else
			close(extra->fds[i]);
	}
	extra->fds_count = 0;
	if (message->generation == w->generation && !w->is_draining)
		accept_open(w);
}

static void
drain(struct worker *w, uint64_t ms)
{
	if (!w->is_draining)
		accept_drain(w);
	w->is_draining = true;
	w->drain_until_ms = w->now_ms + ms;
}

static void
obey(struct worker *w, const struct channel_message *message,
    struct channel_extra *extra)
{
	switch ((enum channel_type)message->type) {
	case CHANNEL_PLAN:
		take_plan(w, message, extra);
		report_ready(w, message->generation);
		break;
	case CHANNEL_LISTENERS:
		take_listeners(w, message, extra);
		report_ready(w, message->generation);
		break;
	case CHANNEL_LEVEL:
		w->head->log_level = message->level;
		log_set_level((enum log_level)message->level);
		break;
	case CHANNEL_DRAIN:
		drain(w, message->ms);
		break;
	case CHANNEL_STOP:
		w->is_draining = true;
		w->drain_until_ms = 0;
		break;
	default:
		break;
	}
	channel_close_fds(extra, 0);
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
			obey(w, &message, &extra);
			continue;
		}
		/* The master is dead: that is no end for a body. */
		if (rc == 0 || (rc < 0 && rc != -EAGAIN && rc != -EPROTO)) {
			poller_remove(BODY_FD_CHANNEL);
			w->is_alone = true;
		}
		return;
	}
}

void
orders_check(struct worker *w)
{
	if (w->owes_hello) {
		w->owes_hello = false;
		tell(w, CHANNEL_HELLO, w->generation);
	}
	/* Without a master, and without a holder, nobody will ever tell us to
	 * end, or succeed us: serve those who are here, and go. */
	if (w->is_alone && !w->is_draining && getppid() != w->holder_pid)
		drain(w, UINT64_MAX - w->now_ms);
}

void
orders_map_plan(struct worker *w)
{
	uint64_t generation = atomic_load(&w->board->head->generation);
	const struct body_plan *entry = find_plan(w, generation);

	if (generation == 0 || entry == NULL ||
	    plan_map(entry->fd, &w->plan) < 0)
		return;
	if (pick_init(w) < 0) {
		plan_unmap(w->plan);
		w->plan = NULL;
		return;
	}
	w->generation = generation;
}

void
orders_follow(struct worker *w)
{
	bool is_first;

	if (atomic_load_explicit(&w->board->head->generation,
		memory_order_acquire) == w->generation)
		return;
	is_first = w->plan == NULL;
	orders_map_plan(w);
	if (w->plan == NULL)
		return;
	/* A body that was lost may have left live counts in our row. */
	if (is_first)
		count_recover(w);
	if (!w->is_draining)
		accept_open(w);
}
