/*
 * sweep_kit - slots, sockets and pipes as a dead worker left them, in a body
 * made by hand (body_kit.h).
 */
#ifndef SRVD_TESTS_SWEEP_KIT_H
#define SRVD_TESTS_SWEEP_KIT_H

#include "tests/unit/body_kit.h"

static struct kit kit;
static uint32_t kept;

/* Where keep() puts them; 0: in the places of listeners that no plan has. */
static uint32_t keep_row;

/* A number that shall outlive the sweep: it stands as a listener's. */
static inline int
keep(int fd)
{
	uint32_t n = keep_row == 0 ? BODY_LISTENERS_MAX - 1 - kept
				   : 2 * (keep_row + kept);

	CHILD_CHECK(fd >= BODY_FD_FREE);
	kept++;
	if (kit.w.head->listener_fd[n] != 0)
		(void)close(kit.w.head->listener_fd[n]);
	kit.w.head->listener_fd[n] = fd;
	kit.w.head->listener_born[n] = 1;
	return fd;
}

static inline struct slot *
put_slot(uint32_t i, enum conn_state state)
{
	struct slot *slot = &kit.w.body.slots[i];

	memset(slot, 0, sizeof(*slot));
	slot->id = 1 + (uint64_t)i * BOARD_ROWS;
	slot->state = (uint8_t)state;
	slot->client.kind = ADDR_UNIX;
	slot->server.kind = ADDR_UNIX;
	slot->active_ms = kit.w.now_ms;
	slot->phase_ms = kit.w.now_ms;
	if (kit.w.head->slots_used <= i)
		kit.w.head->slots_used = i + 1;
	return slot;
}

/* One end for the slot, the other returned and kept. */
static inline int
give_socket(struct slot *slot, enum side side)
{
	int pair[2];

	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ==
	    0);
	slot->fd[side] = pair[0];
	return keep(pair[1]);
}

struct relayed {
	struct slot *slot;
	int client;
	int backend;
};

static inline struct relayed
put_relayed(uint32_t i, enum conn_state state)
{
	struct relayed r = {.slot = put_slot(i, state)};

	r.client = give_socket(r.slot, SIDE_CLIENT);
	r.backend = give_socket(r.slot, SIDE_BACKEND);
	r.slot->has_backend = 1;
	r.slot->tried_count = 1;
	r.slot->tally = TALLY_ACCEPTED | TALLY_CONNECTED;
	return r;
}

/* A pipe in the table with these bytes in it; its number. */
static inline uint16_t
put_pipe(const char *bytes)
{
	for (uint16_t i = 0; i < KIT_PIPES; i++) {
		struct body_pipe *pipe = &kit.w.head->pipes[i];

		if (pipe->state != PIPE_NONE)
			continue;
		CHILD_CHECK(pipe2(pipe->fd, O_NONBLOCK) == 0);
		CHILD_CHECK(write(pipe->fd[1], bytes, strlen(bytes)) ==
		    (ssize_t)strlen(bytes));
		pipe->bytes = 65536;
		pipe->state = PIPE_READY;
		return (uint16_t)(i + 1);
	}
	CHILD_CHECK(false);
	return 0;
}

static inline void
expect_read(int fd, const char *bytes)
{
	char seen[64] = "";

	CHILD_CHECK(recv(fd, seen, sizeof(seen) - 1, MSG_DONTWAIT) ==
	    (ssize_t)strlen(bytes));
	CHILD_CHECK(strcmp(seen, bytes) == 0);
}

static inline uint32_t
live_in_row(void)
{
	return atomic_load(&kit.w.row->connections);
}

#endif
