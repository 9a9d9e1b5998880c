/*
 * A worker that somebody else has taken over: the master and the other worker
 * go on, and status says which one is broken.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "hostile/hostile.h"
#include "net.h"
#include "proc.h"

/* Of so many connections the kernel gives some to the good worker. */
#define CONNECTIONS 24

/* What a status call may take while worker 0 does its worst; the machine is
 * busy with it, too. */
#define STATUS_MS 1500

struct attacked {
	struct gateway gateway;
	pid_t good;
	char address[ADDR_TEXT_SIZE];
};

static void
attacked_start(struct attacked *a, int way)
{
	char program[512];

	snprintf(program, sizeof program, "%s_%d", HOSTILE_PROGRAM, way);
	setenv("SRVD_BIN", program, 1);
	gateway_init(&a->gateway);
	a->gateway.workers = 2;
	gateway_start(&a->gateway,
	    "service echo {\n"
	    "\tlisten = {127.0.0.1:0}\n"
	    "\tbackend self { address = builtin:echo }\n"
	    "}\n");
	a->good = gateway_worker(&a->gateway, 1);
	gateway_address(&a->gateway, "echo", 0, a->address);
}

static void
expect_hello(int fd)
{
	char word[6];

	net_receive(fd, word, 5);
	ck_assert_int_eq(memcmp(word, "hello", 5), 0);
}

/* The good worker's share of connections is served, byte for byte. */
static void
expect_service(const struct attacked *a)
{
	unsigned served = 0;
	int fds[CONNECTIONS];

	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = net_connect(a->address);
		net_send(fds[i], "hello", 5);
	}
	e2e_pause(300);
	for (int i = 0; i < CONNECTIONS; i++) {
		if (!net_is_silent(fds[i], 1)) {
			expect_hello(fds[i]);
			served++;
		}
		close(fds[i]);
	}
	ck_assert_msg(served >= 3, "%u of %u connections were served", served,
	    CONNECTIONS);
}

/* The master answers, is the same, and so is the good worker. */
static void
expect_health(const struct attacked *a)
{
	uint64_t begun = e2e_now_ms();
	json_t *status = gateway_status(&a->gateway);

	ck_assert_ptr_nonnull(status);
	ck_assert_msg(e2e_now_ms() - begun < STATUS_MS, "status took %d ms",
	    (int)(e2e_now_ms() - begun));
	ck_assert_int_eq(json_integer_value(gateway_find(status, "pid")),
	    a->gateway.pid);
	ck_assert_int_eq(json_integer_value(gateway_find(status,
			     "workers/1/pid")),
	    a->good);
	ck_assert_int_eq(json_integer_value(gateway_find(status,
			     "workers/1/respawns")),
	    0);
	ck_assert_ptr_null(json_object_get(gateway_find(status, "workers/1"),
	    "fault"));
	json_decref(status);
}

static bool
tells_fault(void *arg)
{
	const struct attacked *a = arg;
	json_t *status = gateway_status(&a->gateway);
	const char *fault;
	bool told;

	if (status == NULL)
		return false;
	fault =
	    json_string_value(json_object_get(gateway_find(status, "workers/0"),
		"fault"));
	told = fault != NULL && strstr(fault, "damaged") != NULL;
	json_decref(status);
	return told;
}

static void
expect_survival(const struct attacked *a)
{
	for (int i = 0; i < 5; i++) {
		expect_health(a);
		expect_service(a);
	}
}

START_TEST(body_is_emptied)
{
	struct attacked a;

	attacked_start(&a, HOSTILE_TRUNCATE);
	ck_assert_msg(e2e_wait(tells_fault, &a, 5000),
	    "status does not say that the body of worker 0 is broken");
	expect_survival(&a);
	gateway_stop(&a.gateway);
}
END_TEST

START_TEST(body_is_scribbled_over)
{
	struct attacked a;

	attacked_start(&a, HOSTILE_SCRIBBLE);
	ck_assert_msg(e2e_wait(tells_fault, &a, 5000),
	    "status does not say that the body of worker 0 is broken");
	expect_survival(&a);
	gateway_stop(&a.gateway);
}
END_TEST

/* It may be seen while it has just received a hundred. */
static bool
keeps_nothing(void *arg)
{
	const struct attacked *a = arg;

	return proc_fds(a->gateway.pid) < 60;
}

START_TEST(channel_is_flooded)
{
	struct attacked a;

	attacked_start(&a, HOSTILE_FLOOD);
	e2e_pause(600);
	expect_survival(&a);
	ck_assert_msg(e2e_wait(keeps_nothing, &a, 5000),
	    "the master keeps what a worker passes to it: %d descriptors",
	    proc_fds(a.gateway.pid));
	gateway_stop(&a.gateway);
}
END_TEST

START_TEST(worker_only_crashes)
{
	struct attacked a;

	attacked_start(&a, HOSTILE_CRASH);
	expect_survival(&a);
	ck_assert_int_gt(gateway_number(&a.gateway, "workers/0/respawns"), 0);
	gateway_stop(&a.gateway);
}
END_TEST

static void
expect_end_of_deafness(int way)
{
	struct attacked a;
	uint64_t begun;
	uint64_t spent;

	attacked_start(&a, way);
	e2e_pause(400);
	begun = proc_cpu_ms(a.gateway.pid);
	e2e_pause(800);
	spent = proc_cpu_ms(a.gateway.pid) - begun;
	ck_assert_msg(spent < 400, "the master spins: %d ms", (int)spent);
	/* So that there is something to tell it. */
	json_decref(gateway_call(&a.gateway, "io.srvd.Control.SetLogLevel",
	    "{\"level\":\"debug\"}"));
	ck_assert_msg(e2e_wait(tells_fault, &a, 8000),
	    "status does not say that the channel of worker 0 was shut");
	expect_survival(&a);
	gateway_stop(&a.gateway);
}

START_TEST(channel_is_shut)
{
	expect_end_of_deafness(HOSTILE_SHUT);
}
END_TEST

START_TEST(channel_is_not_heard)
{
	expect_end_of_deafness(HOSTILE_DEAF);
}
END_TEST

E2E_MAIN("hostile", body_is_emptied, body_is_scribbled_over, channel_is_flooded,
    worker_only_crashes, channel_is_shut, channel_is_not_heard)
