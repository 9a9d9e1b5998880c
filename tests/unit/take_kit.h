/*
 * take_kit - a worker that is handed connections, and a giver that is the test.
 */
#ifndef SRVD_TESTS_TAKE_KIT_H
#define SRVD_TESTS_TAKE_KIT_H

#include "tests/unit/give_kit.h"

#define CONNS 4

/* A connection that the test gives: its ends, and the giver's descriptors. */
struct gift {
	int client;
	int backend;
	int fd[SIDES];
};

static struct gift gifts[CONNS];
static struct transfer_message batch;

static inline int
make_side(int *fd)
{
	int pair[2];

	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ==
	    0);
	*fd = keep(pair[0]);
	return keep(pair[1]);
}

static inline void
begin(void)
{
	kit_join(CHANNEL_TAKE, 0);
	for (uint32_t i = 0; i < CONNS; i++) {
		gifts[i].client = make_side(&gifts[i].fd[SIDE_CLIENT]);
		gifts[i].backend = make_side(&gifts[i].fd[SIDE_BACKEND]);
	}
}

static inline void
make_batch(uint32_t number, uint64_t nonce)
{
	transfer_init(&batch, TRANSFER_BATCH);
	batch.head.batch = number;
	batch.head.nonce = nonce;
}

static inline struct transfer_record *
add_gift(uint32_t i)
{
	struct transfer_record *r = &batch.records[batch.head.count++];

	memset(r, 0, sizeof(*r));
	r->id = 1000003 + i;
	r->state = CONN_RELAYING;
	r->has_backend_fd = 1;
	r->has_backend = 1;
	r->tried_count = 1;
	r->tally = TALLY_ACCEPTED | TALLY_CONNECTED;
	r->client.kind = ADDR_UNIX;
	r->server.kind = ADDR_UNIX;
	r->started_us = 1;
	r->active_ms = kit.w.now_ms;
	r->phase_ms = kit.w.now_ms;
	r->frozen_us = kit.w.now_us;
	batch.fds[batch.fds_count++] = gifts[i].fd[SIDE_CLIENT];
	batch.fds[batch.fds_count++] = gifts[i].fd[SIDE_BACKEND];
	return r;
}

static inline void
add_all(void)
{
	for (uint32_t i = 0; i < CONNS; i++)
		(void)add_gift(i);
}

/* Send it; what the worker says it has then. */
static inline uint32_t
give(void)
{
	CHILD_CHECK(transfer_send(other_end, &batch) == 0);
	kit_turn();
	CHILD_CHECK(transfer_receive(other_end, &heard) == 1);
	CHILD_CHECK(heard.head.type == TRANSFER_HAVE);
	CHILD_CHECK(heard.head.nonce == batch.head.nonce);
	return heard.head.batch;
}

static inline void
expect_relayed(uint32_t i, const char *bytes)
{
	struct relayed r = {NULL, gifts[i].client, gifts[i].backend};

	expect_moves(&r, bytes);
}

static inline struct slot *
slot_of(uint32_t i)
{
	for (uint32_t n = 0; n < kit.w.head->slots_used; n++) {
		if (kit.w.body.slots[n].id == 1000003 + i)
			return &kit.w.body.slots[n];
	}
	return NULL;
}

#endif
