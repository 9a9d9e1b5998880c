/*
 * Connections listed as they are, and closed because somebody asked for it:
 * those that are meant, all of them, and no others, whoever dies meanwhile.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"
#include "client.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"

#define WORKERS 2
#define MANY    60

struct fixture {
	struct gateway gateway;
	struct backend b;
};

static void
fixture_start(struct fixture *f)
{
	backend_open(&f->b);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	gateway_start(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service echo {\n	listen = {\"127.0.0.1:0\", \"unix:%s/in\"}\n"
	    "	backend e { address = builtin:echo }\n}\n",
	    f->b.address, e2e_dir());
}

static void
fixture_stop(struct fixture *f)
{
	gateway_stop(&f->gateway);
	backend_close_all(&f->b, 1);
}

/* The list of what matches, in one array that the caller releases. */
static json_t *
list(const struct fixture *f, const char *filter)
{
	json_t *all = json_array();
	struct client client;
	bool more = true;

	ck_assert_int_eq(client_open(&client, f->gateway.control), 0);
	ck_assert_int_eq(client_call(&client, "ListConnections", filter, true),
	    0);
	while (more) {
		json_t *reply = client_hear(&client, NET_TIMEOUT_MS);
		json_t *batch =
		    json_object_get(json_object_get(reply, "parameters"),
			"connections");

		ck_assert_msg(json_is_array(batch), "no list but %s",
		    json_dumps(reply, 0));
		json_array_extend(all, batch);
		more = json_is_true(json_object_get(reply, "continues"));
		json_decref(reply);
	}
	client_close(&client);
	return all;
}

static size_t
count(const struct fixture *f, const char *filter)
{
	json_t *all = list(f, filter);
	size_t size = json_array_size(all);

	json_decref(all);
	return size;
}

/* How many were closed; -1: refused. */
static int64_t
closed(const struct fixture *f, const char *parameters)
{
	json_t *reply =
	    gateway_call(&f->gateway, "CloseConnections", parameters);
	const json_t *number =
	    json_object_get(json_object_get(reply, "parameters"), "closed");
	int64_t result =
	    json_is_integer(number) ? json_integer_value(number) : -1;

	json_decref(reply);
	return result;
}

static void
expect_text(const json_t *row, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(row, key));

	ck_assert_msg(text != NULL && strcmp(text, expected) == 0,
	    "%s is %s, not %s", key, text, expected);
}

static void
expect_address(const json_t *row, const char *key, int fd, bool peer)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof ss;
	struct addr addr;
	char text[ADDR_TEXT_SIZE];

	ck_assert_int_eq((peer ? getpeername : getsockname)(fd,
			     (struct sockaddr *)&ss, &length),
	    0);
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss, length);
	addr_format(&addr, text);
	expect_text(row, key, text);
}

/* The only connection, once it has so many bytes down: a worker counts what
 * it has moved after the client may have read it. */
static json_t *
list_when_down(const struct fixture *f, size_t bytes)
{
	uint64_t end_ms = e2e_now_ms() + 5000;
	json_t *all = list(f, NULL);
	int64_t down;

	for (;;) {
		ck_assert_uint_eq(json_array_size(all), 1);
		down =
		    json_integer_value(json_object_get(json_array_get(all, 0),
			"bytes_down"));
		if (down == (int64_t)bytes)
			return all;
		ck_assert_msg(e2e_now_ms() < end_ms, "%lld bytes down, not %zu",
		    (long long)down, bytes);
		json_decref(all);
		e2e_pause(5);
		all = list(f, NULL);
	}
}

START_TEST(listed_as_they_are)
{
	struct fixture f;
	json_t *all;
	const json_t *row;
	int client;
	int server;

	fixture_start(&f);
	ck_assert_uint_eq(count(&f, NULL), 0);
	client = backend_connect_service(&f.gateway);
	server = net_accept(f.b.listen_fd);
	net_say(client, "question");
	net_hear(server, "question");
	net_say(server, "an answer");
	net_hear(client, "an answer");
	all = list_when_down(&f, strlen("an answer"));
	row = json_array_get(all, 0);
	expect_text(row, "service", "s");
	expect_text(row, "backend", "b");
	expect_text(row, "state", "relaying");
	expect_address(row, "client", client, false);
	expect_address(row, "local", client, true);
	expect_address(row, "source", server, true);
	expect_address(row, "server", server, false);
	ck_assert_int_eq(json_integer_value(json_object_get(row, "bytes_up")),
	    strlen("question"));
	json_decref(all);
	close(client);
	close(server);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	ck_assert_uint_eq(count(&f, NULL), 0);
	fixture_stop(&f);
}
END_TEST

static void
open_many(const struct fixture *f, const char *service, int fds[MANY])
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&f->gateway, service, 0, address);
	for (int i = 0; i < MANY; i++) {
		fds[i] = net_connect(address);
		net_say(fds[i], "x");
		net_hear(fds[i], "x");
	}
}

START_TEST(those_that_are_meant)
{
	struct fixture f;
	char path[E2E_PATH_SIZE + 8];
	char filter[128];
	json_t *all;
	int fds[MANY];
	int other;

	fixture_start(&f);
	open_many(&f, "echo", fds);
	snprintf(path, sizeof path, "unix:%s/in", e2e_dir());
	other = net_connect(path);
	net_say(other, "x");
	net_hear(other, "x");
	ck_assert_uint_eq(count(&f, NULL), MANY + 1);
	ck_assert_uint_eq(count(&f, "{\"filter\":{\"service\":\"s\"}}"), 0);
	ck_assert_uint_eq(count(&f,
			      "{\"filter\":{\"client\":\"127.0.0.0/8\"}}"),
	    MANY);
	ck_assert_uint_eq(count(&f, "{\"filter\":{\"client\":\"10.0.0.0/8\"}}"),
	    0);
	ck_assert_uint_eq(count(&f, "{\"filter\":{\"age_s\":3600}}"), 0);
	ck_assert_uint_eq(count(&f, "{\"filter\":{\"state\":\"relaying\"}}"),
	    MANY + 1);

	all = list(&f, "{\"filter\":{\"client\":\"unix\"}}");
	ck_assert_uint_eq(json_array_size(all), 1);
	snprintf(filter, sizeof filter, "{\"filter\":{\"id\":%lld}}",
	    (long long)json_integer_value(json_object_get(json_array_get(all,
							      0),
		"id")));
	json_decref(all);
	ck_assert_int_eq(closed(&f, filter), 1);
	net_expect_end(other, NET_CLOSED);
	ck_assert_int_eq(closed(&f, filter), 0);
	ck_assert_int_eq(closed(&f, "{\"filter\":{}}"), -1);
	net_say(fds[MANY - 1], "all others are open");
	net_hear(fds[MANY - 1], "all others are open");

	ck_assert_int_eq(closed(&f,
			     "{\"filter\":{\"service\":\"echo\"},"
			     "\"reset\":true}"),
	    MANY);
	for (int i = 0; i < MANY; i++) {
		net_expect_end(fds[i], NET_RESET);
		close(fds[i]);
	}
	close(other);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	fixture_stop(&f);
}
END_TEST

/* Workers die while they close: none is left open, none is counted twice, and
 * those of the other service stay. */
START_TEST(closed_while_workers_die)
{
	static const char call[] = "{\"filter\":{\"service\":\"echo\"}}";
	struct fixture f;
	struct client client;
	json_t *reply;
	int fds[MANY];
	int kept;
	int server;

	fixture_start(&f);
	kept = backend_connect_service(&f.gateway);
	server = net_accept(f.b.listen_fd);
	for (unsigned round = 0; round < 40; round++) {
		pid_t old = gateway_worker(&f.gateway, round % WORKERS);

		open_many(&f, "echo", fds);
		ck_assert_int_eq(client_open(&client, f.gateway.control), 0);
		ck_assert_int_eq(client_call(&client, "CloseConnections", call,
				     false),
		    0);
		/* From before it has heard of it to after the last one. */
		for (unsigned spin = 0; spin < round * round * 10; spin++)
			(void)getppid();
		ck_assert_int_eq(kill(old, SIGKILL), 0);
		reply = client_hear(&client, NET_TIMEOUT_MS);
		ck_assert_ptr_nonnull(reply);
		ck_assert_int_eq(json_integer_value(gateway_find(reply,
				     "parameters/closed")),
		    MANY);
		json_decref(reply);
		client_close(&client);
		for (int i = 0; i < MANY; i++) {
			net_expect_end(fds[i], NET_CLOSED);
			close(fds[i]);
		}
		gateway_expect_successor(&f.gateway, round % WORKERS, old);
		gateway_expect_number(&f.gateway, "totals/connections", 1);
	}
	backend_check_pair(kept, server);
	close(kept);
	close(server);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("connections", listed_as_they_are, those_that_are_meant,
    closed_while_workers_die)
