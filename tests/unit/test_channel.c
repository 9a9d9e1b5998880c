/*
 * test_channel - messages with descriptors, and what is sent to harm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/state/channel.h"
#include "tests/unit/child.h"
#include "tests/unit/raw.h"

#define HEAD_SIZE offsetof(struct channel_message, text)

static struct channel_message message;
static struct channel_extra extra;
static int ends[2];
static int some_fd; /* to be sent */

static void
open_ends(void)
{
	ck_assert_int_eq(channel_open(ends), 0);
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

/* Without channel_send's care.  False if the kernel knows that the other end
 * takes no descriptors. */
static bool
send_raw(int fd, const void *bytes, size_t length, uint32_t fds)
{
	if (raw_send(fd, bytes, length, some_fd, fds) == 0)
		return true;
	ck_assert_int_eq(errno, EPERM);
	ck_assert_uint_gt(fds, 0);
	ck_assert_int_eq(fd, ends[1]);
	return false;
}

START_TEST(ends_are_nonblocking_and_private)
{
	open_ends();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_ne(fcntl(ends[i], F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_ne(fcntl(ends[i], F_GETFD) & FD_CLOEXEC, 0);
		ck_assert_int_eq(channel_receive(ends[i], &message, &extra),
		    -EAGAIN);
	}
	close_ends();
}
END_TEST

START_TEST(a_message_arrives_as_it_was)
{
	struct channel_message sent;

	open_ends();
	channel_init(&sent, CHANNEL_LOG);
	sent.generation = 1ULL << 60;
	sent.until_ms = 77;
	sent.first = 1;
	sent.count = 2;
	sent.level = 3;
	sent.text_length = CHANNEL_TEXT_MAX;
	memset(sent.text, 'x', sizeof(sent.text));
	for (uint32_t length = 0; length <= CHANNEL_TEXT_MAX; length += 256) {
		sent.text_length = length;
		ck_assert_int_eq(channel_send(ends[1], &sent, NULL, 0), 0);
		memset(&message, 0xee, sizeof(message));
		ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 1);
		ck_assert_mem_eq(&message, &sent, HEAD_SIZE + length);
		ck_assert_uint_eq(extra.fds_count, 0);
	}
	close_ends();
}
END_TEST

/* The master learns who sends; a worker needs nobody's name. */
START_TEST(the_first_end_is_told_the_sender)
{
	open_ends();
	channel_init(&message, CHANNEL_HELLO);
	ck_assert_int_eq(channel_send(ends[1], &message, NULL, 0), 0);
	ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 1);
	ck_assert_int_eq(extra.pid, getpid());
	ck_assert_int_eq(channel_send(ends[0], &message, NULL, 0), 0);
	ck_assert_int_eq(channel_receive(ends[1], &message, &extra), 1);
	ck_assert_int_eq(extra.pid, 0);
	close_ends();
}
END_TEST

static void
say_hello(void *arg)
{
	struct channel_message hello;

	(void)arg;
	channel_init(&hello, CHANNEL_HELLO);
	hello.generation = (uint64_t)getpid();
	CHILD_CHECK(channel_send(ends[1], &hello, NULL, 0) == 0);
}

/* As of a new worker on its predecessor's socket. */
START_TEST(the_sender_is_the_one_who_sent)
{
	open_ends();
	child_passes(say_hello, NULL);
	ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 1);
	ck_assert_int_ne(extra.pid, getpid());
	ck_assert_int_eq(extra.pid, (pid_t)message.generation);
	close_ends();
}
END_TEST

START_TEST(descriptors_come_along)
{
	static const uint32_t counts[] = {0, 1, 2, 249, CHANNEL_FDS_MAX};
	int fds[CHANNEL_FDS_MAX];
	int before;

	open_ends();
	before = count_fds();
	for (uint32_t i = 0; i < CHANNEL_FDS_MAX; i++)
		fds[i] = some_fd;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		uint32_t count = counts[i];

		channel_init(&message, CHANNEL_LISTENERS);
		ck_assert_int_eq(channel_send(ends[0], &message, fds, count),
		    0);
		ck_assert_int_eq(channel_receive(ends[1], &message, &extra), 1);
		ck_assert_uint_eq(extra.fds_count, count);
		ck_assert_int_eq(count_fds(), before + (int)count);
		for (uint32_t k = 0; k < count; k++)
			ck_assert_int_eq(fcntl(extra.fds[k], F_GETFD),
			    FD_CLOEXEC);
		channel_close_fds(&extra, count / 2);
		ck_assert_uint_eq(extra.fds_count, count / 2);
		ck_assert_int_eq(count_fds(), before + (int)(count / 2));
		channel_close_fds(&extra, 0);
		channel_close_fds(&extra, 0);
		ck_assert_int_eq(count_fds(), before);
	}
	close_ends();
}
END_TEST

START_TEST(too_much_is_not_sent)
{
	int fds[CHANNEL_FDS_MAX + 1] = {0};

	open_ends();
	channel_init(&message, CHANNEL_LOG);
	ck_assert_int_eq(channel_send(ends[0], &message, fds,
			     CHANNEL_FDS_MAX + 1),
	    -EINVAL);
	message.text_length = CHANNEL_TEXT_MAX + 1;
	ck_assert_int_eq(channel_send(ends[0], &message, NULL, 0), -EINVAL);
	message.text_length = UINT32_MAX;
	ck_assert_int_eq(channel_send(ends[0], &message, NULL, 0), -EINVAL);
	ck_assert_int_eq(channel_receive(ends[1], &message, &extra), -EAGAIN);
	close_ends();
}
END_TEST

/* One thing wrong with each, and with descriptors that must not stay. */
struct bad {
	uint32_t version;
	uint32_t type;
	uint32_t text_length;
	size_t length; /* sent */
};

static const struct bad bads[] = {
    {CHANNEL_VERSION + 1, CHANNEL_LOG, 0, HEAD_SIZE},
    {0, CHANNEL_LOG, 0, HEAD_SIZE},
    {CHANNEL_VERSION, CHANNEL_TYPES, 0, HEAD_SIZE},
    {CHANNEL_VERSION, UINT32_MAX, 0, HEAD_SIZE},
    {CHANNEL_VERSION, CHANNEL_LOG, 1, HEAD_SIZE},
    {CHANNEL_VERSION, CHANNEL_LOG, 10, HEAD_SIZE + 9},
    {CHANNEL_VERSION, CHANNEL_LOG, 10, HEAD_SIZE + 11},
    {CHANNEL_VERSION, CHANNEL_LOG, UINT32_MAX, HEAD_SIZE + 11},
    {CHANNEL_VERSION, CHANNEL_LOG, 0, HEAD_SIZE - 1},
    {CHANNEL_VERSION, CHANNEL_LOG, 0, 1},
    {CHANNEL_VERSION, CHANNEL_LOG, CHANNEL_TEXT_MAX + 1,
	HEAD_SIZE + CHANNEL_TEXT_MAX + 1},
    {CHANNEL_VERSION, CHANNEL_LOG, CHANNEL_TEXT_MAX,
	HEAD_SIZE + CHANNEL_TEXT_MAX + 100},
};

START_TEST(malformed_messages_are_errors_and_leak_nothing)
{
	static const uint32_t counts[] = {
	    0, 1, CHANNEL_FDS_MAX, CHANNEL_FDS_MAX + 1, RAW_FDS_MAX};
	union {
		struct channel_message message;
		char bytes[2 * sizeof(struct channel_message)];
	} raw;
	int before;

	open_ends();
	before = count_fds();
	for (size_t i = 0; i < ARRAY_LEN(bads) * ARRAY_LEN(counts) * 2; i++) {
		const struct bad *bad = &bads[i / 2 % ARRAY_LEN(bads)];
		uint32_t count = counts[i / 2 / ARRAY_LEN(bads)];

		memset(&raw, 0, sizeof(raw));
		raw.message.version = bad->version;
		raw.message.type = bad->type;
		raw.message.text_length = bad->text_length;
		if (!send_raw(ends[i % 2], &raw, bad->length, count))
			continue;
		ck_assert_int_eq(channel_receive(ends[1 - i % 2], &message,
				     &extra),
		    bad->version == CHANNEL_VERSION ? -EPROTO
						    : -EPROTONOSUPPORT);
		ck_assert_int_eq(count_fds(), before);
	}
	/* It can still be read. */
	channel_init(&message, CHANNEL_STOP);
	ck_assert_int_eq(channel_send(ends[1], &message, NULL, 0), 0);
	ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 1);
	ck_assert_uint_eq(message.type, CHANNEL_STOP);
	close_ends();
}
END_TEST

/* More than channel_send() would send, with a message that is all right:
 * refused or cut, but none stays open that nobody knows of. */
START_TEST(too_many_descriptors_leak_nothing)
{
	int before;

	open_ends();
	before = count_fds();
	for (int i = 0; i < 2; i++) {
		channel_init(&message, CHANNEL_PLAN);
		if (!send_raw(ends[i], &message, HEAD_SIZE, RAW_FDS_MAX))
			continue;
		ck_assert_int_eq(channel_receive(ends[1 - i], &message, &extra),
		    -EPROTO);
		ck_assert_uint_eq(extra.fds_count, 0);
		ck_assert_int_eq(count_fds(), before);
	}
	close_ends();
}
END_TEST

/* The receiver's table is full: it is told what it was that did not come. */
START_TEST(no_room_for_descriptors)
{
	pid_t limiter;
	int before;
	int fds[2];

	open_ends();
	before = count_fds();
	channel_init(&message, CHANNEL_PLAN);
	message.generation = 17;
	fds[0] = some_fd;
	fds[1] = some_fd;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(channel_send(ends[0], &message, fds, 2), 0);
	memset(&message, 0, sizeof(message));
	limiter = limit_descriptors((rlim_t)ends[1] + 1);
	ck_assert_int_eq(channel_receive(ends[1], &message, &extra), -EMFILE);
	limit_end(limiter);
	ck_assert_uint_eq(message.type, CHANNEL_PLAN);
	ck_assert_uint_eq(message.generation, 17);
	ck_assert_uint_eq(extra.fds_count, 0);
	ck_assert_int_eq(count_fds(), before);
	ck_assert_int_eq(channel_receive(ends[1], &message, &extra), 1);
	ck_assert_uint_eq(extra.fds_count, 2);
	channel_close_fds(&extra, 0);
	close_ends();
}
END_TEST

START_TEST(noise_leaks_nothing)
{
	unsigned char noise[sizeof(struct channel_message) + 64];
	unsigned state = 1;
	int before;

	open_ends();
	before = count_fds();
	for (int i = 0; i < 3000; i++) {
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (unsigned char)((state = state * 1103515245 +
							   12345) >>
			    16);
		if (i % 2 == 0)
			memcpy(noise, &(uint32_t){CHANNEL_VERSION}, 4);
		if (send_raw(ends[1], noise, 1 + state % sizeof(noise),
			(uint32_t)i % 3) &&
		    channel_receive(ends[0], &message, &extra) == 1)
			channel_close_fds(&extra, 0);
	}
	ck_assert_int_eq(count_fds(), before);
	close_ends();
}
END_TEST

START_TEST(a_full_channel_says_so)
{
	int sent = 0;
	int rc;

	open_ends();
	channel_init(&message, CHANNEL_LEVEL);
	while ((rc = channel_send(ends[1], &message, NULL, 0)) == 0)
		sent++;
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_int_gt(sent, 8);
	while ((rc = channel_receive(ends[0], &message, &extra)) == 1)
		sent--;
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_int_eq(sent, 0);
	close_ends();
}
END_TEST

/* Without a signal: nobody here ignores SIGPIPE. */
/* An empty message of a worker's is not the end, and its end is not one. */
START_TEST(nothing_is_not_the_end)
{
	open_ends();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(send(ends[1], "", 0, 0), 0);
	ck_assert_int_eq(shutdown(ends[1], SHUT_WR), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(channel_receive(ends[0], &message, &extra),
		    -EPROTO);
	ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 0);
	close_ends();
}
END_TEST

START_TEST(the_end_comes_after_the_messages)
{
	open_ends();
	channel_init(&message, CHANNEL_READY);
	ck_assert_int_eq(channel_send(ends[1], &message, NULL, 0), 0);
	(void)close(ends[1]);
	ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 1);
	ck_assert_int_eq(channel_receive(ends[0], &message, &extra), 0);
	ck_assert_int_eq(channel_send(ends[0], &message, NULL, 0), -EPIPE);
	(void)close(ends[0]);
}
END_TEST

UNIT_MAIN("channel", ends_are_nonblocking_and_private,
    a_message_arrives_as_it_was, the_first_end_is_told_the_sender,
    the_sender_is_the_one_who_sent, descriptors_come_along,
    too_much_is_not_sent, malformed_messages_are_errors_and_leak_nothing,
    too_many_descriptors_leak_nothing, no_room_for_descriptors,
    noise_leaks_nothing, a_full_channel_says_so, nothing_is_not_the_end,
    the_end_comes_after_the_messages)
