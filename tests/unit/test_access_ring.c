/*
 * test_access_ring - the master's end of the access ring: what it takes, and
 * what it makes of a worker that writes anything there.
 */
#include <fcntl.h>

#include "server/master/access.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "tests/unit/body_kit.h"

#define LINE_LENGTH 128
#define RING        BODY_ACCESS_SIZE

static struct kit kit;
static struct master master;
static struct body_ref ref;
static char all[4 * RING];

static void
open_logs(void)
{
	struct config_result result;
	char text[512];
	char why[256];

	(void)snprintf(text, sizeof(text),
	    "user = nobody\n"
	    "log { target = \"%s/log\" access = \"%s/access\" }\n" SERVICE,
	    directory, directory);
	write_text("log.conf", text);
	result = load("log.conf", false);
	ck_assert_ptr_nonnull(result.plan);
	ck_assert_int_eq(logger_open(result.plan, 0, why, sizeof(why)), 0);
	config_result_release(&result);
}

static void
begin(void)
{
	kit_compile(&kit, "user = nobody\nmax_connections = 16\n" SERVICE);
	open_logs();
	kit_memory(&kit);
	ck_assert_int_eq(loop_new(&master.loop), 0);
	master.board_head = kit.board_head;
	ref.master = &master;
	ref.body = kit.w.body;
	ref.body_fd = 1;
	atomic_store(&kit.board_head->access_tail[0], 99);
	access_begin(&ref);
	ck_assert_uint_eq(atomic_load(&kit.board_head->access_tail[0]), 0);
}

static void
put(const char *bytes, size_t length)
{
	uint64_t head = atomic_load(&kit.w.head->access_head);

	for (size_t i = 0; i < length; i++)
		kit.w.head->access[(head + i) % RING] = bytes[i];
	atomic_store(&kit.w.head->access_head, head + length);
}

/* A line like a worker's, number n. */
static void
put_line(unsigned n)
{
	char line[LINE_LENGTH + 1];

	(void)snprintf(line, sizeof(line), "%08u%*s\n", n, LINE_LENGTH - 9,
	    "reason=done");
	put(line, LINE_LENGTH);
}

static uint64_t
waiting(void)
{
	return atomic_load(&kit.w.head->access_head) -
	    atomic_load(&kit.board_head->access_tail[0]);
}

static const char *
written(void)
{
	int fd = open(path_of("access"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, all, sizeof(all) - 1);

	ck_assert_int_ge(n, 0);
	all[n] = '\0';
	(void)close(fd);
	return all;
}

/* Nothing but the lines first to end, in order. */
static void
expect_lines(unsigned first, unsigned end)
{
	const char *at = written();
	char number[16];

	for (unsigned n = first; n < end; n++, at += LINE_LENGTH) {
		(void)snprintf(number, sizeof(number), "%08u", n);
		ck_assert_int_eq(strncmp(at, number, 8), 0);
		ck_assert_int_eq(at[LINE_LENGTH - 1], '\n');
	}
	ck_assert_str_eq(at, "");
}

static void
on_end(struct loop_timer *timer)
{
	loop_stop(timer->arg);
}

static void
run_loop(uint64_t ms)
{
	struct loop_timer end = {.due = on_end, .arg = master.loop};

	loop_timer_set(master.loop, &end, ms);
	ck_assert_int_eq(loop_run(master.loop), 0);
}

START_TEST(lines_are_taken_a_moment_after_the_wake)
{
	begin();
	put_line(0);
	put_line(1);
	access_wake(&ref);
	access_wake(&ref);
	ck_assert_str_eq(written(), "");
	put_line(2);
	run_loop(200);
	expect_lines(0, 3);
	ck_assert_uint_eq(waiting(), 0);
	/* Nobody said a word: the second's look finds them. */
	access_check(&ref);
	ck_assert(!ref.access_timer.armed);
	put_line(3);
	access_check(&ref);
	run_loop(200);
	expect_lines(0, 4);
	ck_assert_uint_eq(logger_dropped(), 0);
}
END_TEST

START_TEST(a_full_ring_is_taken_in_rounds)
{
	begin();
	for (unsigned i = 0; i < RING / LINE_LENGTH; i++)
		put_line(i);
	access_wake(&ref);
	run_loop(500);
	expect_lines(0, RING / LINE_LENGTH);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert(!ref.access_timer.armed);
}
END_TEST

/* The master died between writing and noting, with a line more in the ring
 * since; or before it had written. */
START_TEST(what_another_master_has_written_is_not_written_again)
{
	begin();
	put_line(0);
	put_line(1);
	access_take_all(&ref);
	put_line(2);
	atomic_store(&kit.board_head->access_tail[0], 0);
	access_resume(&ref);
	ck_assert_uint_eq(waiting(), LINE_LENGTH);
	access_resume(&ref);
	ck_assert_uint_eq(waiting(), LINE_LENGTH);
	access_take_all(&ref);
	expect_lines(0, 3);

	/* Places in the ring are not those in the file. */
	put("short\n", 6);
	put_line(3);
	access_resume(&ref);
	ck_assert_uint_eq(waiting(), LINE_LENGTH + 6);
	access_take_all(&ref);
	expect_lines(0, 4);
}
END_TEST

START_TEST(a_bodys_end_takes_all_that_is_left)
{
	begin();
	put_line(0);
	access_take_all(&ref);
	/* Across the ring's end. */
	for (unsigned i = 1; i <= RING / LINE_LENGTH; i++)
		put_line(i);
	access_take_all(&ref);
	expect_lines(0, RING / LINE_LENGTH + 1);
	access_take_all(&ref);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_uint_eq(logger_dropped(), 0);
}
END_TEST

START_TEST(what_is_no_line_is_dropped)
{
	static char text[BODY_ACCESS_LINE + 2];
	uint64_t dropped = 0;

	begin();
	put_line(0);
	put("short\n", 6); /* 1 */
	put("\n", 1);      /* 2 */
	put_line(1);
	memset(text, 'x', sizeof(text));
	text[BODY_ACCESS_LINE] = '\n';
	put(text, BODY_ACCESS_LINE + 1); /* 3: too long */
	put_line(2);
	memset(text, 'x', sizeof(text));
	text[60] = '\0';
	text[200] = '\n';
	put(text, 201); /* 4: a NUL within */
	put_line(3);
	access_take_all(&ref);
	expect_lines(0, 4);
	dropped += 4;
	ck_assert_uint_eq(logger_dropped(), dropped);

	/* Half a line at the head is no worker's, and is not waited for. */
	put_line(4);
	put("half of a line", 14);
	access_take_all(&ref);
	expect_lines(0, 5);
	ck_assert_uint_eq(logger_dropped(), ++dropped);
	ck_assert_uint_eq(waiting(), 0);
	put_line(5);
	access_take_all(&ref);
	expect_lines(0, 6);
}
END_TEST

START_TEST(control_characters_reach_no_terminal)
{
	static const char bad[] = {
	    '\033', '[', '2', 'J', '\r', '\t', '\x7f', '\x01'};
	char line[LINE_LENGTH];

	begin();
	memset(line, 'x', sizeof(line));
	memcpy(line, bad, sizeof(bad));
	line[LINE_LENGTH - 1] = '\n';
	put(line, LINE_LENGTH);
	access_take_all(&ref);
	ck_assert_int_eq(strncmp(written(), "?[2J????xx", 10), 0);
	ck_assert_uint_eq(strlen(all), LINE_LENGTH);
}
END_TEST

/* No newline in all the ring; a head that no ring can have. */
START_TEST(a_worker_may_write_anything)
{
	static const uint64_t heads[] = {UINT64_MAX, 0, 1, UINT64_C(1) << 63,
	    RING + 1, 7, 2 * (uint64_t)RING + 7};
	uint64_t seed = 1;

	begin();
	memset(kit.w.head->access, 'z', RING);
	atomic_store(&kit.w.head->access_head, RING);
	access_take_all(&ref);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_str_eq(written(), "");
	ck_assert_uint_gt(logger_dropped(), 0);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		atomic_store(&kit.w.head->access_head, heads[i]);
		access_resume(&ref);
		access_take_all(&ref);
		ck_assert_uint_eq(waiting(), 0);
	}
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 5000; i++) {
			seed = seed * 6364136223846793005ULL + 1;
			kit.w.head->access[seed % RING] =
			    (char)(seed >> (seed >> 61));
		}
		atomic_fetch_add(&kit.w.head->access_head, seed % (RING + 9));
		access_wake(&ref);
		access_take_all(&ref);
		ck_assert_uint_eq(waiting(), 0);
	}
	for (const char *p = written(); *p != '\0'; p++)
		ck_assert((unsigned char)*p >= ' ' || *p == '\n');
	/* And then it behaves. */
	ck_assert_int_eq(truncate(path_of("access"), 0), 0);
	put_line(0);
	access_take_all(&ref);
	expect_lines(0, 1);
}
END_TEST

UNIT_MAIN("access_ring", lines_are_taken_a_moment_after_the_wake,
    a_full_ring_is_taken_in_rounds,
    what_another_master_has_written_is_not_written_again,
    a_bodys_end_takes_all_that_is_left, what_is_no_line_is_dropped,
    control_characters_reach_no_terminal, a_worker_may_write_anything)
