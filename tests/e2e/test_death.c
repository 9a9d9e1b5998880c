/*
 * Workers die, by every means, under checked streams of all kinds; nothing
 * else notices.
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"

#define WORKERS 2
#define KILLS   200
#define MIB     (1024ULL * 1024)

struct fixture {
	struct gateway gateway;
	struct load *load;
};

/* clang-format off */
static const struct load_spec traffic[] = {
	{"bulk", LOAD_BOTH, .up = 24 * MIB, .down = 24 * MIB},
	{"messages", LOAD_PINGPONG, .up = 64ULL * 2000, .down = 64ULL * 2000,
	    .message = 64},
	{"short", LOAD_PINGPONG, .up = 100, .down = 100, .message = 100},
	{"half-closed", LOAD_UP_FIRST, .up = 40000, .down = 60000},
	{"slow", LOAD_BOTH, .up = 200000, .down = 200000, .read_max = 8192,
	    .read_pause_ms = 10},
	{"bytes", LOAD_BOTH, .up = 2000, .down = 2000, .write_max = 1},
};
static const unsigned concurrency[] = {2, 12, 6, 3, 3, 2};
/* clang-format on */

static void
fixture_start(struct fixture *f, const char *globals)
{
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];
	char tcp[ADDR_TEXT_SIZE];
	char un[ADDR_TEXT_SIZE];

	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", tcp);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	load_listen(f->load, address, un);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	f->gateway.globals = globals;
	gateway_start(&f->gateway,
	    "service tcp {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service unix {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service echo {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    e2e_dir(), tcp, un);
}

static void
add_traffic(struct fixture *f, const char *service, unsigned listener)
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&f->gateway, service, listener, address);
	for (size_t i = 0; i < ARRAY_LEN(traffic); i++)
		load_add(f->load, address, &traffic[i], concurrency[i], 0);
}

static void
add_all_traffic(struct fixture *f)
{
	add_traffic(f, "tcp", 0);
	add_traffic(f, "tcp", 1);
	add_traffic(f, "unix", 0);
}

/* Everything ends; nothing was lost; nothing is left in the slots. */
static void
finish_traffic(struct fixture *f)
{
	load_stop_opening(f->load);
	load_finish(f->load, 20000);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
}

static void
fixture_stop(struct fixture *f)
{
	load_free(f->load);
	gateway_stop(&f->gateway);
}

/* All but pipes: how many of those are pooled depends on the traffic. */
static int
holder_fds(const struct fixture *f, unsigned index)
{
	pid_t holder = gateway_holder(&f->gateway, index);
	int fds = proc_fds(holder);

	return fds < 0 ? fds : fds - proc_fds_named(holder, "pipe:");
}

static void
check_holder_fds(const struct fixture *f, const int before[WORKERS])
{
	if (before[0] < 0) {
		e2e_skip("only root sees the descriptors of holders");
		return;
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		int now = holder_fds(f, i);

		ck_assert_msg(now == before[i],
		    "holder %u has %d descriptors beside pipes, had %d", i, now,
		    before[i]);
	}
}

/* Traffic that ends, so that pools and tables are as they stay. */
static void
warm_up(struct fixture *f, int fds[WORKERS])
{
	add_all_traffic(f);
	load_run(f->load, 700);
	finish_traffic(f);
	load_expect_exact(f->load);
	for (unsigned i = 0; i < WORKERS; i++)
		fds[i] = holder_fds(f, i);
}

START_TEST(killed_under_traffic)
{
	struct fixture f;
	int fds[WORKERS];

	fixture_start(&f, "");
	warm_up(&f, fds);
	add_all_traffic(&f);
	load_run(f.load, 100);
	for (unsigned i = 0; i < KILLS; i++) {
		(void)gateway_signal_worker(&f.gateway, i % WORKERS, SIGKILL);
		load_run(f.load, 5 + (int)(i * 7 % 40));
	}
	finish_traffic(&f);
	load_expect_exact(f.load);
	ck_assert_uint_gt(load_counts(f.load)->done, KILLS);
	gateway_expect_number(&f.gateway, "totals/deaths", KILLS);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/culprits"), 0);
	check_holder_fds(&f, fds);
	fixture_stop(&f);
}
END_TEST

/* Kills without a pause: successors die in their sweep, too. */
START_TEST(killed_again_and_again)
{
	struct fixture f;
	uint64_t end;
	unsigned kills = 0;

	fixture_start(&f, "");
	add_all_traffic(&f);
	load_run(f.load, 100);
	/* As many as go into two seconds, and on a slow machine still enough. */
	end = e2e_now_ms() + 2000;
	while (e2e_now_ms() < end || kills <= 20) {
		(void)gateway_signal_worker(&f.gateway, kills++ % WORKERS,
		    SIGKILL);
		load_turn(f.load, 0);
	}
	ck_assert_uint_gt(kills, 20);
	finish_traffic(&f);
	load_expect_exact(f.load);
	fixture_stop(&f);
}
END_TEST

/* Only connections being made: accepts and dials are what a death finds. */
START_TEST(killed_while_accepting_and_dialling)
{
	const struct load_spec spec = {
	    "churn", LOAD_PINGPONG, .up = 32, .down = 32, .message = 32};
	const char *const services[] = {"tcp", "unix"};
	struct fixture f;
	char address[ADDR_TEXT_SIZE];

	fixture_start(&f, "");
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		load_add(f.load,
		    gateway_address(&f.gateway, services[i], 0, address), &spec,
		    24, 0);
	load_add(f.load, gateway_address(&f.gateway, "tcp", 1, address), &spec,
	    24, 0);
	load_run(f.load, 100);
	for (unsigned i = 0; i < 100; i++) {
		(void)gateway_signal_worker(&f.gateway, i % WORKERS, SIGKILL);
		load_run(f.load, 3 + (int)(i * 5 % 17));
	}
	finish_traffic(&f);
	load_expect_exact(f.load);
	ck_assert_uint_gt(load_counts(f.load)->done, 500);
	fixture_stop(&f);
}
END_TEST

/* builtin:echo has one socket and outlives its worker as well. */
START_TEST(killed_while_echoing)
{
	struct load_spec spec;
	struct fixture f;
	char address[ADDR_TEXT_SIZE];

	fixture_start(&f, "");
	gateway_address(&f.gateway, "echo", 0, address);
	for (size_t i = 0; i < ARRAY_LEN(traffic); i++) {
		spec = traffic[i];
		spec.peer = PEER_ECHO;
		load_add(f.load, address, &spec, concurrency[i], 0);
	}
	load_run(f.load, 100);
	for (unsigned i = 0; i < 60; i++) {
		(void)gateway_signal_worker(&f.gateway, i % WORKERS, SIGKILL);
		load_run(f.load, 5 + (int)(i * 7 % 30));
	}
	finish_traffic(&f);
	load_expect_exact(f.load);
	fixture_stop(&f);
}
END_TEST

/* Connections with nothing to do while the workers die work afterwards. */
START_TEST(idle_connections_survive)
{
	struct fixture f;
	char address[ADDR_TEXT_SIZE];
	int fds[50];
	pid_t old;

	fixture_start(&f, "");
	gateway_address(&f.gateway, "echo", 0, address);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = net_connect(address);
		net_say(fds[i], "before");
		net_hear(fds[i], "before");
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		old = gateway_signal_worker(&f.gateway, i, SIGKILL);
		gateway_expect_successor(&f.gateway, i, old);
	}
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/connections"),
	    ARRAY_LEN(fds));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		net_say(fds[i], "after");
		net_hear(fds[i], "after");
		close(fds[i]);
	}
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	fixture_stop(&f);
}
END_TEST

/* The last death of worker 0 is of this cause and signal. */
static void
check_last_death(const struct fixture *f, const char *cause, int signal)
{
	json_t *status = gateway_status(&f->gateway);
	json_t *death = gateway_find(status, "workers/0/last_death");

	ck_assert_str_eq(json_string_value(json_object_get(death, "cause")),
	    cause);
	ck_assert_int_eq(json_integer_value(json_object_get(death, "signal")),
	    signal);
	ck_assert_int_gt(json_integer_value(json_object_get(death, "at_us")),
	    0);
	json_decref(status);
}

/* The one connection being worked on may be closed, no other. */
START_TEST(faults_cost_one_connection)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	struct fixture f;
	const struct load_counts *counts;
	int64_t culprits;

	fixture_start(&f, "");
	counts = load_counts(f.load);
	add_all_traffic(&f);
	load_run(f.load, 100);
	for (unsigned i = 0; i < ARRAY_LEN(faults); i++) {
		pid_t old = gateway_signal_worker(&f.gateway, 0, faults[i]);

		gateway_expect_successor(&f.gateway, 0, old);
		check_last_death(&f, "signal", faults[i]);
		load_run(f.load, 200);
		ck_assert_msg(counts->lost <= i + 1 && counts->wrong == 0,
		    "%u faults cost %u connections, %u wrong: %s", i + 1,
		    counts->lost, counts->wrong, counts->errors);
	}
	finish_traffic(&f);
	culprits = gateway_number(&f.gateway, "totals/culprits");
	ck_assert_msg(counts->wrong == 0 && counts->lost <= culprits,
	    "%u lost for %lld culprits: %s", counts->lost, (long long)culprits,
	    counts->errors);
	gateway_expect_number(&f.gateway, "totals/deaths", ARRAY_LEN(faults));
	fixture_stop(&f);
}
END_TEST

START_TEST(stopped_worker_is_replaced)
{
	struct fixture f;
	const struct load_counts *counts;
	uint64_t start;
	uint64_t took;
	pid_t old;

	fixture_start(&f, "watchdog = 2500ms\n");
	counts = load_counts(f.load);
	add_all_traffic(&f);
	load_run(f.load, 100);
	old = gateway_signal_worker(&f.gateway, 0, SIGSTOP);
	start = e2e_now_ms();
	load_run(f.load, 1000); /* the others relay on */
	ck_assert_msg(proc_state(old) == 'T', "worker 0 is not stopped");
	gateway_expect_successor(&f.gateway, 0, old);
	took = e2e_now_ms() - start;
	ck_assert_msg(took >= 1500 && took < 6000,
	    "replaced after %llu ms by a watchdog of 2500 ms",
	    (unsigned long long)took);
	check_last_death(&f, "watchdog", SIGKILL);
	load_run(f.load, 200);
	finish_traffic(&f);
	ck_assert_msg(counts->wrong == 0 && counts->lost <= 1,
	    "%u lost, %u wrong: %s", counts->lost, counts->wrong,
	    counts->errors);
	fixture_stop(&f);
}
END_TEST

/* A busy worker is not a hanging one, and neither is an idle one. */
START_TEST(watchdog_spares_the_living)
{
	struct fixture f;
	pid_t idle[WORKERS];

	fixture_start(&f, "watchdog = 2500ms\n");
	for (unsigned i = 0; i < WORKERS; i++)
		idle[i] = gateway_worker(&f.gateway, i);
	e2e_pause(3500);
	add_all_traffic(&f);
	load_run(f.load, 3000);
	finish_traffic(&f);
	load_expect_exact(f.load);
	for (unsigned i = 0; i < WORKERS; i++)
		ck_assert_int_eq(gateway_worker(&f.gateway, i), idle[i]);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/deaths"), 0);
	fixture_stop(&f);
}
END_TEST

static void
expect_text(pid_t pid, const char *what, const char *got, const char *expected)
{
	ck_assert_msg(strcmp(got, expected) == 0,
	    "%s of process %d is \"%s\", not \"%s\"", what, (int)pid, got,
	    expected);
}

static void
expect_status(pid_t pid, const char *field, const char *expected)
{
	char text[64];

	proc_status(pid, field, text, sizeof text);
	text[strcspn(text, " ")] = '\0'; /* after a list of groups */
	expect_text(pid, field, text, expected);
}

static void
check_process(pid_t pid, const char *title)
{
	char text[64];
	char comm[16];

	proc_cmdline(pid, text, sizeof text);
	expect_text(pid, "the title", text, title);
	proc_comm(pid, text, sizeof text);
	snprintf(comm, sizeof comm, "%s", title);
	expect_text(pid, "the name", text, comm);
}

static void
expect_no_capabilities(pid_t pid)
{
	static const char *const sets[] = {
	    "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		expect_status(pid, sets[i], "0000000000000000");
}

/* As root: everything but the master runs as nobody and holds no privilege. */
static void
check_dropped(pid_t pid)
{
	const struct passwd *nobody = getpwnam("nobody");
	char id[16];
	char four[64];

	expect_status(pid, "NoNewPrivs", "1");
	ck_assert_msg(proc_files_owner(pid) == 0, "process %d is dumpable",
	    (int)pid);
	if (getuid() != 0)
		return;
	snprintf(id, sizeof id, "%u", nobody->pw_uid);
	snprintf(four, sizeof four, "%s\t%s\t%s\t%s", id, id, id, id);
	expect_status(pid, "Uid", four);
	snprintf(id, sizeof id, "%u", nobody->pw_gid);
	snprintf(four, sizeof four, "%s\t%s\t%s\t%s", id, id, id, id);
	expect_status(pid, "Gid", four);
	expect_status(pid, "Groups", id);
	expect_no_capabilities(pid);
}

START_TEST(processes_are_named_and_dropped)
{
	struct fixture f;
	char title[32];

	fixture_start(&f, "");
	check_process(f.gateway.pid, "srvd: master");
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < WORKERS; i++) {
			pid_t worker = gateway_worker(&f.gateway, i);
			pid_t holder = gateway_holder(&f.gateway, i);

			snprintf(title, sizeof title, "srvd: worker %u", i);
			check_process(worker, title);
			check_dropped(worker);
			snprintf(title, sizeof title, "srvd: holder %u", i);
			check_process(holder, title);
			check_dropped(holder);
			/* and so are their successors */
			(void)gateway_signal_worker(&f.gateway, i, SIGKILL);
			gateway_expect_successor(&f.gateway, i, worker);
		}
	}
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("death", killed_under_traffic, killed_again_and_again,
    killed_while_accepting_and_dialling, killed_while_echoing,
    idle_connections_survive, faults_cost_one_connection,
    stopped_worker_is_replaced, watchdog_spares_the_living,
    processes_are_named_and_dropped)
