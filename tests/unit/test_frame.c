/*
 * test_frame - NUL-framed messages in any pieces.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/frame.h"

#define LIMIT 10000

/* Put text, which may hold NULs, into the frame in pieces. */
static void
feed(struct frame *frame, const char *text, size_t length, size_t piece)
{
	char *at;
	size_t room;

	while (length > 0) {
		ck_assert_int_eq(frame_room(frame, &at, &room), 0);
		ck_assert_uint_ge(room, 1);
		if (room > piece)
			room = piece;
		if (room > length)
			room = length;
		memcpy(at, text, room);
		frame_added(frame, room);
		text += room;
		length -= room;
	}
}

static void
expect(struct frame *frame, const char *text)
{
	char *message;
	size_t length;

	ck_assert_int_eq(frame_next(frame, &message, &length), 1);
	ck_assert_str_eq(message, text);
	ck_assert_uint_eq(length, strlen(text));
}

static int
next(struct frame *frame)
{
	char *message;
	size_t length;

	return frame_next(frame, &message, &length);
}

START_TEST(messages_come_out_whole_in_any_pieces)
{
	static const char text[] = "one\0two\0\0four and a half";
	struct frame frame;

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		frame_init(&frame, LIMIT);
		feed(&frame, text, sizeof(text) - 1, piece);
		expect(&frame, "one");
		expect(&frame, "two");
		expect(&frame, "");
		ck_assert_int_eq(next(&frame), 0);
		ck_assert(frame_has_bytes(&frame));
		feed(&frame, "", 1, 1);
		expect(&frame, "four and a half");
		ck_assert_int_eq(next(&frame), 0);
		ck_assert(!frame_has_bytes(&frame));
		frame_release(&frame);
	}
}
END_TEST

START_TEST(the_longest_message_passes_and_one_byte_more_does_not)
{
	static char text[LIMIT + 2];
	struct frame frame;

	memset(text, 'x', LIMIT + 1);
	frame_init(&frame, LIMIT);
	feed(&frame, text + 1, LIMIT, 1000);
	ck_assert_int_eq(next(&frame), 0);
	feed(&frame, "", 1, 1);
	expect(&frame, text + 1);
	ck_assert_int_eq(next(&frame), 0);

	feed(&frame, text, LIMIT + 1, 1000);
	ck_assert_int_eq(next(&frame), -EMSGSIZE);
	ck_assert_int_eq(next(&frame), -EMSGSIZE);
	frame_release(&frame);

	/* Also when its end has come in the same piece. */
	feed(&frame, text, sizeof(text), sizeof(text));
	ck_assert_int_eq(next(&frame), -EMSGSIZE);
	ck_assert_int_eq(next(&frame), -EMSGSIZE);
	frame_release(&frame);
}
END_TEST

START_TEST(nothing_is_held_while_nothing_waits)
{
	struct frame frame;

	frame_init(&frame, LIMIT);
	feed(&frame, "one", 4, 4);
	expect(&frame, "one");
	ck_assert_int_eq(next(&frame), 0);
	ck_assert_ptr_null(frame.data);
	ck_assert_uint_eq(frame.size, 0);
	frame_release(&frame);
}
END_TEST

START_TEST(an_endless_stream_of_messages_needs_a_bounded_buffer)
{
	static char text[999];
	struct frame frame;

	memset(text, 'x', sizeof(text) - 1);
	frame_init(&frame, LIMIT);
	for (int i = 0; i < 1000; i++) {
		/* Half of the next one is always there already. */
		feed(&frame, text, sizeof(text), 100);
		feed(&frame, text, 500, 100);
		expect(&frame, text);
		feed(&frame, text + 500, sizeof(text) - 500, 100);
		expect(&frame, text);
	}
	ck_assert_uint_le(frame.size, LIMIT + 2);
	ck_assert_int_eq(next(&frame), 0);
	frame_release(&frame);
}
END_TEST

UNIT_MAIN("frame", messages_come_out_whole_in_any_pieces,
    the_longest_message_passes_and_one_byte_more_does_not,
    nothing_is_held_while_nothing_waits,
    an_endless_stream_of_messages_needs_a_bounded_buffer)
