/*
 * The master dies under checked streams, and another one takes over; nobody
 * who is connected, or connects, notices.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "takeovers.h"

START_TEST(master_killed_under_traffic)
{
	struct takeovers f;
	int64_t generation;
	int64_t accepted;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	for (unsigned i = 0; i < 10; i++) {
		generation = gateway_number(&f.gateway, "generation");
		accepted = gateway_number(&f.gateway, "totals/accepted");
		gateway_kill(&f.gateway);
		load_run(f.load, 20 + (int)(i * 37 % 100));
		takeovers_succeed(&f);
		takeovers_expect_gone(&f);
		takeovers_expect_addresses(&f);
		ck_assert_int_eq(gateway_number(&f.gateway, "generation"),
		    generation + 1);
		ck_assert_int_ge(gateway_number(&f.gateway, "totals/accepted"),
		    accepted);
	}
	takeovers_finish(&f);
}
END_TEST

/* No streams, but a service that answers. */
static void
start_with_echo(struct takeovers *f, char address[ADDR_TEXT_SIZE])
{
	takeovers_start(f, "");
	takeovers_configure(f,
	    "service echo {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:echo }\n}\n");
	reload_expect_done(&f->gateway);
	gateway_address(&f->gateway, "echo", 0, address);
}

static int
open_echo(const char *address)
{
	int fd = net_connect(address);

	net_say(fd, "before");
	net_hear(fd, "before");
	return fd;
}

static void
finish_echo(struct takeovers *f, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		net_say(fds[i], "after");
		net_hear(fds[i], "after");
		close(fds[i]);
	}
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	load_free(f->load);
	gateway_stop(&f->gateway);
}

/* Connections that have nothing to say, or wait for their end. */
START_TEST(idle_ones_are_there_afterwards)
{
	struct takeovers f;
	char address[ADDR_TEXT_SIZE];
	int fds[40];

	start_with_echo(&f, address);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = open_echo(address);
	gateway_kill(&f.gateway);
	net_say(fds[0], "alone");
	net_hear(fds[0], "alone");
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/connections"),
	    ARRAY_LEN(fds));
	finish_echo(&f, fds, ARRAY_LEN(fds));
}
END_TEST

static pid_t
signal_one(const struct takeovers *f, const char *name, int signal)
{
	char comm[32];

	for (size_t i = 0; i < f->gateway.family_count; i++) {
		pid_t pid = f->gateway.family[i];

		proc_comm(pid, comm, sizeof comm);
		if (strcmp(comm, name) == 0 && kill(pid, signal) == 0)
			return pid;
	}
	ck_abort_msg("there is no %s", name);
	return -1;
}

/* They are succeeded by their holders; or go on alone, if those have died. */
START_TEST(workers_killed_as_well)
{
	struct takeovers f;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	for (unsigned i = 0; i < 6; i++) {
		gateway_kill(&f.gateway);
		(void)signal_one(&f,
		    i % 2 == 0 ? "srvd: worker 0" : "srvd: worker 1", SIGKILL);
		load_run(f.load, (int)(i * 13 % 50));
		gateway_begin(&f.gateway);
		load_run(f.load, (int)(i * 7 % 30));
		while (!gateway_is_ready(&f.gateway))
			load_turn(f.load, 2);
		takeovers_expect_gone(&f);
	}
	takeovers_finish(&f);
}
END_TEST

/* They even accept. */
START_TEST(lost_workers_are_taken_over)
{
	struct takeovers f;
	char address[ADDR_TEXT_SIZE];
	int fds[20];

	start_with_echo(&f, address);
	for (size_t i = 0; i < ARRAY_LEN(fds) / 2; i++)
		fds[i] = open_echo(address);
	gateway_kill(&f.gateway);
	(void)signal_one(&f, "srvd: holder 0", SIGKILL);
	(void)signal_one(&f, "srvd: holder 1", SIGKILL);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (i >= ARRAY_LEN(fds) / 2)
			fds[i] = net_connect(address);
		net_say(fds[i], "alone");
		net_hear(fds[i], "alone");
	}
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	finish_echo(&f, fds, ARRAY_LEN(fds));
}
END_TEST

/* Who is succeeded by nobody takes its connections along, and no others. */
START_TEST(lost_worker_dies)
{
	struct takeovers f;
	char address[ADDR_TEXT_SIZE];
	int fds[20];
	int64_t ended = 0;
	int64_t expected;
	pid_t worker;

	start_with_echo(&f, address);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = open_echo(address);
	expected = gateway_number(&f.gateway, "workers/0/connections");
	gateway_kill(&f.gateway);
	(void)signal_one(&f, "srvd: holder 0", SIGKILL);
	(void)signal_one(&f, "srvd: holder 1", SIGKILL);
	worker = signal_one(&f, "srvd: worker 0", SIGKILL);
	while (proc_is_alive(worker))
		e2e_pause(1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (net_is_silent(fds[i], 10))
			continue;
		ended++;
		close(fds[i]);
		fds[i] = open_echo(address);
	}
	ck_assert_int_eq(ended, expected);
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	finish_echo(&f, fds, ARRAY_LEN(fds));
}
END_TEST

/* A worker that hangs answers no door; the watchdog has it succeeded by one
 * that does. */
START_TEST(hung_workers_are_waited_for)
{
	struct takeovers f;

	takeovers_start(&f, "watchdog = 2500ms\n");
	takeovers_add_traffic(&f);
	gateway_kill(&f.gateway);
	(void)signal_one(&f, "srvd: worker 0", SIGSTOP);
	(void)signal_one(&f, "srvd: worker 1", SIGSTOP);
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	takeovers_finish(&f);
}
END_TEST

/* A start that is refused leaves all as it was, again and again. */
START_TEST(broken_configuration)
{
	static const char broken[] = "service {";
	struct takeovers f;
	char taken[ADDR_TEXT_SIZE];
	char more[200];
	int fd;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	fd = net_listen("127.0.0.1:0", 8, taken);
	gateway_kill(&f.gateway);
	gateway_write(f.gateway.config, broken, sizeof broken - 1);
	takeovers_expect_failed_start(&f);
	/* This fails later: the bodies have been asked by then. */
	snprintf(more, sizeof more,
	    "service more {\n	listen = \"%s\"\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    taken);
	takeovers_configure(&f, more);
	for (unsigned i = 0; i < 3; i++) {
		takeovers_expect_failed_start(&f);
		load_run(f.load, 30);
	}
	for (size_t i = 0; i < f.gateway.family_count; i++)
		ck_assert(proc_is_alive(f.gateway.family[i]));
	takeovers_configure(&f, "");
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	takeovers_expect_addresses(&f);
	close(fd);
	takeovers_finish(&f);
}
END_TEST

/* Masters that die at any moment of their start. */
START_TEST(killed_while_taking_over)
{
	struct takeovers f;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	gateway_kill(&f.gateway);
	for (unsigned i = 0; i < 40; i++) {
		gateway_begin(&f.gateway);
		load_run(f.load, (int)(i * 11 % 60));
		gateway_kill(&f.gateway);
	}
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	takeovers_expect_addresses(&f);
	takeovers_finish(&f);
}
END_TEST

/* What is stopped after a takeover stops as a whole. */
START_TEST(stop_ends_what_was_taken_over)
{
	struct takeovers f;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	gateway_kill(&f.gateway);
	gateway_begin(&f.gateway);
	while (!gateway_is_ready(&f.gateway))
		load_turn(f.load, 1);
	gateway_stop(&f.gateway);
	takeovers_expect_gone(&f);
	load_free(f.load);
}
END_TEST

E2E_MAIN("takeover", master_killed_under_traffic,
    idle_ones_are_there_afterwards, workers_killed_as_well,
    lost_workers_are_taken_over, lost_worker_dies, hung_workers_are_waited_for,
    broken_configuration, killed_while_taking_over,
    stop_ends_what_was_taken_over)
