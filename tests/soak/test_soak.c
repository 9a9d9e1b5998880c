/*
 * A long run: checked streams over all pairs of families, rude clients, and a
 * gateway whose workers, holders and masters are killed, and that is stopped
 * and continued, reloaded, upgraded, given more workers and fewer, in random
 * order.  Every stream is exact, and in the end nothing is left.
 *
 * SOAK_SECONDS in the environment says how long (./dev soak MINUTES); SOAK_SEED
 * repeats the order of a run, which says its seed at the start.
 *
 * What can't be survived is left out: the death of a holder and its worker at
 * once.  So after a holder's death the worker is spared until its connections
 * are another's.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define WORKERS         2 /* at the start and in the end */
#define WORKERS_MAX     4
#define SECONDS         15 /* unless the environment says more */
#define WARM_UP_MS      1500
#define STOPPED_MS      250
#define REPORT_EVERY_MS 60000
#define FAMILIES        3
#define KIB             UINT64_C(1024)

static const char *const families[FAMILIES] = {"tcp4", "tcp6", "unix"};

/* clang-format off */
static const struct load_spec traffic[] = {
	{"bulk", LOAD_BOTH, .up = 700 * KIB, .down = 900 * KIB},
	{"small", LOAD_PINGPONG, .up = 12800, .down = 12800,
	    .message = 64},
	{"request", LOAD_PINGPONG, .up = 100, .down = 100, .message = 100},
	{"client first", LOAD_UP_FIRST, .up = 40000, .down = 60000},
	{"backend first", LOAD_DOWN_FIRST, .up = 50000, .down = 30000},
	{"slow reader", LOAD_BOTH, .up = 20 * KIB, .down = 600 * KIB,
	    .read_max = 20000, .read_pause_ms = 5, .receive_buffer = 4096},
	{"crumbs", LOAD_BOTH, .up = 900, .down = 900, .write_max = 1},
};
/* clang-format on */

struct soak {
	struct gateway gateway;
	struct load *load;
	char backend[FAMILIES][ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	char rude[ADDR_TEXT_SIZE]; /* a service for those who reset */
	bool has_extra;            /* the configuration's other half */
	uint64_t state;            /* of the random numbers */
	uint64_t steps;
	uint64_t kills;
	int fds[WORKERS]; /* of the bodies without traffic, but pipes */
	int64_t pss_kib;  /* of all processes then */
};

/* splitmix64 */
static unsigned
choose(struct soak *s, unsigned below)
{
	uint64_t z = (s->state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ (z >> 31)) % below);
}

static uint64_t
environment_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* The gateway */

static void
configure(const struct soak *s)
{
	const char *d = e2e_dir();
	const char *extra = s->has_extra
	    ? "service extra {\n	listen = {\"127.0.0.1:0\"}\n"
	      "	on_remove = close\n	backend b { address = builtin:echo }\n}\n"
	    : "";
	char services[FAMILIES][512];

	for (unsigned i = 0; i < FAMILIES; i++)
		snprintf(services[i], sizeof services[i],
		    "service to_%s {\n"
		    "	listen = {\"127.0.0.1:0\", \"[::1]:0\", "
		    "\"unix:%s/in_%s\"}\n"
		    "	idle_timeout = %dm\n"
		    "	backend b { address = \"%s\" }\n}\n",
		    families[i], d, families[i], s->has_extra ? 5 : 6,
		    s->backend[i]);
	gateway_configure(&s->gateway,
	    "%s%s%s"
	    "service echo {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service rude {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n%s",
	    services[0], services[1], services[2], extra);
}

static void
add_traffic(struct soak *s)
{
	char address[ADDR_TEXT_SIZE];
	char name[16];

	for (unsigned backend = 0; backend < FAMILIES; backend++) {
		snprintf(name, sizeof name, "to_%s", families[backend]);
		for (unsigned client = 0; client < FAMILIES; client++) {
			unsigned pair = backend * FAMILIES + client;

			gateway_address(&s->gateway, name, client, address);
			/* Each pair has all kinds, two at a time. */
			for (unsigned i = 0; i < ARRAY_LEN(traffic); i++)
				load_add(s->load, address, &traffic[i],
				    1 + (pair + i) % 3 / 2, 0);
		}
	}
}

static int
body_fds(const struct soak *s, unsigned worker)
{
	pid_t holder = gateway_holder(&s->gateway, worker);

	return proc_fds(holder) - proc_fds_named(holder, "pipe:");
}

/* Memory of the master and the holders; the workers' is in the bodies. */
static int64_t
all_pss_kib(const struct soak *s)
{
	int64_t sum = proc_pss_kib(s->gateway.pid);

	for (unsigned i = 0; i < WORKERS; i++)
		sum += proc_pss_kib(gateway_holder(&s->gateway, i)) +
		    proc_pss_kib(gateway_worker(&s->gateway, i));
	return sum;
}

static void
start(struct soak *s)
{
	static const char *const addresses[FAMILIES] = {
	    "127.0.0.1:0", "[::1]:0", NULL};
	char un[E2E_PATH_SIZE + 8];

	memset(s, 0, sizeof *s);
	s->state = environment_number("SOAK_SEED", (uint64_t)getpid());
	fprintf(stderr, "soak: SOAK_SEED=%" PRIu64 "\n", s->state);
	s->load = load_new();
	snprintf(un, sizeof un, "unix:%s/back", e2e_dir());
	for (unsigned i = 0; i < FAMILIES; i++)
		load_listen(s->load, addresses[i] != NULL ? addresses[i] : un,
		    s->backend[i]);
	gateway_init(&s->gateway);
	s->gateway.workers = WORKERS;
	s->gateway.globals = "watchdog = 5s";
	s->gateway.access = e2e_path(s->access, "access");
	configure(s);
	gateway_run(&s->gateway);
	gateway_address(&s->gateway, "rude", 0, s->rude);
}

/* All streams end, and every slot is free. */
static void
expect_quiet(struct soak *s)
{
	load_stop_opening(s->load);
	load_finish(s->load, 30000);
	gateway_expect_number(&s->gateway, "totals/connections", 0);
}

/* What happens to it */

typedef void step_fn(struct soak *s);

static void
kill_worker(struct soak *s)
{
	unsigned worker = choose(s, s->gateway.workers);
	pid_t old = gateway_signal_worker(&s->gateway, worker, SIGKILL);

	gateway_expect_successor(&s->gateway, worker, old);
}

/* The successor too, wherever it is in its sweep. */
static void
kill_twice(struct soak *s)
{
	unsigned worker = choose(s, s->gateway.workers);
	pid_t old = gateway_signal_worker(&s->gateway, worker, SIGKILL);
	pid_t holder = gateway_holder(&s->gateway, worker);
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	pid_t next = old;

	while (e2e_now_ms() < end && (next == old || next == 0)) {
		if (proc_children(holder, &next, 1) == 0)
			next = 0;
	}
	ck_assert_int_gt(next, 1);
	for (unsigned spin = choose(s, 2000); spin > 0; spin--)
		(void)getppid();
	(void)kill(next, SIGKILL);
	gateway_expect_successor(&s->gateway, worker, next);
}

/* The watchdog's time is longer: it would have a culprit closed. */
static void
stop_and_continue(struct soak *s)
{
	pid_t pid = gateway_signal_worker(&s->gateway,
	    choose(s, s->gateway.workers), SIGSTOP);

	load_run(s->load, (int)choose(s, STOPPED_MS));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
}

/* The configuration as it is now, with so many workers. */
static void
change_workers(struct soak *s, unsigned workers)
{
	json_t *reply;

	s->gateway.workers = workers;
	configure(s);
	reply = reload_ask(&s->gateway, false);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

static void
grow_or_shrink(struct soak *s)
{
	change_workers(s, 1 + choose(s, WORKERS_MAX));
}

static void
kill_holder(struct soak *s)
{
	unsigned worker = choose(s, s->gateway.workers);
	pid_t holder = gateway_holder(&s->gateway, worker);

	/* One that retires has had its worker's all. */
	ck_assert(gateway_settles(&s->gateway));
	if (gateway_holder(&s->gateway, worker) != holder)
		return;
	ck_assert_int_eq(kill(holder, SIGKILL), 0);
	load_run(s->load, 10);
	ck_assert(gateway_settles(&s->gateway));
}

static void
kill_master(struct soak *s)
{
	gateway_kill(&s->gateway);
	load_run(s->load, (int)choose(s, 100));
	gateway_run(&s->gateway);
}

static void
expect_no_error(json_t *reply)
{
	char *text;

	ck_assert_msg(reply != NULL, "no answer");
	text = json_dumps(reply, JSON_COMPACT);
	ck_assert_msg(json_object_get(reply, "error") == NULL, "%s", text);
	free(text);
	json_decref(reply);
}

static void
upgrade(struct soak *s)
{
	/* Refused while a worker retires. */
	ck_assert(gateway_settles(&s->gateway));
	expect_no_error(gateway_call(&s->gateway, "Upgrade", NULL));
}

static void
rebalance(struct soak *s)
{
	ck_assert(gateway_settles(&s->gateway));
	expect_no_error(gateway_call(&s->gateway, "Rebalance", NULL));
}

static void
reload_with_changes(struct soak *s)
{
	s->has_extra = !s->has_extra;
	configure(s);
	reload_expect_done(&s->gateway);
}

static void
reload_while_killed(struct soak *s)
{
	struct client client;
	json_t *reply;

	s->has_extra = !s->has_extra;
	configure(s);
	reload_send(&s->gateway, &client, false);
	for (unsigned spin = choose(s, 20000); spin > 0; spin--)
		(void)getppid();
	(void)gateway_signal_worker(&s->gateway, choose(s, s->gateway.workers),
	    SIGKILL);
	reply = reload_receive(&client, 2 * NET_TIMEOUT_MS);
	ck_assert_ptr_nonnull(reply);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

static void
reload_refused(struct soak *s)
{
	static const char nonsense[] = "service nonsense { listen = {} }\n";

	gateway_write(s->gateway.config, nonsense, sizeof nonsense - 1);
	reload_expect_refused(&s->gateway, "ConfigInvalid", "");
	configure(s);
}

static void
dry_run(struct soak *s)
{
	json_t *reply;

	s->has_extra = !s->has_extra;
	configure(s);
	reply = reload_ask(&s->gateway, true);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	s->has_extra = !s->has_extra;
	configure(s);
}

static void
reset_by_client(struct soak *s)
{
	int fd = net_connect(s->rude);

	net_say(fd, "x");
	if (choose(s, 2) == 0)
		net_hear(fd, "x");
	net_reset(fd);
}

static void
say_urgent(struct soak *s)
{
	int fd = net_connect(s->rude);

	net_say(fd, "before");
	ck_assert_int_eq(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
	net_say(fd, "behind");
	net_hear(fd, "before!behind");
	close(fd);
}

static void
close_by_call(struct soak *s)
{
	int fd = net_connect(s->rude);
	json_t *reply;

	net_say(fd, "x");
	net_hear(fd, "x");
	reply = gateway_call(&s->gateway, "CloseConnections",
	    "{\"filter\":{\"service\":\"rude\"}}");
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	net_expect_end(fd, NET_CLOSED);
	close(fd);
}

/* How often of a hundred. */
static const struct {
	unsigned weight;
	step_fn *run;
	bool kills;
} steps[] = {
    {30, kill_worker, true},
    {8, kill_twice, true},
    {8, stop_and_continue, false},
    {6, kill_holder, true},
    {6, kill_master, true},
    {6, upgrade, false},
    {5, grow_or_shrink, false},
    {3, rebalance, false},
    {5, reload_with_changes, false},
    {5, reload_while_killed, true},
    {2, reload_refused, false},
    {3, dry_run, false},
    {5, reset_by_client, false},
    {4, say_urgent, false},
    {4, close_by_call, false},
};

static void
take_step(struct soak *s)
{
	unsigned number = choose(s, 100);
	size_t i = 0;

	while (number >= steps[i].weight) {
		number -= steps[i].weight;
		i++;
	}
	steps[i].run(s);
	s->kills += steps[i].kills;
	s->steps++;
}

/* The end */

static void
report(const struct soak *s)
{
	const struct load_counts *counts = load_counts(s->load);

	fprintf(stderr,
	    "soak: %u streams done, %u lost, %u wrong, %" PRIu64
	    " MiB, %" PRIu64 " steps, of which %" PRIu64 " killed something\n",
	    counts->done, counts->lost, counts->wrong,
	    counts->bytes / KIB / KIB, s->steps, s->kills);
}

/* A line for each connection; the file may be large. */
static void
expect_access_lines(const struct soak *s)
{
	int64_t accepted = gateway_number(&s->gateway, "totals/accepted");
	int64_t lines = 0;
	FILE *in = fopen(s->access, "re");
	int c;

	ck_assert_ptr_nonnull(in);
	while ((c = getc(in)) != EOF)
		lines += c == '\n';
	fclose(in);
	ck_assert_int_eq(lines +
		gateway_number(&s->gateway, "totals/log_dropped"),
	    accepted);
}

static bool
has_no_more_fds(void *arg)
{
	const struct soak *s = arg;

	for (unsigned i = 0; i < WORKERS; i++) {
		if (body_fds(s, i) != s->fds[i])
			return false;
	}
	return true;
}

static void
expect_nothing_left(struct soak *s)
{
	int64_t pss_kib = all_pss_kib(s);

	/* Who stood in for another looks now and then whether it still must. */
	(void)e2e_wait(has_no_more_fds, s, NET_TIMEOUT_MS);
	for (unsigned i = 0; i < WORKERS; i++)
		ck_assert_int_eq(body_fds(s, i), s->fds[i]);
	expect_access_lines(s);
	fprintf(stderr,
	    "soak: memory was %" PRId64 " KiB after the warm-up and is %" PRId64
	    " KiB\n",
	    s->pss_kib, pss_kib);
}

static void
warm_up(struct soak *s)
{
	add_traffic(s);
	load_run(s->load, WARM_UP_MS);
	expect_quiet(s);
	load_expect_exact(s->load);
	/* The workers that stay keep the sockets of those that go. */
	change_workers(s, WORKERS_MAX);
	change_workers(s, WORKERS);
	ck_assert(gateway_settles(&s->gateway));
	for (unsigned i = 0; i < WORKERS; i++)
		s->fds[i] = body_fds(s, i);
	s->pss_kib = all_pss_kib(s);
}

START_TEST(soak)
{
	uint64_t ms = 1000 * environment_number("SOAK_SECONDS", SECONDS);
	uint64_t end;
	uint64_t report_ms;
	struct soak s;

	start(&s);
	warm_up(&s);
	load_open_again(s.load);
	end = e2e_now_ms() + ms;
	report_ms = e2e_now_ms() + REPORT_EVERY_MS;
	while (e2e_now_ms() < end) {
		load_run(s.load, (int)choose(&s, 120));
		take_step(&s);
		if (e2e_now_ms() < report_ms)
			continue;
		report(&s);
		report_ms += REPORT_EVERY_MS;
	}
	s.has_extra = false;
	change_workers(&s, WORKERS);
	ck_assert(gateway_settles(&s.gateway));
	expect_quiet(&s);
	load_expect_exact(s.load);
	report(&s);
	expect_nothing_left(&s);
	load_free(s.load);
	gateway_stop(&s.gateway);
}
END_TEST

E2E_MAIN("soak", soak)
