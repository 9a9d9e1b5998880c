/*
 * test_transfer - connections in messages, of other versions and of anybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "server/state/transfer.h"
#include "tests/unit/child.h"
#include "tests/unit/raw.h"

#define OURS sizeof(struct transfer_record)

static struct transfer_message message;
static struct transfer_message sent;
static int ends[2];
static int some_fd; /* to be sent */

static void
open_ends(void)
{
	ck_assert_int_eq(transfer_open(ends), 0);
	some_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(some_fd, 0);
}

static void
close_ends(void)
{
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(some_fd);
}

/* A batch of count, each with two sockets and every fifth with a pipe. */
static void
make_batch(uint32_t count)
{
	memset(&sent, 0, sizeof(sent));
	transfer_init(&sent, TRANSFER_BATCH);
	sent.head.nonce = 77;
	sent.head.batch = 5;
	sent.head.count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct transfer_record *r = &sent.records[i];

		r->id = 1000 + i;
		r->state = CONN_RELAYING;
		r->has_backend_fd = 1;
		r->flows[FLOW_DOWN].has_pipe = i % 5 == 0;
		r->flows[FLOW_UP].pulled = UINT64_MAX - i;
		r->frozen_us = 1 + i;
		sent.fds_count += transfer_fds_of(r);
	}
	for (uint32_t i = 0; i < sent.fds_count; i++)
		sent.fds[i] = some_fd;
}

START_TEST(a_batch_arrives_as_it_was)
{
	static const uint32_t counts[] = {0, 1, 7, TRANSFER_BATCH_MAX};
	int before;

	open_ends();
	before = count_fds();
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		make_batch(counts[i]);
		ck_assert_int_eq(transfer_send(ends[i % 2], &sent), 0);
		memset(&message, 0xee, sizeof(message));
		ck_assert_int_eq(transfer_receive(ends[1 - i % 2], &message),
		    1);
		ck_assert_mem_eq(&message.head, &sent.head, sizeof(sent.head));
		ck_assert_mem_eq(message.records, sent.records,
		    counts[i] * OURS);
		ck_assert_uint_eq(message.fds_count, sent.fds_count);
		ck_assert_int_eq(count_fds(), before + (int)sent.fds_count);
		for (uint32_t k = 0; k < message.fds_count; k++)
			ck_assert_int_eq(fcntl(message.fds[k], F_GETFD),
			    FD_CLOEXEC);
		transfer_close_fds(&message);
		ck_assert_int_eq(count_fds(), before);
		ck_assert_int_eq(transfer_receive(ends[1 - i % 2], &message),
		    -EAGAIN);
	}
	close_ends();
}
END_TEST

static void
send_raw(int fd, const void *bytes, size_t length, uint32_t fds)
{
	ck_assert_int_eq(raw_send(fd, bytes, length, some_fd, fds), 0);
}

static char raw[sizeof(struct transfer_head) +
    (size_t)TRANSFER_BATCH_MAX * TRANSFER_RECORD_MAX];

/* What a sender with such records writes; returns its length. */
static size_t
write_raw(uint32_t record_size)
{
	struct transfer_head head = sent.head;
	char *at = raw + sizeof(head);

	head.record_size = record_size;
	memcpy(raw, &head, sizeof(head));
	memset(at, 0xaa, head.count * (size_t)record_size);
	for (uint32_t i = 0; i < head.count; i++, at += record_size)
		memcpy(at, &sent.records[i],
		    record_size < OURS ? record_size : OURS);
	return (size_t)(at - raw);
}

/* Another version's records are shorter, or longer. */
START_TEST(records_of_other_lengths_are_read)
{
	static const uint32_t sizes[] = {
	    TRANSFER_RECORD_MIN, OURS, OURS + 8, TRANSFER_RECORD_MAX};

	open_ends();
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		make_batch(TRANSFER_BATCH_MAX);
		send_raw(ends[0], raw, write_raw(sizes[i]), sent.fds_count);
		memset(&message, 0xee, sizeof(message));
		ck_assert_int_eq(transfer_receive(ends[1], &message), 1);
		ck_assert_mem_eq(message.records, sent.records,
		    TRANSFER_BATCH_MAX * OURS);
		transfer_close_fds(&message);
	}
	close_ends();
}
END_TEST

/* One thing wrong with each of these. */
struct bad {
	uint32_t version;
	uint32_t type;
	uint32_t count;
	uint32_t record_size;
	int more_bytes; /* than it says */
	uint32_t fds;
};

static const struct bad bads[] = {
    {TRANSFER_VERSION + 1, TRANSFER_BATCH, 1, OURS, 0, 2},
    {0, TRANSFER_BATCH, 1, OURS, 0, 2},
    {TRANSFER_VERSION, TRANSFER_HAVE + 1, 1, OURS, 0, 2},
    {TRANSFER_VERSION, TRANSFER_HAVE, 1, OURS, 0, 2},
    {TRANSFER_VERSION, TRANSFER_HAVE, 0, OURS, 1, 0},
    {TRANSFER_VERSION, TRANSFER_HAVE, 0, OURS, 0, 1},
    {TRANSFER_VERSION, TRANSFER_BATCH, 0, OURS, 0, 1},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, TRANSFER_RECORD_MIN - 1, 0, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, TRANSFER_RECORD_MAX + 1, 0, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, 0, 0, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, UINT32_MAX, 0, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, OURS, -1, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, OURS, 1, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, OURS, 0, 1},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, OURS, 0, 3},
    {TRANSFER_VERSION, TRANSFER_BATCH, 1, OURS, 0, 0},
    {TRANSFER_VERSION, TRANSFER_BATCH, TRANSFER_BATCH_MAX + 1, 0, 0, 2},
    {TRANSFER_VERSION, TRANSFER_BATCH, UINT32_MAX, OURS, 0, 2},
};

START_TEST(malformed_messages_are_errors_and_leak_nothing)
{
	int before;

	open_ends();
	before = count_fds();
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		const struct bad *bad = &bads[i];
		struct transfer_head *head = (struct transfer_head *)raw;
		size_t length = sizeof(*head);

		memset(raw, 0, sizeof(raw));
		head->version = bad->version;
		head->type = bad->type;
		head->count = bad->count;
		head->record_size = bad->record_size;
		((struct transfer_record *)(head + 1))->has_backend_fd = 1;
		if (bad->count == 1 && bad->record_size < sizeof(raw) / 2)
			length += bad->record_size;
		length = (size_t)((ssize_t)length + bad->more_bytes);
		send_raw(ends[0], raw, length, bad->fds);
		ck_assert_msg(transfer_receive(ends[1], &message) == -EPROTO,
		    "number %zu is taken", i);
		ck_assert_uint_eq(message.fds_count, 0);
		ck_assert_int_eq(count_fds(), before);
	}
	for (size_t length = 1; length < sizeof(struct transfer_head);
	     length++) {
		send_raw(ends[0], raw, length, 1);
		ck_assert_int_eq(transfer_receive(ends[1], &message), -EPROTO);
	}
	ck_assert_int_eq(count_fds(), before);
	close_ends();
}
END_TEST

START_TEST(noise_leaks_nothing)
{
	unsigned state = 1;
	int before;

	open_ends();
	before = count_fds();
	for (int i = 0; i < 3000; i++) {
		size_t size = sizeof(struct transfer_head) +
		    (size_t)(i % 3) * TRANSFER_RECORD_MIN;

		for (size_t k = 0; k < size; k++)
			raw[k] =
			    (char)((state = state * 1103515245 + 12345) >> 16);
		if (i % 2 == 0) {
			make_batch((uint32_t)i % 3);
			memcpy(raw, &sent.head, sizeof(sent.head));
			((struct transfer_head *)raw)->record_size =
			    TRANSFER_RECORD_MIN;
		}
		send_raw(ends[1], raw, size, state >> 16 & 7);
		if (transfer_receive(ends[0], &message) == 1)
			transfer_close_fds(&message);
	}
	ck_assert_int_eq(count_fds(), before);
	close_ends();
}
END_TEST

/* The taker's table is full: it knows what it was that did not come. */
START_TEST(no_room_for_descriptors)
{
	pid_t limiter;
	int before;

	open_ends();
	before = count_fds();
	make_batch(3);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(transfer_send(ends[0], &sent), 0);
	for (int more = 0; more < 2; more++) {
		limiter = limit_descriptors((rlim_t)some_fd + 1 + (rlim_t)more);
		memset(&message, 0, sizeof(message));
		ck_assert_int_eq(transfer_receive(ends[1], &message), -EMFILE);
		limit_end(limiter);
		ck_assert_uint_eq(message.head.nonce, 77);
		ck_assert_uint_eq(message.head.batch, 5);
		ck_assert_uint_eq(message.fds_count, 0);
		ck_assert_int_eq(count_fds(), before);
	}
	close_ends();
}
END_TEST

/* Also when the other end has left something unread, which the kernel tells
 * as a reset, and before what it sent. */
START_TEST(the_end_comes_after_the_messages)
{
	int before;

	open_ends();
	before = count_fds();
	make_batch(2);
	ck_assert_int_eq(transfer_send(ends[1], &sent), 0);
	ck_assert_int_eq(transfer_send(ends[0], &sent), 0);
	(void)close(ends[1]);
	ck_assert_int_eq(transfer_receive(ends[0], &message), 1);
	transfer_close_fds(&message);
	ck_assert_int_eq(transfer_receive(ends[0], &message), 0);
	ck_assert_int_eq(transfer_receive(ends[0], &message), 0);
	ck_assert_int_eq(transfer_send(ends[0], &sent), -EPIPE);
	ck_assert_int_eq(count_fds(), before - 1);
	(void)close(ends[0]);
}
END_TEST

START_TEST(a_full_channel_says_so)
{
	int count = 0;
	int rc;

	open_ends();
	make_batch(TRANSFER_BATCH_MAX);
	while ((rc = transfer_send(ends[0], &sent)) == 0)
		count++;
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_int_ge(count, 2);
	while ((rc = transfer_receive(ends[1], &message)) == 1) {
		transfer_close_fds(&message);
		count--;
	}
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_int_eq(count, 0);
	close_ends();
}
END_TEST

UNIT_MAIN("transfer", a_batch_arrives_as_it_was,
    records_of_other_lengths_are_read,
    malformed_messages_are_errors_and_leak_nothing, noise_leaks_nothing,
    no_room_for_descriptors, the_end_comes_after_the_messages,
    a_full_channel_says_so)
