/*
 * give_kit - a worker (plan_kit.h) at one end of a transfer, and the test at
 * the other; the master's end of its channel, too.
 */
#ifndef SRVD_TESTS_GIVE_KIT_H
#define SRVD_TESTS_GIVE_KIT_H

#include "server/state/transfer.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"
#include "server/worker/give.h"
#include "server/worker/orders.h"
#include "server/worker/poller.h"
#include "server/worker/record.h"
#include "server/worker/relay.h"
#include "server/worker/take.h"
#include "tests/unit/plan_kit.h"

#define KIT_TRANSFER 7

static int master_end; /* of the worker's channel */
static int other_end;  /* of the transfer */
static struct transfer_message heard;
static struct channel_message told;
static struct channel_extra told_extra;

/* A worker with plan 1, told to give or take; its answer has been heard. */
static inline void
kit_join(enum channel_type order, uint32_t count)
{
	int master_old;
	int pair[2];

	(void)plans_begin(&master_old);
	CHILD_CHECK(channel_open(pair) == 0);
	CHILD_CHECK(dup2(pair[1], BODY_FD_CHANNEL) == BODY_FD_CHANNEL);
	(void)close(pair[1]);
	master_end = keep(pair[0]);
	CHILD_CHECK(transfer_open(pair) == 0);
	other_end = keep(pair[0]);
	channel_init(&told, order);
	told.request = KIT_TRANSFER;
	told.count = count;
	CHILD_CHECK(channel_send(master_end, &told, &pair[1], 1) == 0);
	(void)close(pair[1]);
	orders_on_event(&kit.w);
	CHILD_CHECK(channel_receive(master_end, &told, &told_extra) == 1);
	CHILD_CHECK(told.type == CHANNEL_JOINED);
	CHILD_CHECK(told.request == KIT_TRANSFER);
}

/* What keep() was called for as the n'th is not to outlive a sweep. */
static inline void
let_go(uint32_t n)
{
	kit.w.head->listener_fd[2 * (size_t)(keep_row + n)] = 0;
}

/* The next message to the master that is no line of the log. */
static inline bool
kit_tells(enum channel_type type)
{
	do {
		if (channel_receive(master_end, &told, &told_extra) != 1)
			return false;
	} while (told.type == CHANNEL_LOG);
	return told.type == type && told.request == KIT_TRANSFER;
}

/* A connection that is relayed, counted and watched. */
static inline struct relayed
kit_relay(uint32_t i)
{
	struct relayed r = put_relayed(i, CONN_RELAYING);

	kit.w.live++;
	count_live_service(&kit.w, r.slot, 1);
	count_live_backend(&kit.w, r.slot, 1);
	relay_recover(&kit.w, r.slot, true);
	return r;
}

/* Let the worker do what epoll tells of. */
static inline void
kit_turn(void)
{
	int count = poller_wait(0);

	CHILD_CHECK(count >= 0);
	for (int i = 0; i < count; i++) {
		struct poller_event event = poller_event(i);
		struct slot *slot = &kit.w.body.slots[event.number];

		if (event.kind == POLLER_CONN &&
		    poller_is_for(&event, slot->id) && !slot_is_frozen(slot))
			relay_on_event(&kit.w, slot, event.side, event.events);
		else if (event.kind == POLLER_GIVE)
			give_on_event(&kit.w);
		else if (event.kind == POLLER_TAKE)
			take_on_event(&kit.w);
	}
	give_run(&kit.w);
	take_run(&kit.w);
}

/* What the giver has said: true if it is a message of so many records. */
static inline bool
kit_hears(uint32_t count)
{
	return transfer_receive(other_end, &heard) == 1 &&
	    heard.head.type == TRANSFER_BATCH && heard.head.count == count;
}

/* Say so to the giver, and let it act. */
static inline void
kit_say_have(uint64_t nonce, uint32_t batch)
{
	static struct transfer_message have;

	transfer_init(&have, TRANSFER_HAVE);
	have.head.nonce = nonce;
	have.head.batch = batch;
	CHILD_CHECK(transfer_send(other_end, &have) == 0);
	kit_turn();
}

/* Bytes go from a connection's client to its backend. */
static inline void
expect_moves(const struct relayed *r, const char *bytes)
{
	CHILD_CHECK(send(r->client, bytes, strlen(bytes), MSG_NOSIGNAL) ==
	    (ssize_t)strlen(bytes));
	kit_turn();
	expect_read(r->backend, bytes);
}

/* Neither bytes nor an end are there. */
static inline bool
is_silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 &&
	    errno == EAGAIN;
}

/* The worker dies here, and a successor is through its sweep. */
static inline void
kit_die(void)
{
	plans_die();
	take_recover(&kit.w);
	give_recover(&kit.w);
}

#endif
