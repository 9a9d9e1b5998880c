/*
 * test_access - a connection's line, and the ring that it goes into.
 */
#include <sys/syscall.h>
#include <sys/un.h>

#include "server/state/reason.h"
#include "server/worker/access.h"
#include "server/worker/count.h"
#include "tests/unit/body_kit.h"

#define ACCESS_FILE "/tmp/srvd-access"

/* The time of day that the process is told; 0: the right one. */
static time_t set_time;

/* It takes the place of libc's. */
int told_time(clockid_t clock, struct timespec *ts) __asm__("clock_gettime");

int
told_time(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_REALTIME || set_time == 0)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	ts->tv_sec = set_time;
	ts->tv_nsec = 7999999;
	return 0;
}

static struct kit kit;
static struct slot *slot;

static void
begin(const char *access)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
	    "user = nobody\nmax_connections = 16\nlog { access = %s }\n"
	    "service r { listen = 127.0.0.1:1 "
	    "backend x { address = builtin:echo } }\n"
	    "service redis { listen = 127.0.0.1:2 "
	    "backend a-1 { address = 127.0.0.1:3 } }\n",
	    access);
	kit_compile(&kit, text);
	kit_memory(&kit);
	slot = &kit.w.body.slots[3];
}

static void
connect_slot(uint64_t id)
{
	memset(slot, 0, sizeof(*slot));
	slot->id = id;
	slot->state = CONN_RELAYING;
	slot->service = 1;
	slot->backend = 1;
	slot->has_backend = 1;
	slot->reason = REASON_DONE;
	slot->tally = TALLY_ACCEPTED | TALLY_CONNECTED;
	slot->client = (struct endpoint){
	    .kind = ADDR_TCP4, .port = 5678, .ip = {1, 2, 3, 4}};
	slot->local = (struct endpoint){
	    .kind = ADDR_TCP4, .port = 6379, .ip = {10, 0, 0, 1}};
	slot->source = (struct endpoint){
	    .kind = ADDR_TCP4, .port = 40000, .ip = {10, 0, 0, 255}};
	slot->server =
	    (struct endpoint){.kind = ADDR_TCP6, .port = 80, .ip = {[15] = 1}};
	slot->flows[FLOW_UP].moved = 123;
	slot->flows[FLOW_DOWN].moved = UINT64_MAX;
	kit.w.now_us = 10000000;
	slot->started_us = kit.w.now_us - 1203456;
	slot->connect_us = 449;
}

/* The line without its time; it must be one. */
static const char *
line_of(void)
{
	static char line[BODY_ACCESS_LINE + 1];
	size_t length = access_format(&kit.w, slot, line);

	ck_assert_uint_le(length, BODY_ACCESS_LINE);
	line[length] = '\0';
	ck_assert_ptr_eq(strchr(line, '\n'), line + length - 1);
	line[length - 1] = '\0';
	ck_assert_uint_gt(length, 25);
	ck_assert_int_eq(line[24], ' ');
	return line + 25;
}

START_TEST(a_line_has_every_field)
{
	begin(ACCESS_FILE);
	connect_slot(17);
	ck_assert_str_eq(line_of(),
	    "id=17 service=redis backend=a-1 client=1.2.3.4:5678 "
	    "local=10.0.0.1:6379 source=10.0.0.255:40000 server=[::1]:80 "
	    "up=123 down=18446744073709551615 connect_ms=0.4 total_ms=1203.5 "
	    "reason=done");
}
END_TEST

START_TEST(what_there_is_not_is_a_dash)
{
	begin(ACCESS_FILE);
	connect_slot(18);
	slot->tally = TALLY_ACCEPTED;
	slot->reason = REASON_REFUSED;
	slot->started_us = kit.w.now_us + 1;
	slot->flows[FLOW_DOWN].moved = 0;
	slot->client.port = 0;
	ck_assert_str_eq(line_of(),
	    "id=18 service=redis backend=- client=- local=10.0.0.1:6379 "
	    "source=- server=- up=123 down=0 connect_ms=- total_ms=0.0 "
	    "reason=refused");

	connect_slot(19);
	slot->service = 0;
	slot->backend = 0;
	slot->builtin = ADDR_ECHO;
	slot->reason = 99;
	slot->flows[FLOW_DOWN].moved = 7;
	slot->connect_us = 0;
	memset(&slot->source, 0, sizeof(slot->source));
	slot->server = (struct endpoint){.kind = ADDR_ECHO};
	ck_assert_str_eq(line_of(),
	    "id=19 service=r backend=x client=1.2.3.4:5678 "
	    "local=10.0.0.1:6379 source=- server=- up=123 down=7 "
	    "connect_ms=0.0 total_ms=1203.5 reason=none");
}
END_TEST

/* A listening Unix-domain socket and a connection to it. */
static void
connect_unix(const char *name, int *client, int *server)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(sun.sun_path, name, strlen(name) + 1);
	(void)unlink(name);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	*client = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(*client, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
	*server = accept(fd, NULL, NULL);
	ck_assert_int_ge(*server, 0);
	(void)close(fd);
}

START_TEST(a_path_cannot_break_the_line)
{
	char path[108];
	char expected[1400];
	int client;
	int server;
	size_t length;

	begin(ACCESS_FILE);
	connect_slot(20);
	slot->client = (struct endpoint){.kind = ADDR_UNIX};
	slot->local = (struct endpoint){.kind = ADDR_UNIX};
	slot->server = (struct endpoint){.kind = ADDR_UNIX};
	slot->source = (struct endpoint){.kind = ADDR_NONE};
	(void)snprintf(path, sizeof(path), "%s/a b\nc\\\"\x7f\xc3\xa9",
	    directory);
	connect_unix(path, &client, &server);
	/* Our end of a client's; the kernel knows the path even after the
	 * other end is gone. */
	slot->fd[SIDE_CLIENT] = server;
	slot->fd[SIDE_BACKEND] = client;
	(void)snprintf(expected, sizeof(expected),
	    " client=unix local=unix:%s/a\\x20b\\x0ac\\x5c\\x22\\x7f\xc3\xa9 "
	    "source=- server=unix:%s/a\\x20b\\x0ac\\x5c\\x22\\x7f\xc3\xa9 up=",
	    directory, directory);
	ck_assert_ptr_nonnull(strstr(line_of(), expected));
	/* Without sockets only the family is known. */
	slot->fd[SIDE_CLIENT] = 0;
	slot->fd[SIDE_BACKEND] = 0;
	ck_assert_ptr_nonnull(strstr(line_of(),
	    " client=unix local=unix source=- server=unix up="));
	(void)close(server);
	slot->fd[SIDE_BACKEND] = client;
	ck_assert_ptr_nonnull(strstr(line_of(), "\\x20b\\x0ac"));

	/* The longest path, all of it escaped. */
	length = strlen(directory) + 1;
	memset(path + length, '\n', sizeof(path) - 1 - length);
	path[sizeof(path) - 1] = '\0';
	(void)close(client);
	connect_unix(path, &client, &server);
	slot->fd[SIDE_CLIENT] = server;
	slot->fd[SIDE_BACKEND] = client;
	ck_assert_ptr_nonnull(strstr(line_of(), "\\x0a up=123 down="));
	ck_assert_ptr_nonnull(strstr(line_of(), " reason=done"));
}
END_TEST

/* What stands in the ring from a place on, as a string. */
static const char *
ring_from(uint64_t at)
{
	static char text[BODY_ACCESS_SIZE + 1];
	uint64_t head = atomic_load(&kit.w.head->access_head);
	size_t length = 0;

	for (; at < head; at++)
		text[length++] = kit.w.head->access[at % BODY_ACCESS_SIZE];
	text[length] = '\0';
	return text;
}

static void
take_until(uint64_t tail)
{
	atomic_store(&kit.board_head->access_tail[0], tail);
}

static unsigned
lines_in(const char *text)
{
	unsigned lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

START_TEST(a_connection_has_one_line)
{
	begin(ACCESS_FILE);
	connect_slot(129);
	access_note(&kit.w, slot);
	access_note(&kit.w, slot);
	ck_assert_uint_eq(lines_in(ring_from(0)), 1);
	ck_assert_ptr_nonnull(strstr(ring_from(0), " id=129 "));
	ck_assert_uint_ne(slot->tally & TALLY_LOGGED, 0);
	connect_slot(257);
	access_note(&kit.w, slot);
	ck_assert_uint_eq(lines_in(ring_from(0)), 2);
}
END_TEST

START_TEST(without_an_access_log_nothing_is_written)
{
	begin("off");
	connect_slot(129);
	access_note(&kit.w, slot);
	ck_assert_uint_eq(atomic_load(&kit.w.head->access_head), 0);
	ck_assert_uint_eq(slot->tally & TALLY_LOGGED, 0);
	ck_assert_uint_eq(atomic_load(&kit.w.row->log_dropped), 0);
}
END_TEST

/* Over the ring's end, again and again, with the master never far behind. */
START_TEST(lines_go_around_the_ring)
{
	uint64_t before;
	char id[32];

	begin(ACCESS_FILE);
	for (uint64_t i = 0; i < 8000; i++) {
		before = atomic_load(&kit.w.head->access_head);
		connect_slot(1 + i * PLAN_WORKERS_MAX);
		access_note(&kit.w, slot);
		(void)snprintf(id, sizeof(id), " id=%llu service=redis ",
		    (unsigned long long)slot->id);
		ck_assert_ptr_nonnull(strstr(ring_from(before), id));
		ck_assert_uint_eq(lines_in(ring_from(before)), 1);
		take_until(before);
	}
	ck_assert_uint_gt(atomic_load(&kit.w.head->access_head),
	    (uint64_t)3 * BODY_ACCESS_SIZE);
	ck_assert_uint_eq(atomic_load(&kit.w.row->log_dropped), 0);
}
END_TEST

START_TEST(a_full_ring_drops_and_counts)
{
	uint64_t lines = 0;
	uint64_t head;

	begin(ACCESS_FILE);
	for (uint64_t i = 0; i < 4000; i++) {
		connect_slot(1 + i * PLAN_WORKERS_MAX);
		access_note(&kit.w, slot);
		access_note(&kit.w, slot);
	}
	head = atomic_load(&kit.w.head->access_head);
	lines = lines_in(ring_from(0));
	ck_assert_uint_le(head, BODY_ACCESS_SIZE);
	ck_assert_uint_gt(head, BODY_ACCESS_SIZE - BODY_ACCESS_LINE);
	ck_assert_uint_eq(lines + atomic_load(&kit.w.row->log_dropped), 4000);
	ck_assert_ptr_nonnull(strstr(ring_from(0), " id=1 service"));
	/* There is room again. */
	take_until(head);
	connect_slot(1 + UINT64_C(5000) * PLAN_WORKERS_MAX);
	access_note(&kit.w, slot);
	ck_assert_uint_eq(lines_in(ring_from(head)), 1);
	ck_assert_uint_eq(lines + atomic_load(&kit.w.row->log_dropped), 4000);
	/* A tail beyond the head is nobody's; nothing is overwritten by it. */
	take_until(head + BODY_ACCESS_SIZE);
	connect_slot(1 + UINT64_C(5001) * PLAN_WORKERS_MAX);
	access_note(&kit.w, slot);
	ck_assert_uint_eq(lines + atomic_load(&kit.w.row->log_dropped), 4001);
}
END_TEST

/* After so many of the stores: the bytes, the record, its id, the bit, the
 * ring's end. */
static void
die_after(int stores)
{
	uint64_t head = atomic_load(&kit.w.head->access_head);
	struct body_redo old = kit.w.head->redo;
	uint16_t tally = slot->tally;
	char *place = kit.w.head->access + head % BODY_ACCESS_SIZE;

	access_note(&kit.w, slot);
	if (stores < 1)
		memset(place, 'x', 100);
	if (stores < 2)
		kit.w.head->redo = old;
	if (stores < 3)
		kit.w.head->redo.id = stores < 2 ? old.id : 0;
	if (stores < 4)
		slot->tally = tally;
	if (stores < 5)
		atomic_store(&kit.w.head->access_head, head);
}

START_TEST(a_death_neither_loses_nor_doubles_a_line)
{
	char id[32];

	begin(ACCESS_FILE);
	for (int i = 0; i < 60; i++) {
		connect_slot(129 + (uint64_t)i * PLAN_WORKERS_MAX);
		die_after(i % 6);
		count_recover(&kit.w);
		/* As the sweep does with what was about to be closed. */
		access_note(&kit.w, slot);
		count_recover(&kit.w);
		(void)snprintf(id, sizeof(id),
		    " id=%d service=", 129 + i * PLAN_WORKERS_MAX);
		ck_assert_uint_eq(lines_in(ring_from(0)), (unsigned)i + 1);
		ck_assert_ptr_nonnull(strstr(ring_from(0), id));
		ck_assert_ptr_null(strstr(ring_from(0), "xx"));
	}
	ck_assert_uint_eq(atomic_load(&kit.w.row->log_dropped), 0);
}
END_TEST

START_TEST(a_date_is_the_calendars)
{
	char line[BODY_ACCESS_LINE];
	char date[32];
	struct tm tm;

	begin(ACCESS_FILE);
	connect_slot(1);
	/* Every day of four hundred years, at ever other hours. */
	for (time_t day = 1; day <= 146097; day++) {
		set_time = day * 86400 + day * 7919 % 86400;
		(void)access_format(&kit.w, slot, line);
		(void)gmtime_r(&set_time, &tm);
		(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.007Z ",
		    &tm);
		ck_assert_int_eq(strncmp(line, date, strlen(date)), 0);
	}
	set_time = 0;
}
END_TEST

UNIT_MAIN("access", a_line_has_every_field, what_there_is_not_is_a_dash,
    a_path_cannot_break_the_line, a_connection_has_one_line,
    without_an_access_log_nothing_is_written, lines_go_around_the_ring,
    a_full_ring_drops_and_counts, a_death_neither_loses_nor_doubles_a_line,
    a_date_is_the_calendars)
