/*
 * The access log while workers die: a line a connection, exactly.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access_log.h"
#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"

#define KILLS 200U
#define MIB   (1024ULL * 1024)

static struct gateway gateway;
static char access_path[E2E_PATH_SIZE];

/* clang-format off */
static const struct load_spec traffic[] = {
	{"bulk", LOAD_BOTH, .up = 24 * MIB, .down = 24 * MIB},
	{"messages", LOAD_PINGPONG, .up = 64ULL * 2000, .down = 64ULL * 2000,
	    .message = 64},
	{"short", LOAD_PINGPONG, .up = 100, .down = 100, .message = 100},
	{"churn", LOAD_PINGPONG, .up = 32, .down = 32, .message = 32},
	{"half-closed", LOAD_UP_FIRST, .up = 40000, .down = 60000},
};
static const unsigned concurrency[] = {2, 6, 6, 16, 3};
/* clang-format on */

struct fixture {
	struct load *load;
	int closed_fd; /* bound, and refuses */
	int idle_fds[KILLS];
	unsigned rounds; /* of other_reasons() */
};

static void
fixture_start(struct fixture *f)
{
	char path[E2E_PATH_SIZE + 8];
	char tcp[ADDR_TEXT_SIZE];
	char un[ADDR_TEXT_SIZE];
	char refuses[ADDR_TEXT_SIZE];

	memset(f, 0, sizeof *f);
	f->load = load_new();
	f->closed_fd = net_bind("127.0.0.1:0", refuses);
	load_listen(f->load, "127.0.0.1:0", tcp);
	snprintf(path, sizeof path, "unix:%s/back", e2e_dir());
	load_listen(f->load, path, un);
	gateway_init(&gateway);
	gateway.access = e2e_path(access_path, "access.log");
	gateway_start(&gateway,
	    "service tcp {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service unix {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service shut {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service idle {\n	listen = {127.0.0.1:0}\n"
	    "	idle_timeout = 200ms\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service reset {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    tcp, un, refuses);
}

static void
add_traffic(struct fixture *f, const char *service)
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&gateway, service, 0, address);
	for (size_t i = 0; i < ARRAY_LEN(traffic); i++)
		load_add(f->load, address, &traffic[i], concurrency[i], 0);
}

/* One that is refused, one that falls silent, one that is reset. */
static void
other_reasons(struct fixture *f, const char *shut, const char *idle,
    const char *reset)
{
	int fd;

	net_expect_turned_away(shut, NET_RESET);
	f->idle_fds[f->rounds] = net_connect(idle);
	fd = net_connect(reset);
	net_say(fd, "x");
	net_hear(fd, "x");
	net_reset(fd);
	f->rounds++;
}

/* Every stream ends, and everybody that fell silent is told so. */
static void
fixture_finish(struct fixture *f)
{
	load_stop_opening(f->load);
	load_finish(f->load, 20000);
	for (unsigned i = 0; i < f->rounds; i++) {
		net_expect_end(f->idle_fds[i], NET_CLOSED);
		close(f->idle_fds[i]);
	}
	gateway_expect_number(&gateway, "totals/connections", 0);
}

/* Bytes of all lines of a service, both ways. */
static uint64_t
bytes_of(const struct access_log *log, const char *service)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < log->count; i++) {
		const struct access_entry *entry = &log->entries[i];

		if (strcmp(entry->service, service) == 0)
			bytes += entry->up + entry->down;
	}
	return bytes;
}

START_TEST(one_line_a_connection_over_200_deaths)
{
	char shut[ADDR_TEXT_SIZE];
	char idle[ADDR_TEXT_SIZE];
	char reset[ADDR_TEXT_SIZE];
	const struct load_counts *counts;
	struct access_log log;
	struct fixture f;
	int64_t accepted;

	fixture_start(&f);
	counts = load_counts(f.load);
	gateway_address(&gateway, "shut", 0, shut);
	gateway_address(&gateway, "idle", 0, idle);
	gateway_address(&gateway, "reset", 0, reset);
	add_traffic(&f, "tcp");
	add_traffic(&f, "unix");
	load_run(f.load, 100);
	for (unsigned i = 0; i < KILLS; i++) {
		(void)gateway_signal_worker(&gateway, i % 2, SIGKILL);
		other_reasons(&f, shut, idle, reset);
		load_run(f.load, 5 + (int)(i * 7 % 40));
	}
	fixture_finish(&f);
	load_expect_exact(f.load);
	gateway_expect_number(&gateway, "totals/deaths", KILLS);
	accepted = gateway_number(&gateway, "totals/accepted");
	ck_assert_int_eq(gateway_number(&gateway, "totals/log_dropped"), 0);
	gateway_stop(&gateway);

	access_log_read(&log, access_path, (size_t)accepted);
	ck_assert_int_eq((int64_t)log.count, accepted);
	ck_assert_uint_eq(log.count, counts->done + 3ULL * KILLS);
	access_log_expect_unique(&log);
	ck_assert_uint_eq(access_log_count(&log, "tcp", "done") +
		access_log_count(&log, "unix", "done"),
	    counts->done);
	ck_assert_uint_eq(access_log_count(&log, "shut", "refused"), KILLS);
	ck_assert_uint_eq(access_log_count(&log, "idle", "idle"), KILLS);
	ck_assert_uint_eq(access_log_count(&log, "reset", "reset"), KILLS);
	ck_assert_uint_eq(bytes_of(&log, "tcp") + bytes_of(&log, "unix"),
	    counts->bytes);
	ck_assert_uint_eq(bytes_of(&log, "reset"), 2ULL * KILLS);
	access_log_free(&log);
	load_free(f.load);
	close(f.closed_fd);
}
END_TEST

/* Those that cost a connection: the culprit has a line, too. */
START_TEST(a_culprit_has_its_line)
{
	static const int faults[] = {SIGSEGV, SIGABRT, SIGBUS};
	struct access_log log;
	struct fixture f;
	int64_t accepted;
	int64_t culprits;

	fixture_start(&f);
	add_traffic(&f, "tcp");
	add_traffic(&f, "unix");
	load_run(f.load, 100);
	for (unsigned i = 0; i < 20; i++) {
		pid_t old = gateway_signal_worker(&gateway, i % 2,
		    faults[i % ARRAY_LEN(faults)]);

		load_run(f.load, 50);
		gateway_expect_successor(&gateway, i % 2, old);
	}
	fixture_finish(&f);
	ck_assert_uint_eq(load_counts(f.load)->wrong, 0);
	accepted = gateway_number(&gateway, "totals/accepted");
	culprits = gateway_number(&gateway, "totals/culprits");
	gateway_stop(&gateway);

	access_log_read(&log, access_path, (size_t)accepted);
	ck_assert_int_eq((int64_t)log.count, accepted);
	access_log_expect_unique(&log);
	ck_assert_int_le((int64_t)(access_log_count(&log, "tcp", "culprit") +
			     access_log_count(&log, "unix", "culprit")),
	    culprits);
	ck_assert_uint_gt(load_counts(f.load)->done, 20);
	ck_assert_uint_ge(access_log_count(&log, "tcp", "done") +
		access_log_count(&log, "unix", "done"),
	    load_counts(f.load)->done);
	access_log_free(&log);
	load_free(f.load);
	close(f.closed_fd);
}
END_TEST

E2E_MAIN("access_deaths", one_line_a_connection_over_200_deaths,
    a_culprit_has_its_line)
