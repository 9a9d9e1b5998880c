/*
 * A thousand services with ten backends each, and thousands of connections to
 * list: nothing takes long.  What is measured is printed; it fails at three
 * times what is promised, since a test's machine has other things to do.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define SERVICES    1000
#define BACKENDS    10
#define CONNECTIONS 8000
#define TEXT_MAX    ((size_t)2 << 20)

/* What is promised, in milliseconds. */
#define START_MS  1000
#define RELOAD_MS 1000
#define STATUS_MS 100
#define LIST_MS   200

static void
expect_fast(const char *what, uint64_t start_ms, uint64_t promised_ms)
{
	uint64_t took_ms = e2e_now_ms() - start_ms;

	printf("%s: %llu ms, %llu are promised\n", what,
	    (unsigned long long)took_ms, (unsigned long long)promised_ms);
	ck_assert_msg(took_ms <= 3 * promised_ms * E2E_SLOWNESS,
	    "%s took %llu ms", what, (unsigned long long)took_ms);
}

/* Services number first to first + SERVICES. */
static void
configure(const struct gateway *g, unsigned first, const char *backend)
{
	char *text = malloc(TEXT_MAX);
	size_t at = 0;

	ck_assert_ptr_nonnull(text);
	for (unsigned i = first; i < first + SERVICES; i++) {
		at += (size_t)snprintf(text + at, TEXT_MAX - at,
		    "service s%u {\n	listen = {\"127.0.0.1:0\"}\n", i);
		for (unsigned b = 0; b < BACKENDS; b++)
			at += (size_t)snprintf(text + at, TEXT_MAX - at,
			    "	backend b%u { address = \"%s\" }\n", b,
			    backend);
		at += (size_t)snprintf(text + at, TEXT_MAX - at, "}\n");
	}
	ck_assert_uint_lt(at, TEXT_MAX - 1);
	gateway_configure(g, "%s", text);
	free(text);
}

static bool
may_open(rlim_t wanted)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return true;
	e2e_skip("%lu descriptors are wanted, and %lu allowed",
	    (unsigned long)wanted, (unsigned long)limit.rlim_cur);
	return false;
}

static void
expect_answer(const struct gateway *g, const char *service)
{
	char address[ADDR_TEXT_SIZE];
	int fd = net_connect(gateway_address(g, service, 0, address));

	net_say(fd, "hello");
	net_hear(fd, "hello");
	close(fd);
}

static void
time_status(const struct gateway *g, const char *what)
{
	uint64_t start_ms = e2e_now_ms();
	json_t *status = gateway_status(g);

	expect_fast(what, start_ms, STATUS_MS);
	ck_assert_uint_eq(json_array_size(json_object_get(status, "services")),
	    SERVICES);
	ck_assert_uint_eq(json_array_size(json_object_get(status, "listeners")),
	    SERVICES);
	json_decref(status);
}

static void
time_reload(const struct gateway *g, const char *what, unsigned changes)
{
	uint64_t start_ms = e2e_now_ms();
	json_t *reply = reload_ask(g, false);

	expect_fast(what, start_ms, RELOAD_MS);
	ck_assert(reload_is_done(reply));
	ck_assert_uint_eq(reload_count(json_object_get(reply, "parameters"),
			      "added", "service"),
	    changes);
	json_decref(reply);
}

START_TEST(thousand_services)
{
	struct gateway g;
	uint64_t start_ms;

	if (!may_open(8000))
		return;
	gateway_init(&g);
	configure(&g, 0, "builtin:echo");
	start_ms = e2e_now_ms();
	gateway_run(&g);
	expect_fast("start", start_ms, START_MS);
	time_status(&g, "status");
	expect_answer(&g, "s0");
	expect_answer(&g, "s999");

	time_reload(&g, "reload of nothing new", 0);
	configure(&g, 1, "builtin:echo");
	time_reload(&g, "reload, one service replaced", 1);
	expect_answer(&g, "s1000");
	configure(&g, 500, "builtin:echo");
	time_reload(&g, "reload, half of the services replaced", 499);
	time_status(&g, "status after that");
	expect_answer(&g, "s1499");
	expect_answer(&g, "s500");
	(void)gateway_signal_worker(&g, 0, SIGKILL);
	configure(&g, 501, "builtin:echo");
	time_reload(&g, "reload just after a death", 1);
	gateway_stop(&g);
}
END_TEST

/* All of the reply to ListConnections: how many there are. */
static size_t
list_all(const struct gateway *g)
{
	struct client client;
	size_t count = 0;
	bool more = true;

	ck_assert_int_eq(client_open(&client, g->control), 0);
	ck_assert_int_eq(client_call(&client, "ListConnections", NULL, true),
	    0);
	while (more) {
		json_t *reply = client_hear(&client, NET_TIMEOUT_MS);
		const json_t *batch =
		    json_object_get(json_object_get(reply, "parameters"),
			"connections");

		ck_assert_msg(json_is_array(batch), "no list but: %s",
		    json_dumps(reply, 0));
		ck_assert_uint_le(json_array_size(batch), 100);
		count += json_array_size(batch);
		more = json_is_true(json_object_get(reply, "continues"));
		json_decref(reply);
	}
	client_close(&client);
	return count;
}

START_TEST(thousands_of_connections)
{
	const struct load_spec spec = {
	    "held", LOAD_BOTH, .up = 1000, .down = 1000, .hold = true};
	struct gateway g;
	struct load *load;
	char backend[ADDR_TEXT_SIZE];
	char address[ADDR_TEXT_SIZE];
	uint64_t start_ms;
	json_t *reply;

	if (!may_open(2 * CONNECTIONS + 500))
		return;
	load = load_new();
	load_listen(load, "127.0.0.1:0", backend);
	gateway_init(&g);
	g.globals = "max_connections = 9000\n";
	configure(&g, 0, backend);
	gateway_run(&g);
	load_add(load, gateway_address(&g, "s7", 0, address), &spec,
	    CONNECTIONS, CONNECTIONS);
	start_ms = e2e_now_ms();
	while (gateway_number(&g, "totals/connections") < CONNECTIONS) {
		ck_assert_msg(e2e_now_ms() - start_ms < 30000,
		    "not all connections are made: %s",
		    load_counts(load)->errors);
		load_run(load, 100);
	}
	load_run(load, 300);
	start_ms = e2e_now_ms();
	ck_assert_uint_eq(list_all(&g), CONNECTIONS);
	expect_fast("list of 8000 connections", start_ms, LIST_MS);
	time_status(&g, "status with 8000 connections");
	configure(&g, 5, backend);
	time_reload(&g, "reload with 8000 connections", 5);

	start_ms = e2e_now_ms();
	reply = gateway_call(&g, "CloseConnections",
	    "{\"filter\":{\"service\":\"s7\"}}");
	printf("closing %d connections: %llu ms\n", CONNECTIONS,
	    (unsigned long long)(e2e_now_ms() - start_ms));
	ck_assert_int_eq(json_integer_value(json_object_get(
			     json_object_get(reply, "parameters"), "closed")),
	    CONNECTIONS);
	json_decref(reply);
	gateway_expect_number(&g, "totals/connections", 0);
	load_free(load);
	gateway_stop(&g);
}
END_TEST

E2E_MAIN("scale_config", thousand_services, thousands_of_connections)
