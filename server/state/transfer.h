/*
 * transfer - the messages by which a body hands connections over to another.
 *
 * A SOCK_SEQPACKET socket pair that the master makes: one end stands in the
 * giver's table (body_give), the other in the taker's (body_take), and both
 * survive their workers.  The giver sends a batch of connections with all of
 * their descriptors; the taker writes them into its slots, then stores the
 * batch's number (body_take.batch), and says so.  That one store is when they
 * change their owner; giver and taker may be of different programs, so
 * nothing but these messages passes between them.
 *
 * There is one question and one answer.  Messages are read in the order they
 * were sent, so an answer with the nonce of a question tells for certain of
 * every batch that was sent before it, whoever died meanwhile: up to the
 * batch it names they are the taker's, later ones are the giver's.
 *
 * Runs in: worker; the master makes the pair.  Never blocks.  Knows nothing of
 * slots.
 */
#ifndef SRVD_STATE_TRANSFER_H
#define SRVD_STATE_TRANSFER_H

#include <stdint.h>

#include "common/attr.h"
#include "server/state/slot.h"

/* A change that older programs could not understand needs another number; new
 * members go to the end of the record, where 0 must mean "as before". */
#ifndef TRANSFER_VERSION /* Tests build others. */
#define TRANSFER_VERSION 1
#endif
/* Connections a message: what no connection may wait longer for.  Each has up
 * to two sockets and two pipes of two ends; the kernel passes 253 a message. */
#define TRANSFER_BATCH_MAX 100
#define TRANSFER_FDS_MAX   250
#define TRANSFER_FDS_EACH  6

enum transfer_type {
	TRANSFER_BATCH, /* giver: batch, its records and descriptors; without
			 * records a question only */
	TRANSFER_HAVE,  /* taker: batch is the last that is mine; nonce is the
			 * question's, or 0: nobody asked, I am new here */
};

struct transfer_head {
	uint32_t version;
	uint32_t type; /* enum transfer_type */
	uint64_t nonce;
	uint32_t batch;
	uint32_t count;       /* records behind it */
	uint32_t record_size; /* the sender's */
	uint32_t reserved;
};

/* A flow, as it travels. */
struct transfer_flow {
	uint64_t pulled;
	uint64_t moved;
	uint32_t pipe_bytes; /* capacity, if it comes with a pipe */
	uint8_t state;       /* enum flow_state */
	uint8_t has_pipe;
	uint8_t reserved[2];
};

/*
 * A connection.  Its descriptors come in this order: the client's socket, the
 * backend's if it has one, both ends of the pipe of each flow that has one.
 * Moments are CLOCK_MONOTONIC, of one machine.
 */
struct transfer_record {
	uint64_t id;
	uint8_t state; /* CONN_RELAYING or CONN_RESETTING */
	uint8_t dead_side;
	uint8_t has_backend_fd;
	uint8_t builtin;
	uint8_t tried_count;
	uint8_t side_flags[SIDES];
	uint8_t reserved;
	uint16_t tally;
	uint16_t tried[SLOT_TRIED_MAX];
	uint16_t padding;
	uint32_t service; /* rows keep their names over generations (P2) */
	uint32_t backend;
	uint32_t listener;
	uint32_t unacked;
	uint32_t connect_us;
	uint32_t has_backend;
	struct transfer_flow flows[2];
	uint64_t accepted_us;
	uint64_t started_us;
	uint64_t phase_ms;
	uint64_t active_ms;
	struct endpoint client;
	struct endpoint local;
	struct endpoint source;
	struct endpoint server;
	uint64_t frozen_us; /* when the giver stopped working on it */
};

/* What a record has in every version 1, and what is taken of a longer one. */
#define TRANSFER_RECORD_MIN 232
#define TRANSFER_RECORD_MAX 1024

_Static_assert(sizeof(struct transfer_record) >= TRANSFER_RECORD_MIN &&
	sizeof(struct transfer_record) <= TRANSFER_RECORD_MAX,
    "records can be shorter and longer than ours, within limits");

struct transfer_message {
	struct transfer_head head;
	struct transfer_record records[TRANSFER_BATCH_MAX];
	int fds[TRANSFER_FDS_MAX]; /* received: the receiver's to keep or
				    * close */
	uint32_t fds_count;
};

/* How many descriptors belong to a record. */
uint32_t transfer_fds_of(const struct transfer_record *record);

/* Make the pair, both ends non-blocking and close-on-exec.  Returns 0 or
 * -errno. */
must_check int transfer_open(int fds[2]);

/* A message of this type, all else zero but the records. */
void transfer_init(struct transfer_message *message, enum transfer_type type);

/* Send it whole.  Returns 0, -EAGAIN when the channel is full, or -errno: the
 * other end has none of it. */
must_check int transfer_send(int fd, const struct transfer_message *message);

/*
 * Take the next message.  Returns 1; 0 at the end of the channel, when all that
 * was sent before it has been read; -EAGAIN when none is there; -EMFILE for one
 * whose descriptors there was no room for (those that came are closed, and its
 * head is true); -EPROTO for one that no giver or taker of this version sends;
 * or -errno.
 */
must_check int transfer_receive(int fd, struct transfer_message *message);

/* Close the descriptors that came with it. */
void transfer_close_fds(struct transfer_message *message);

#endif
