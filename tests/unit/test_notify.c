/*
 * test_notify - what a service manager is told, over a socket of the test's.
 */
#include <sys/un.h>

#include "common/clock.h"
#include "tests/unit/master_kit.h"

#define HEARD_SIZE 2048

static int manager = -1;
static char heard[HEARD_SIZE];

static void
bind_manager(const struct sockaddr_un *sun, socklen_t length, const char *name)
{
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (const struct sockaddr *)sun, length),
	    0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void
open_manager(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char name[40];
	int length =
	    snprintf(name, sizeof(name), "@srvd-test-notify-%d", (int)getpid());

	memcpy(sun.sun_path + 1, name + 1, (size_t)length - 1);
	bind_manager(&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		(size_t)length),
	    name);
}

/* The next message, or "": nothing waits. */
static const char *
hear(void)
{
	ssize_t n = recv(manager, heard, sizeof(heard) - 1, 0);

	heard[n < 0 ? 0 : n] = '\0';
	return heard;
}

static bool
hears(const char *words)
{
	return strstr(hear(), words) != NULL;
}

static void
expect(const char *words)
{
	ck_assert_msg(hears(words), "heard \"%s\", not \"%s\"", heard, words);
}

static void
expect_silence(void)
{
	ck_assert_str_eq(hear(), "");
}

static void
let_run(uint32_t i)
{
	kit.bodies.refs[i].worker_pid = getpid();
	notify_on_worker(&kit);
}

/* A gateway that has said that it is ready. */
static void
open_ready(void)
{
	open_manager();
	kit_open(KIT_ONE);
	for (uint32_t i = 0; i < KIT_WORKERS; i++)
		let_run(i);
	while (!hears("READY=1\n"))
		ck_assert_str_ne(heard, "");
	expect_silence();
}

START_TEST(it_is_ready_when_all_workers_run)
{
	open_manager();
	kit_open(KIT_ONE);
	expect("STATUS=Starting: 0 of 2 workers run\n");
	expect_silence();
	let_run(0);
	ck_assert_str_eq(hear(), "STATUS=Starting: 1 of 2 workers run\n");
	let_run(1);
	ck_assert_str_eq(hear(),
	    "READY=1\nSTATUS=Serving 1 service, 2 workers, generation 1, "
	    "0 connections\n");
	/* Once. */
	let_run(1);
	expect_silence();
}
END_TEST

START_TEST(a_reload_is_told_with_its_outcome)
{
	unsigned long long before;
	unsigned long long at;
	const char *usec;

	open_ready();
	before = clock_monotonic_us();
	kit_configure(KIT_ONE KIT_TWO);
	ck_assert(kit_reload(false).ok);
	expect("RELOADING=1\nMONOTONIC_USEC=");
	usec = strchr(strchr(heard, '=') + 1, '=') + 1;
	at = strtoull(usec, NULL, 10);
	ck_assert_uint_ge(at, before);
	ck_assert_uint_le(at, clock_monotonic_us());
	ck_assert_ptr_nonnull(strstr(heard, "STATUS=Reloading\n"));
	ck_assert_str_eq(hear(),
	    "READY=1\nSTATUS=Serving 2 services, 2 workers, generation 2, "
	    "0 connections\n");
	expect_silence();

	write_text("kit.conf", "workers = many\nuser = nobody\n" KIT_ONE);
	ck_assert(!kit_reload(false).ok);
	expect("RELOADING=1\n");
	expect("READY=1\nSTATUS=Serving 2 services");
	ck_assert_ptr_nonnull(strstr(heard, "; the last reload was refused: "));
	ck_assert_ptr_nonnull(strstr(heard, "kit.conf:1: workers"));

	/* One that only pretends is nobody's affair. */
	ck_assert(!kit_reload(true).ok);
	expect_silence();
}
END_TEST

/* What is quoted in the line can't be another message. */
START_TEST(a_status_is_one_line)
{
	open_ready();
	kit.reload_ok = false;
	(void)snprintf(kit.reload_message, sizeof(kit.reload_message),
	    "no\nSTOPPING=1\n");
	notify_reloading(&kit);
	notify_reloaded(&kit);
	expect("RELOADING=1\n");
	expect("refused: no?STOPPING=1?\n");
	ck_assert_ptr_null(strstr(heard, "\nSTOPPING"));
	/* Nor is a longer one than there is room for. */
	memset(kit.reload_message, 'x', sizeof(kit.reload_message) - 1);
	notify_failed(&kit, kit.reload_message);
	expect("STATUS=Can't start: xxx");
}
END_TEST

START_TEST(a_stop_asks_for_time)
{
	open_ready();
	kit.phase = MASTER_DRAINING;
	kit.stop_at_ms = loop_now_ms(kit.loop) + 2500;
	notify_stopping(&kit);
	expect("STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000\n"
	       "STATUS=Stopping: 0 connections, at most 4 s more\n");
	/* A reload that is given up for it is not told any more. */
	notify_reloaded(&kit);
	expect_silence();
	/* Again, without the word, while it lasts. */
	ck_assert(!kit_run(1200));
	expect("EXTEND_TIMEOUT_USEC=");
	ck_assert_ptr_null(strstr(heard, "STOPPING=1"));
	kit.stop_at_ms = 0;
	notify_stopping(&kit);
	ck_assert_ptr_null(strstr(hear(), "EXTEND_TIMEOUT_USEC="));
}
END_TEST

/* Fill the manager's queue: it does not read. */
static unsigned
fill_queue(void)
{
	struct sockaddr_un sun;
	socklen_t length = sizeof(sun);
	unsigned count = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(getsockname(manager, (struct sockaddr *)&sun, &length),
	    0);
	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&sun, length) == 1)
		count++;
	ck_assert_int_eq(errno, EAGAIN);
	(void)close(fd);
	return count;
}

/* Nothing waits for a manager that does not read, and nothing is lost. */
START_TEST(a_full_queue_delays_but_does_not_block)
{
	uint64_t before;
	unsigned count;

	open_ready();
	count = fill_queue();
	before = clock_monotonic_ms();
	for (int i = 0; i < 50; i++) {
		notify_reloading(&kit);
		notify_reloaded(&kit);
	}
	notify_reloading(&kit);
	(void)kit_run(150);
	ck_assert_uint_lt(clock_monotonic_ms() - before, 10000);
	for (unsigned i = 0; i < count; i++)
		ck_assert_str_eq(hear(), "x");
	expect_silence();
	(void)kit_run(300);
	/* One reload stands for all of which nothing could be said. */
	expect("RELOADING=1\n");
	expect_silence();
	notify_reloaded(&kit);
	expect("READY=1\n");

	/* The same with both of its words. */
	count = fill_queue();
	notify_reloading(&kit);
	notify_reloaded(&kit);
	for (unsigned i = 0; i < count; i++)
		(void)hear();
	(void)kit_run(300);
	expect("RELOADING=1\n");
	expect("READY=1\n");
	expect_silence();
}
END_TEST

START_TEST(a_manager_that_has_gone_is_no_failure)
{
	open_ready();
	(void)close(manager);
	notify_reloading(&kit);
	notify_reloaded(&kit);
	notify_stopping(&kit);
	notify_close(&kit);
	ck_assert_ptr_null(kit.notify);
	notify_close(&kit);
}
END_TEST

static unsigned
count_beats(void)
{
	unsigned count = 0;

	while (*hear() != '\0')
		count += strcmp(heard, "WATCHDOG=1\n") == 0;
	return count;
}

static void
expect_beats(unsigned count)
{
	unsigned beats = 0;

	for (int i = 0; i < 100 && beats < count; i++) {
		(void)kit_run(50);
		beats += count_beats();
	}
	ck_assert_uint_ge(beats, count);
}

/* By the loop alone: what hangs in a handler feeds nothing. */
START_TEST(the_loop_feeds_the_watchdog)
{
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "40000", 1), 0);
	open_ready();
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	(void)count_beats();
	expect_beats(5);
	for (int i = 0; i < 10; i++) {
		notify_on_worker(&kit);
		(void)poll(NULL, 0, 10);
	}
	ck_assert_uint_eq(count_beats(), 0);
	/* It is not fed for lack of room, and again when there is some. */
	(void)fill_queue();
	(void)kit_run(60);
	ck_assert_uint_eq(count_beats(), 0);
	expect_beats(2);
}
END_TEST

START_TEST(the_watchdog_of_another_is_not_fed)
{
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "20000", 1), 0);
	ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
	open_ready();
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	ck_assert_ptr_null(getenv("WATCHDOG_PID"));
	(void)kit_run(100);
	ck_assert_uint_eq(count_beats(), 0);
}
END_TEST

START_TEST(nobody_is_told_without_a_socket)
{
	static const char *const names[] = {
	    "", "relative", "vsock:2:99", "@", "/"};
	char longest[200] = "/";

	memset(longest + 1, 'x', sizeof(longest) - 2);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(loop_new(&kit.loop), 0);
	log_set_level(LEVEL_ERROR);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", longest, 1), 0);
	ck_assert_int_eq(notify_open(&kit), 0);
	ck_assert_ptr_null(kit.notify);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ck_assert_int_eq(setenv("NOTIFY_SOCKET", names[i], 1), 0);
		ck_assert_int_eq(notify_open(&kit), 0);
		ck_assert_ptr_null(kit.notify);
		ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	}
	ck_assert_int_eq(notify_open(&kit), 0);
	notify_on_worker(&kit);
	notify_reloading(&kit);
	notify_reloaded(&kit);
	notify_stopping(&kit);
	notify_failed(&kit, "why");
	notify_close(&kit);
}
END_TEST

START_TEST(a_path_will_do)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	make_directory();
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/manager",
	    directory);
	bind_manager(&sun, sizeof(sun), sun.sun_path);
	ck_assert_int_eq(loop_new(&kit.loop), 0);
	ck_assert_int_eq(notify_open(&kit), 0);
	notify_failed(&kit, "no\nreason");
	ck_assert_str_eq(hear(), "STATUS=Can't start: no?reason");
	notify_close(&kit);
	loop_free(kit.loop);
}
END_TEST

UNIT_MAIN("notify", it_is_ready_when_all_workers_run,
    a_reload_is_told_with_its_outcome, a_status_is_one_line,
    a_stop_asks_for_time, a_full_queue_delays_but_does_not_block,
    a_manager_that_has_gone_is_no_failure, the_loop_feeds_the_watchdog,
    the_watchdog_of_another_is_not_fed, nobody_is_told_without_a_socket,
    a_path_will_do)
