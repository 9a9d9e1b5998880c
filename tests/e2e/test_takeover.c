/*
 * The master dies under checked streams, and another one takes over; nobody
 * who is connected, or connects, notices.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access_log.h"
#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define WORKERS 2
#define MIB     (1024ULL * 1024)

struct fixture {
	struct gateway gateway;
	struct load *load;
	char tcp[ADDR_TEXT_SIZE];
	char un[ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	char address[3][ADDR_TEXT_SIZE];
};

/* clang-format off */
static const struct load_spec traffic[] = {
	{"bulk", LOAD_BOTH, .up = 24 * MIB, .down = 24 * MIB},
	{"messages", LOAD_PINGPONG, .up = 64ULL * 2000, .down = 64ULL * 2000,
	    .message = 64},
	{"short", LOAD_PINGPONG, .up = 100, .down = 100, .message = 100},
	{"half-closed", LOAD_UP_FIRST, .up = 40000, .down = 60000},
	{"half-closed by the backend", LOAD_DOWN_FIRST, .up = 60000,
	    .down = 40000},
	{"slow", LOAD_BOTH, .up = 200000, .down = 200000, .read_max = 8192,
	    .read_pause_ms = 10},
};
static const unsigned concurrency[] = {2, 8, 4, 3, 3, 3};

/* Both kinds of listeners, both kinds of backends. */
static const char services[] =
    "service tcp {\n"
    "	listen = {\"127.0.0.1:0\", \"unix:%s/in\"}\n"
    "	backend b { address = \"%s\" }\n}\n"
    "service unix {\n	listen = {\"127.0.0.1:0\"}\n"
    "	backend b { address = \"%s\" }\n}\n"
    "%s";
/* clang-format on */

static void
configure(const struct fixture *f, const char *more)
{
	gateway_configure(&f->gateway, services, e2e_dir(), f->tcp, f->un,
	    more);
}

static void
fixture_start(struct fixture *f)
{
	char address[E2E_PATH_SIZE + 8];
	char path[E2E_PATH_SIZE];

	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", f->tcp);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	load_listen(f->load, address, f->un);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	f->gateway.access = e2e_path(f->access, "access.log");
	configure(f, "");
	gateway_run(&f->gateway);
	gateway_address(&f->gateway, "tcp", 0, f->address[0]);
	gateway_address(&f->gateway, "tcp", 1, f->address[1]);
	gateway_address(&f->gateway, "unix", 0, f->address[2]);
}

static void
add_traffic(struct fixture *f)
{
	for (size_t a = 0; a < ARRAY_LEN(f->address); a++) {
		for (size_t i = 0; i < ARRAY_LEN(traffic); i++)
			load_add(f->load, f->address[a], &traffic[i],
			    concurrency[i], 0);
	}
	load_run(f->load, 100);
}

/* A new master, while the streams go on. */
static void
succeed(struct fixture *f)
{
	uint64_t end = e2e_now_ms() + GATEWAY_TIMEOUT_MS;

	gateway_begin(&f->gateway);
	while (!gateway_is_ready(&f->gateway)) {
		ck_assert_msg(e2e_now_ms() < end,
		    "the new master is not ready after %d ms",
		    GATEWAY_TIMEOUT_MS);
		load_turn(f->load, 2);
	}
}

/* Whoever was there before has handed over and gone. */
static void
expect_gone(struct fixture *f)
{
	uint64_t end = e2e_now_ms() + GATEWAY_TIMEOUT_MS;
	const struct gateway *g = &f->gateway;

	for (size_t i = 0; i < g->family_count; i++) {
		while (proc_is_alive(g->family[i])) {
			ck_assert_msg(e2e_now_ms() < end,
			    "process %d of the dead master is still there",
			    (int)g->family[i]);
			load_turn(f->load, 2);
		}
	}
}

static void
expect_addresses(const struct fixture *f)
{
	static const char *const names[] = {"tcp", "tcp", "unix"};
	char now[ADDR_TEXT_SIZE];

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_str_eq(gateway_address(&f->gateway, names[i], i % 2,
				     now),
		    f->address[i]);
}

/* Everything ends; nothing was lost, nothing counted or logged twice. */
static void
finish(struct fixture *f)
{
	const struct load_counts *counts = load_counts(f->load);
	char path[E2E_PATH_SIZE];
	struct access_log log;

	load_stop_opening(f->load);
	load_finish(f->load, 20000);
	load_expect_exact(f->load);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_expect_number(&f->gateway, "totals/accepted", counts->opened);
	access_log_read(&log, f->access, counts->opened);
	ck_assert_uint_eq(log.count, counts->opened);
	access_log_expect_unique(&log);
	access_log_free(&log);
	load_free(f->load);
	gateway_stop(&f->gateway);
	ck_assert_int_ne(access(e2e_path(path, "control.sock.bodies"), F_OK),
	    0);
	ck_assert_int_ne(access(e2e_path(path, "in"), F_OK), 0);
}

START_TEST(killed_master_is_succeeded)
{
	struct fixture f;
	int64_t generation;
	int64_t accepted;

	fixture_start(&f);
	add_traffic(&f);
	for (unsigned i = 0; i < 10; i++) {
		generation = gateway_number(&f.gateway, "generation");
		accepted = gateway_number(&f.gateway, "totals/accepted");
		gateway_kill(&f.gateway);
		load_run(f.load, 20 + (int)(i * 37 % 100));
		succeed(&f);
		expect_gone(&f);
		expect_addresses(&f);
		ck_assert_int_eq(gateway_number(&f.gateway, "generation"),
		    generation + 1);
		ck_assert_int_ge(gateway_number(&f.gateway, "totals/accepted"),
		    accepted);
	}
	finish(&f);
}
END_TEST

/* Connections that have nothing to say, or wait for their end. */
START_TEST(idle_ones_are_there_afterwards)
{
	struct fixture f;
	int fds[40];

	fixture_start(&f);
	configure(&f,
	    "service echo {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:echo }\n}\n");
	reload_expect_done(&f.gateway);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		char address[ADDR_TEXT_SIZE];

		fds[i] = net_connect(gateway_address(&f.gateway, "echo", 0,
		    address));
		net_say(fds[i], "before");
		net_hear(fds[i], "before");
	}
	gateway_kill(&f.gateway);
	net_say(fds[0], "alone");
	net_hear(fds[0], "alone");
	succeed(&f);
	expect_gone(&f);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/connections"),
	    ARRAY_LEN(fds));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		net_say(fds[i], "after");
		net_hear(fds[i], "after");
		close(fds[i]);
	}
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	load_free(f.load);
	gateway_stop(&f.gateway);
}
END_TEST

/* What was written meanwhile holds as after a reload: rows keep their names,
 * sockets that stay are the same, workers become more and fewer. */
START_TEST(changed_configuration_is_followed)
{
	static const char *const more[] = {
	    "service two {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    "service three {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:discard }\n}\n",
	    "",
	};
	static const unsigned workers[] = {4, 1, 2};
	struct fixture f;
	unsigned i;

	fixture_start(&f);
	add_traffic(&f);
	for (unsigned round = 0; round < 6; round++) {
		i = round % ARRAY_LEN(more);
		gateway_kill(&f.gateway);
		f.gateway.workers = workers[i];
		configure(&f, more[i]);
		load_run(f.load, 30);
		succeed(&f);
		expect_gone(&f);
		expect_addresses(&f);
		load_run(f.load, 50);
	}
	finish(&f);
}
END_TEST

/* Connections of a service that left the configuration meanwhile. */
START_TEST(removed_service_is_removed)
{
	struct fixture f;
	char address[ADDR_TEXT_SIZE];
	char byte;
	int kept;
	int closed;

	fixture_start(&f);
	configure(&f,
	    "service keeps {\n	listen = \"127.0.0.1:0\"\n"
	    "	on_remove = keep\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service closes {\n	listen = \"127.0.0.1:0\"\n"
	    "	on_remove = close\n"
	    "	backend b { address = builtin:echo }\n}\n");
	reload_expect_done(&f.gateway);
	kept = net_connect(gateway_address(&f.gateway, "keeps", 0, address));
	closed = net_connect(gateway_address(&f.gateway, "closes", 0, address));
	net_say(kept, "before");
	net_hear(kept, "before");
	net_say(closed, "before");
	net_hear(closed, "before");
	gateway_kill(&f.gateway);
	configure(&f, "");
	succeed(&f);
	expect_gone(&f);
	ck_assert_int_eq(recv(closed, &byte, 1, 0), 0);
	gateway_expect_number(&f.gateway, "totals/connections", 1);
	net_say(kept, "after");
	net_hear(kept, "after");
	close(kept);
	close(closed);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	load_free(f.load);
	gateway_stop(&f.gateway);
}
END_TEST

static pid_t
kill_one(const struct fixture *f, const char *name)
{
	char comm[32];

	for (size_t i = 0; i < f->gateway.family_count; i++) {
		pid_t pid = f->gateway.family[i];

		proc_comm(pid, comm, sizeof comm);
		if (strcmp(comm, name) == 0 && kill(pid, SIGKILL) == 0)
			return pid;
	}
	ck_abort_msg("there is no %s", name);
	return -1;
}

/* They are succeeded by their holders; or go on alone, if those have died. */
START_TEST(workers_and_holders_die_meanwhile)
{
	struct fixture f;

	fixture_start(&f);
	add_traffic(&f);
	for (unsigned i = 0; i < 6; i++) {
		gateway_kill(&f.gateway);
		(void)kill_one(&f,
		    i % 2 == 0 ? "srvd: worker 0" : "srvd: worker 1");
		load_run(f.load, (int)(i * 13 % 50));
		gateway_begin(&f.gateway);
		load_run(f.load, (int)(i * 7 % 30));
		while (!gateway_is_ready(&f.gateway))
			load_turn(f.load, 2);
		expect_gone(&f);
	}
	finish(&f);
}
END_TEST

START_TEST(lost_worker_is_taken_over)
{
	struct fixture f;
	char address[ADDR_TEXT_SIZE];
	int fds[20];

	fixture_start(&f);
	configure(&f,
	    "service echo {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:echo }\n}\n");
	reload_expect_done(&f.gateway);
	gateway_address(&f.gateway, "echo", 0, address);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = net_connect(address);
		net_say(fds[i], "before");
		net_hear(fds[i], "before");
	}
	gateway_kill(&f.gateway);
	(void)kill_one(&f, "srvd: holder 0");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		net_say(fds[i], "alone");
		net_hear(fds[i], "alone");
	}
	succeed(&f);
	expect_gone(&f);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		net_say(fds[i], "after");
		net_hear(fds[i], "after");
		close(fds[i]);
	}
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	load_free(f.load);
	gateway_stop(&f.gateway);
}
END_TEST

static void
expect_failed_start(struct fixture *f)
{
	int status;

	gateway_begin(&f->gateway);
	while ((status = proc_wait(f->gateway.pid, 0)) < 0)
		load_turn(f->load, 2);
	f->gateway.pid = -1;
	ck_assert_int_eq(status, 1);
}

/* A start that is refused leaves all as it was, again and again. */
START_TEST(broken_configuration_changes_nothing)
{
	static const char broken[] = "service {";
	struct fixture f;
	char taken[ADDR_TEXT_SIZE];
	char more[200];
	int fd;

	fixture_start(&f);
	add_traffic(&f);
	fd = net_listen("127.0.0.1:0", 8, taken);
	gateway_kill(&f.gateway);
	gateway_write(f.gateway.config, broken, sizeof broken - 1);
	expect_failed_start(&f);
	/* This fails later: the bodies have been asked by then. */
	snprintf(more, sizeof more,
	    "service more {\n	listen = \"%s\"\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    taken);
	configure(&f, more);
	for (unsigned i = 0; i < 3; i++) {
		expect_failed_start(&f);
		load_run(f.load, 30);
	}
	for (size_t i = 0; i < f.gateway.family_count; i++)
		ck_assert(proc_is_alive(f.gateway.family[i]));
	configure(&f, "");
	succeed(&f);
	expect_gone(&f);
	expect_addresses(&f);
	close(fd);
	finish(&f);
}
END_TEST

/* While a master lives no other one starts, nor disturbs it. */
START_TEST(living_master_is_not_succeeded)
{
	struct fixture f;
	pid_t pid;

	fixture_start(&f);
	add_traffic(&f);
	pid = f.gateway.pid;
	expect_failed_start(&f);
	f.gateway.pid = pid;
	load_run(f.load, 50);
	finish(&f);
}
END_TEST

/* What comes to a door and is not a master's user is turned away unheard. */
static void
come_as_nobody(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char bytes[64];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	proc_become_nobody();
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		_exit(1);
	_exit(recv(fd, bytes, sizeof bytes, 0) <= 0 ? 0 : 2);
}

START_TEST(strangers_are_turned_away)
{
	struct fixture f;
	char dir[E2E_PATH_SIZE];
	char door[E2E_PATH_SIZE];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		e2e_skip("only root can come as somebody else");
		return;
	}
	fixture_start(&f);
	add_traffic(&f);
	e2e_path(dir, "control.sock.bodies");
	e2e_path(door, "control.sock.bodies/0");
	gateway_kill(&f.gateway);
	for (unsigned i = 0; i < 2; i++) {
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			come_as_nobody(door);
		while (waitpid(pid, &status, WNOHANG) == 0)
			load_turn(f.load, 2);
		ck_assert(WIFEXITED(status));
		/* Neither the directory nor the worker lets it in. */
		ck_assert_int_eq(WEXITSTATUS(status), i == 0 ? 1 : 0);
		ck_assert_int_eq(chmod(dir, i == 0 ? 0711 : 0700), 0);
		ck_assert_int_eq(chmod(door, 0777), 0);
	}
	succeed(&f);
	expect_gone(&f);
	finish(&f);
}
END_TEST

/* Masters that die at any moment of their start. */
START_TEST(killed_while_taking_over)
{
	struct fixture f;

	fixture_start(&f);
	add_traffic(&f);
	gateway_kill(&f.gateway);
	for (unsigned i = 0; i < 40; i++) {
		gateway_begin(&f.gateway);
		load_run(f.load, (int)(i * 11 % 60));
		gateway_kill(&f.gateway);
	}
	succeed(&f);
	expect_gone(&f);
	expect_addresses(&f);
	finish(&f);
}
END_TEST

/* What is stopped after a takeover stops as a whole. */
START_TEST(stop_ends_what_was_taken_over)
{
	struct fixture f;

	fixture_start(&f);
	add_traffic(&f);
	gateway_kill(&f.gateway);
	gateway_begin(&f.gateway);
	while (!gateway_is_ready(&f.gateway))
		load_turn(f.load, 1);
	gateway_stop(&f.gateway);
	expect_gone(&f);
	load_free(f.load);
}
END_TEST

E2E_MAIN("takeover", killed_master_is_succeeded, idle_ones_are_there_afterwards,
    changed_configuration_is_followed, removed_service_is_removed,
    workers_and_holders_die_meanwhile, lost_worker_is_taken_over,
    broken_configuration_changes_nothing, living_master_is_not_succeeded,
    strangers_are_turned_away, killed_while_taking_over,
    stop_ends_what_was_taken_over)
