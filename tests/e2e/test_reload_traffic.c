/*
 * Fifty reloads of every kind under traffic that never stops: nobody outside
 * notices, and nothing is left behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "software.h"

#define RELOADS      50
#define SETTLED      5 /* reloads after which memory is what it stays */
#define IDLE         100
#define STREAMS      8
#define WORKERS      2
#define WORKERS_MORE 4  /* from the second reload on */
#define EXTRAS       6  /* services that come and go */
#define PERIOD       12 /* reloads until there are as many listeners again */
#define SERVICES_MAX 8192

struct fixture {
	struct gateway gateway;
	struct load *load;
	char backend[ADDR_TEXT_SIZE];
	int redis_port;
	char redis_socket[E2E_PATH_SIZE];
	pid_t redis;
	pid_t benchmark;
	char stop[E2E_PATH_SIZE]; /* a file: the benchmark is to end */
	int idle[IDLE];
	pid_t family[GATEWAY_FAMILY_MAX]; /* before the first reload */
	size_t family_count;
	unsigned kills;
};

/* A service that changes all the time, and in some rounds isn't there. */
static size_t
print_extra(char *text, size_t size, unsigned round, unsigned n,
    const struct fixture *f)
{
	size_t at;

	if ((round + n) % 3 == 0)
		return 0;
	at = (size_t)snprintf(text, size,
	    "service extra%u {\n	listen = {\"127.0.0.1:0\"%s", n,
	    (round + n) % 4 == 0 ? ", \"127.0.0.1:0\"" : "");
	if ((round + n) % 3 == 1)
		at += (size_t)snprintf(text + at, size - at,
		    ", \"unix:%s/extra%u\"", e2e_dir(), n);
	at += (size_t)snprintf(text + at, size - at,
	    "}\n	idle_timeout = %us\n	balance = %s\n", 60 + round,
	    round % 2 == 0 ? "leastconn" : "roundrobin");
	for (unsigned b = 0; b <= (round + n) % 4; b++)
		at += (size_t)snprintf(text + at, size - at,
		    "	backend b%u { address = \"%s\" weight = %u }\n",
		    (round + b) % 5, f->backend, 1 + round % 7);
	return at + (size_t)snprintf(text + at, size - at, "}\n");
}

/*
 * What the traffic goes through is always there, but for the service of the
 * streams, whose connections are kept while it is gone, and changes in all
 * that may change.
 */
static void
configure(struct fixture *f, unsigned round)
{
	static char text[SERVICES_MAX];
	size_t at = 0;

	if (round >= 2)
		f->gateway.workers = WORKERS_MORE;
	at += (size_t)snprintf(text, sizeof text,
	    "service redis {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	idle_timeout = %us\n	balance = %s\n"
	    "	backend tcp { address = \"127.0.0.1:%d\" }\n",
	    600 + round, round % 2 == 0 ? "leastconn" : "roundrobin",
	    f->redis_port);
	if (round % 3 != 1)
		at += (size_t)snprintf(text + at, sizeof text - at,
		    "	backend unix { address = \"unix:%s\" }\n",
		    f->redis_socket);
	at += (size_t)snprintf(text + at, sizeof text - at,
	    "}\nservice idle {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend %s { address = builtin:echo }\n}\n",
	    round % 5 == 4 ? "another" : "echo");
	if (round % 4 != 3)
		at += (size_t)snprintf(text + at, sizeof text - at,
		    "service streams {\n	listen = {\"127.0.0.1:0\"}\n"
		    "	backend b { address = \"%s\" }\n}\n",
		    f->backend);
	for (unsigned n = 0; n < EXTRAS; n++)
		at += print_extra(text + at, sizeof text - at, round, n, f);
	ck_assert_uint_lt(at, sizeof text);
	gateway_configure(&f->gateway, "%s", text);
}

/* New connections all the time, until the file is there; the first that can't
 * be made ends it. */
static void
start_benchmark(struct fixture *f)
{
	char command[512];

	e2e_path(f->stop, "stop");
	snprintf(command, sizeof command,
	    "while ! test -e %s; do redis-benchmark -h 127.0.0.1 -p %d -c 20 "
	    "-n 1500 -k 0 -q -t ping || exit 1; done",
	    f->stop, software_port_of(&f->gateway, "redis"));
	f->benchmark = software_start(command, "benchmark.log");
}

static void
stop_benchmark(struct fixture *f)
{
	static char text[1 << 16];
	char path[E2E_PATH_SIZE];
	int status;

	gateway_write(f->stop, "", 0);
	status = proc_wait(f->benchmark, 20000);
	proc_read_file(e2e_path(path, "benchmark.log"), text, sizeof text);
	ck_assert_msg(status == 0 && strcasestr(text, "error") == NULL &&
		strcasestr(text, "could not") == NULL,
	    "redis-benchmark ended with %d and says: %s", status, text);
	ck_assert_ptr_nonnull(strstr(text, "requests per second"));
}

static void
open_idle(struct fixture *f)
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&f->gateway, "idle", 0, address);
	for (int i = 0; i < IDLE; i++) {
		f->idle[i] = net_connect(address);
		net_say(f->idle[i], "before");
		net_hear(f->idle[i], "before");
	}
}

static void
close_idle(struct fixture *f)
{
	for (int i = 0; i < IDLE; i++) {
		net_say(f->idle[i], "after");
		net_hear(f->idle[i], "after");
		close(f->idle[i]);
	}
}

/* Streams that go on to the end of the test. */
static void
open_streams(struct fixture *f)
{
	/* clang-format off */
	static const struct load_spec specs[] = {
		{"messages", LOAD_PINGPONG, .up = 1ULL << 40,
		    .down = 1ULL << 40, .message = 64},
		{"slow", LOAD_BOTH, .up = 1ULL << 40, .down = 1ULL << 40,
		    .read_max = 8192, .read_pause_ms = 5},
	};
	/* clang-format on */
	char address[ADDR_TEXT_SIZE];

	gateway_address(&f->gateway, "streams", 0, address);
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		load_add(f->load, address, &specs[i],
		    STREAMS / ARRAY_LEN(specs), STREAMS / ARRAY_LEN(specs));
}

static void
check_streams(const struct fixture *f)
{
	const struct load_counts *counts = load_counts(f->load);

	ck_assert_msg(counts->running == STREAMS && counts->lost == 0 &&
		counts->wrong == 0,
	    "of %d streams %u run, %u were lost and %u wrong: %s", STREAMS,
	    counts->running, counts->lost, counts->wrong, counts->errors);
}

static void
fixture_start(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	f->redis_port = software_free_port();
	f->redis = software_start_redis(f->redis_port,
	    e2e_path(f->redis_socket, "redis.sock"));
	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", f->backend);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	configure(f, 0);
	gateway_run(&f->gateway);
	open_idle(f);
	open_streams(f);
	start_benchmark(f);
	load_run(f->load, 1000);
	check_streams(f);
	f->family_count =
	    proc_descendants(f->gateway.pid, f->family, GATEWAY_FAMILY_MAX);
}

static void
fixture_stop(struct fixture *f)
{
	stop_benchmark(f);
	close_idle(f);
	check_streams(f);
	load_free(f->load);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_stop(&f->gateway);
	proc_end(f->redis);
}

/* The streams run on while the answer is waited for. */
static void
reload_under_load(struct fixture *f, unsigned round)
{
	uint64_t end_ms = e2e_now_ms() + RELOAD_TIMEOUT_MS;
	struct client client;
	json_t *reply;

	configure(f, round);
	reload_send(&f->gateway, &client, false);
	while ((reply = reload_receive(&client, 0)) == NULL) {
		ck_assert_msg(e2e_now_ms() < end_ms, "no answer to Reload");
		load_turn(f->load, 2);
	}
	ck_assert_msg(reload_is_done(reply), "reload %u was refused: %s", round,
	    json_dumps(reply, 0));
	ck_assert_int_eq(gateway_number(&f->gateway, "generation"),
	    json_integer_value(gateway_find(reply, "parameters/generation")));
	json_decref(reply);
	check_streams(f);
	ck_assert_msg(proc_wait(f->benchmark, 0) == -1,
	    "redis-benchmark has ended in round %u", round);
}

/* All that there is now is there still or has come with more workers. */
static void
check_family(const struct fixture *f)
{
	pid_t now[GATEWAY_FAMILY_MAX];
	size_t count =
	    proc_descendants(f->gateway.pid, now, GATEWAY_FAMILY_MAX);

	ck_assert_uint_eq(count,
	    f->family_count + (size_t)2 * (WORKERS_MORE - WORKERS));
	for (size_t i = 0; i < f->family_count; i++)
		ck_assert_msg(proc_is_alive(f->family[i]), "process %d is gone",
		    (int)f->family[i]);
}

/* Of all its processes together, in KiB; a worker that is just being followed
 * has none. */
static int64_t
pss_of_all(const struct fixture *f)
{
	pid_t all[GATEWAY_FAMILY_MAX];
	size_t count =
	    proc_descendants(f->gateway.pid, all, GATEWAY_FAMILY_MAX);
	int64_t sum = proc_pss_kib(f->gateway.pid);

	for (size_t i = 0; i < count; i++) {
		int64_t pss = proc_pss_kib(all[i]);

		sum += pss > 0 ? pss : 0;
	}
	return sum;
}

static void
check_memory(const struct fixture *f, int64_t before)
{
	int64_t now = pss_of_all(f);

	if (getuid() != 0) {
		e2e_skip("only root sees the memory of all processes");
		return;
	}
	if (E2E_SLOWNESS != 1)
		return; /* a sanitizer keeps what is freed */
	ck_assert_int_gt(before, 0);
	printf("PSS of all after %d reloads %lld KiB, after %d %lld KiB\n",
	    SETTLED, (long long)before, RELOADS, (long long)now);
	ck_assert_msg(now <= before + before / 20,
	    "from %lld to %lld KiB in %d reloads", (long long)before,
	    (long long)now, RELOADS - SETTLED);
}

/* Descriptors that a forgotten listener or plan would leave behind. */
struct descriptors {
	int sockets;      /* the master's */
	int memory_files; /* the master's and the workers' */
};

static struct descriptors
descriptors_of(const struct fixture *f)
{
	struct descriptors now = {
	    .sockets = proc_fds_named(f->gateway.pid, "socket:"),
	    .memory_files = proc_fds_named(f->gateway.pid, "/memfd:"),
	};

	for (unsigned i = 0; i < f->gateway.workers; i++)
		now.memory_files +=
		    proc_fds_named(gateway_holder(&f->gateway, i), "/memfd:");
	return now;
}

/* The same as before in a round whose configuration is as large. */
static void
check_descriptors(struct fixture *f, const struct descriptors *before)
{
	uint64_t end_ms = e2e_now_ms() + 2000;
	struct descriptors now = descriptors_of(f);

	/* A client that has left is noticed a little later. */
	while (now.sockets > before->sockets && e2e_now_ms() < end_ms) {
		load_run(f->load, 10);
		now = descriptors_of(f);
	}
	ck_assert_int_le(now.sockets, before->sockets);
	ck_assert_int_le(now.memory_files, before->memory_files);
}

static bool
has_redis(void)
{
	static const char *const programs[] = {
	    "redis-server", "redis-benchmark"};

	return software_has(programs, ARRAY_LEN(programs));
}

START_TEST(fifty_reloads)
{
	struct descriptors before = {0};
	struct fixture f;
	int64_t pss = 0;

	if (!has_redis())
		return;
	fixture_start(&f);
	for (unsigned round = 1; round <= RELOADS; round++) {
		reload_under_load(&f, round);
		load_run(f.load, 50);
		if (round == SETTLED) {
			load_run(f.load, 1000);
			pss = pss_of_all(&f);
			before = descriptors_of(&f);
		} else if (round % PERIOD == SETTLED) {
			check_descriptors(&f, &before);
		}
	}
	load_run(f.load, 1000);
	check_memory(&f, pss);
	check_family(&f);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/deaths"), 0);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/refused"), 0);
	fixture_stop(&f);
}
END_TEST

/* Now and then a worker is killed, before, in or after a reload, which may be
 * refused for it and is then asked for again. */
static void
reload_under_kills(struct fixture *f, unsigned round)
{
	uint64_t end_ms = e2e_now_ms() + RELOAD_TIMEOUT_MS;
	uint64_t kill_ms = e2e_now_ms() + round * 37 % 60;
	unsigned victim = round * 7 / 4 % WORKERS;
	struct client client;
	json_t *reply = NULL;

	reload_send(&f->gateway, &client, false);
	while (reply == NULL || kill_ms != 0) {
		ck_assert_msg(e2e_now_ms() < end_ms, "no answer to Reload");
		load_turn(f->load, 1);
		if (kill_ms != 0 && e2e_now_ms() >= kill_ms) {
			(void)gateway_signal_worker(&f->gateway, victim,
			    SIGKILL);
			f->kills++;
			kill_ms = 0;
		}
		if (reply == NULL)
			reply = reload_receive(&client, 0);
	}
	if (!reload_is_done(reply))
		reload_under_load(f, round);
	json_decref(reply);
	check_streams(f);
}

START_TEST(fifty_reloads_under_kills)
{
	struct fixture f;
	int64_t pss = 0;

	if (!has_redis())
		return;
	fixture_start(&f);
	for (unsigned round = 1; round <= RELOADS; round++) {
		configure(&f, round);
		reload_under_kills(&f, round);
		load_run(f.load, (int)(round * 53 % 100));
		if (round == SETTLED) {
			load_run(f.load, 1000);
			pss = pss_of_all(&f);
		}
	}
	load_run(f.load, 1000);
	check_memory(&f, pss);
	ck_assert_uint_eq(f.kills, RELOADS);
	gateway_expect_number(&f.gateway, "totals/deaths", f.kills);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/refused"), 0);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("reload_traffic", fifty_reloads, fifty_reloads_under_kills)
