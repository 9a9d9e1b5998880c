/*
 * Many connections, many slow ones, and not enough of everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "limit.h"
#include "load.h"
#include "net.h"
#include "proc.h"

#define MIB (1024ULL * 1024)

struct fixture {
	struct gateway gateway;
	struct load *load;
	char address[ADDR_TEXT_SIZE];
};

static void
fixture_start_with(struct fixture *f, unsigned workers, const char *globals)
{
	char backend[ADDR_TEXT_SIZE];

	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", backend);
	gateway_init(&f->gateway);
	f->gateway.workers = workers;
	f->gateway.globals = globals;
	gateway_start(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    backend);
	gateway_address(&f->gateway, "s", 0, f->address);
}

static void
fixture_start(struct fixture *f, unsigned workers)
{
	fixture_start_with(f, workers, "");
}

static void
fixture_stop(struct fixture *f)
{
	load_free(f->load);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_stop(&f->gateway);
}

/* Turn until the gateway has so many connections. */
static void
run_until_connections(struct fixture *f, int64_t connections)
{
	uint64_t end = e2e_now_ms() + 20000;
	int64_t now;

	do {
		load_run(f->load, 20);
		now = gateway_number(&f->gateway, "totals/connections");
		ck_assert_msg(now >= connections || e2e_now_ms() < end,
		    "only %lld of %lld connections; errors: %s", (long long)now,
		    (long long)connections, load_counts(f->load)->errors);
	} while (now < connections);
}

START_TEST(two_thousand_connections)
{
	/* Held, so that all are there at once. */
	const struct load_spec spec = {
	    "one of 2000", LOAD_BOTH, .up = 4000, .down = 20000, .hold = true};
	struct fixture f;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 5000) {
		e2e_skip("2000 connections need 5000 descriptors, not %lu",
		    (unsigned long)limit.rlim_cur);
		return;
	}
	fixture_start(&f, 2);
	load_add(f.load, f.address, &spec, 2000, 2000);
	run_until_connections(&f, 2000);
	load_release(f.load);
	load_finish(f.load, 20000);
	load_expect_exact(f.load);
	ck_assert_uint_eq(load_counts(f.load)->done, 2000);
	fixture_stop(&f);
}
END_TEST

/* What a worker asks for; its user has 16,384 pages of such pipes, which is
 * 256 (pipe-user-pages-soft), and then gets smaller ones. */
#define FULL_PIPE    (256 * 1024)
#define SLOW_READERS 300
#define LOOKS        30

/* For the workers' user; who has one more of that size had enough of them. */
static void
make_full_pipe(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	int fds[2];

	if (geteuid() == 0 && (nobody == NULL || setuid(nobody->pw_uid) != 0))
		_exit(1);
	_exit(pipe2(fds, O_CLOEXEC) == 0 &&
	    fcntl(fds[1], F_SETPIPE_SZ, FULL_PIPE) == FULL_PIPE);
}

static bool
has_full_pipe_left(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		make_full_pipe();
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status != 0;
}

/* If the limit is what it mostly is, and the workers may have so many; or that
 * isn't tested. */
static void
expect_no_full_pipe_left(struct load *load)
{
	struct rlimit limit;
	char pages[32];
	int looks = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	proc_read_file("/proc/sys/fs/pipe-user-pages-soft", pages,
	    sizeof pages);
	if (limit.rlim_max < 5000 || strcmp(pages, "16384\n") != 0) {
		e2e_skip("%d slow readers do not use up the pipes of full size",
		    SLOW_READERS);
		return;
	}
	while (has_full_pipe_left() && ++looks < LOOKS)
		load_run(load, 300);
	ck_assert_msg(looks < LOOKS,
	    "there are more pipes of full size than "
	    "slow readers");
}

START_TEST(slow_readers_hinder_nobody)
{
	const struct load_spec slow = {"slow reader", LOAD_BOTH,
	    .up = LOAD_HEADER, .down = 3 * MIB, .receive_buffer = 4096,
	    .hold = true};
	const struct load_spec fast = {"fast", LOAD_PINGPONG,
	    .up = 128ULL * 1000, .down = 128ULL * 1000, .message = 128};
	const struct load_spec bulk = {
	    "fast bulk", LOAD_BOTH, .up = 8 * MIB, .down = 8 * MIB};
	struct fixture f;
	uint64_t bytes;

	/* Descriptors that are not for connections are for pipes. */
	fixture_start_with(&f, 2, "max_connections = 400");
	load_add(f.load, f.address, &slow, SLOW_READERS, SLOW_READERS);
	run_until_connections(&f, SLOW_READERS);
	do { /* until nothing moves: all buffers are full */
		bytes = load_counts(f.load)->bytes;
		load_run(f.load, 300);
	} while (load_counts(f.load)->bytes != bytes);
	expect_no_full_pipe_left(f.load);
	load_add(f.load, f.address, &fast, 20, 20);
	load_add(f.load, f.address, &bulk, 4, 4);
	load_finish_labelled(f.load, "fast", 15000);
	load_finish_labelled(f.load, "fast bulk", 15000);
	ck_assert_uint_eq(load_counts(f.load)->running, SLOW_READERS);
	load_release(f.load);
	load_finish(f.load, 30000);
	load_expect_exact(f.load);
	fixture_stop(&f);
}
END_TEST

/* Nobody reads, and a worker dies on top of it. */
START_TEST(slow_readers_survive_a_death)
{
	const struct load_spec slow = {"slow reader", LOAD_BOTH,
	    .up = LOAD_HEADER, .down = 2 * MIB, .receive_buffer = 4096,
	    .hold = true};
	struct fixture f;
	pid_t old;

	fixture_start(&f, 1);
	load_add(f.load, f.address, &slow, 300, 300);
	run_until_connections(&f, 300);
	load_run(f.load, 500);
	for (int i = 0; i < 5; i++) {
		old = gateway_signal_worker(&f.gateway, 0, SIGKILL);
		gateway_expect_successor(&f.gateway, 0, old);
	}
	load_release(f.load);
	load_finish(f.load, 30000);
	load_expect_exact(f.load);
	fixture_stop(&f);
}
END_TEST

#define FEW_DESCRIPTORS 200
#define TOO_MANY        150 /* connections for that */

static void
expect_no_spin(struct fixture *f)
{
	pid_t pid = gateway_worker(&f->gateway, 0);
	uint64_t cpu = proc_cpu_ms(pid);

	load_run(f->load, 1000);
	cpu = proc_cpu_ms(pid) - cpu;
	ck_assert_msg(cpu < 300,
	    "out of descriptors the worker took %llu ms of a second",
	    (unsigned long long)cpu);
}

/* Those that got in go on, those that did not wait, nobody spins; when there
 * is room, all are served. */
START_TEST(descriptors_run_out)
{
	const struct load_spec held = {
	    "held", LOAD_BOTH, .up = 1000, .down = 100000, .hold = true};
	struct fixture f;
	int64_t in;

	fixture_start(&f, 1);
	limit_descriptors(&f.gateway, 0, FEW_DESCRIPTORS);
	load_add(f.load, f.address, &held, TOO_MANY, TOO_MANY);
	run_until_connections(&f, 50);
	load_run(f.load, 300);
	in = gateway_number(&f.gateway, "totals/connections");
	ck_assert_msg(in < FEW_DESCRIPTORS / 2,
	    "%lld connections with %d descriptors", (long long)in,
	    FEW_DESCRIPTORS);
	ck_assert_uint_eq(load_counts(f.load)->lost, 0);
	expect_no_spin(&f);
	load_release(f.load); /* as those end, the others get in */
	load_finish(f.load, 20000);
	load_expect_exact(f.load);
	ck_assert_uint_eq(load_counts(f.load)->done, TOO_MANY);
	fixture_stop(&f);
}
END_TEST

/* Room made from outside is found, too. */
START_TEST(descriptors_come_back)
{
	const struct load_spec held = {
	    "held", LOAD_BOTH, .up = 1000, .down = 100000, .hold = true};
	struct fixture f;

	fixture_start(&f, 1);
	limit_descriptors(&f.gateway, 0, FEW_DESCRIPTORS);
	load_add(f.load, f.address, &held, TOO_MANY, TOO_MANY);
	run_until_connections(&f, 50);
	load_run(f.load, 300);
	limit_descriptors(&f.gateway, 0, RLIM_INFINITY);
	run_until_connections(&f, TOO_MANY);
	load_release(f.load);
	load_finish(f.load, 20000);
	load_expect_exact(f.load);
	fixture_stop(&f);
}
END_TEST

/* A worker that dies when there are no descriptors has a successor that makes
 * do with none. */
START_TEST(death_without_descriptors)
{
	const struct load_spec held = {
	    "held", LOAD_BOTH, .up = 1000, .down = 100000, .hold = true};
	struct fixture f;
	pid_t old;

	fixture_start(&f, 1);
	limit_descriptors(&f.gateway, 0, FEW_DESCRIPTORS);
	load_add(f.load, f.address, &held, TOO_MANY, TOO_MANY);
	run_until_connections(&f, 50);
	load_run(f.load, 300);
	for (int i = 0; i < 3; i++) {
		old = gateway_signal_worker(&f.gateway, 0, SIGKILL);
		gateway_expect_successor(&f.gateway, 0, old);
	}
	expect_no_spin(&f);
	load_release(f.load);
	load_finish(f.load, 20000);
	load_expect_exact(f.load);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("scale", two_thousand_connections, slow_readers_hinder_nobody,
    slow_readers_survive_a_death, descriptors_run_out, descriptors_come_back,
    death_without_descriptors)
