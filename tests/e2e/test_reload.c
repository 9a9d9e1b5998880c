/*
 * What a reload does to connections: those of a removed service or backend,
 * of changed limits and timeouts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define OTHER                                            \
	"service other {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend e { address = builtin:echo }\n}\n"

struct fixture {
	struct gateway gateway;
	struct backend b[2];
	char access[E2E_PATH_SIZE];
};

static void
fixture_init(struct fixture *f)
{
	backend_open(&f->b[0]);
	backend_open(&f->b[1]);
	gateway_init(&f->gateway);
	f->gateway.access = e2e_path(f->access, "access.log");
	(void)unlink(f->access);
}

static void
fixture_stop(struct fixture *f)
{
	gateway_stop(&f->gateway);
	backend_close_all(f->b, ARRAY_LEN(f->b));
}

/* A connection of the service s and the backend it came to. */
struct through {
	int client;
	int server;
	size_t which;
};

static struct through
open_through(struct fixture *f)
{
	struct through t;

	t.client = backend_connect_service(&f->gateway);
	t.server = backend_accept_any(f->b, ARRAY_LEN(f->b), &t.which);
	backend_check_pair(t.client, t.server);
	return t;
}

static void
close_through(struct through *t)
{
	close(t->client);
	close(t->server);
}

static void
expect_logged(const struct fixture *f, const char *words)
{
	static char text[1 << 16];
	uint64_t end_ms = e2e_now_ms() + 5000;

	do {
		proc_read_file(f->access, text, sizeof text);
		if (strstr(text, words) != NULL)
			return;
		e2e_pause(10);
	} while (e2e_now_ms() < end_ms);
	ck_abort_msg("no \"%s\" in the access log: %s", words, text);
}

/* The change of that kind to the object of that name in a reload's reply. */
static json_t *
find_change(json_t *parameters, const char *kind, const char *object,
    const char *name)
{
	size_t i;
	json_t *change;

	json_array_foreach(json_object_get(parameters, "changes"), i, change)
	{
		const char *its[3] = {
		    json_string_value(json_object_get(change, "kind")),
		    json_string_value(json_object_get(change, "object")),
		    json_string_value(json_object_get(change, "name"))};

		if (strcmp(its[0], kind) == 0 && strcmp(its[1], object) == 0 &&
		    strcmp(its[2], name) == 0)
			return change;
	}
	ck_abort_msg("no %s %s %s among the changes: %s", kind, object, name,
	    json_dumps(parameters, 0));
	return NULL;
}

/* What on_remove makes of a connection. */
typedef void policy_fn(struct fixture *f, struct through *t);

static void
is_kept(struct fixture *f, struct through *t)
{
	(void)f;
	e2e_pause(1500); /* longer than drain waits */
	backend_check_pair(t->client, t->server);
}

static void
is_drained(struct fixture *f, struct through *t)
{
	uint64_t start_ms;
	uint64_t took_ms;

	for (int i = 0; i < 10; i++) { /* not while bytes move */
		backend_check_pair(t->client, t->server);
		e2e_pause(200);
	}
	start_ms = e2e_now_ms();
	ck_assert_int_ne(net_end_within(t->client, 8000), NET_OPEN);
	took_ms = e2e_now_ms() - start_ms;
	ck_assert_msg(took_ms >= 600, "closed after only %llu ms",
	    (unsigned long long)took_ms);
	ck_assert_int_ne(net_end_within(t->server, 1000), NET_OPEN);
	expect_logged(f, "reason=removed");
}

/* Whatever moves. */
static void
is_closed(struct fixture *f, struct through *t)
{
	uint64_t end_ms = e2e_now_ms() + 5000;

	do {
		ck_assert_msg(e2e_now_ms() < end_ms, "it is still open");
		(void)send(t->server, "x", 1, MSG_NOSIGNAL);
	} while (net_end_within(t->client, 50) == NET_OPEN);
	ck_assert_int_ne(net_end_within(t->server, 1000), NET_OPEN);
	expect_logged(f, "reason=removed");
}

struct policy {
	const char *word;
	policy_fn *check;
	bool stays;
};

static const struct policy policies[] = {
    {"keep", is_kept, true},
    {"drain", is_drained, false},
    {"close", is_closed, false},
};

static void
configure_service(struct fixture *f, const char *policy)
{
	gateway_configure(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	on_remove = %s\n"
	    "	backend a { address = \"%s\" }\n}\n" OTHER,
	    policy, f->b[0].address);
}

/* The reply says what becomes of the one connection; releases it. */
static void
check_removed(json_t *parameters, const char *object, const char *name,
    const char *policy)
{
	const json_t *change = find_change(parameters, "removed", object, name);
	const json_t *connections = json_object_get(change, "connections");

	ck_assert_str_eq(json_string_value(json_object_get(change, "action")),
	    policy);
	ck_assert_int_eq(json_integer_value(connections), 1);
	json_decref(parameters);
}

static void
remove_service(const struct policy *policy)
{
	struct fixture f;
	struct through t;
	char address[ADDR_TEXT_SIZE];

	fixture_init(&f);
	configure_service(&f, policy->word);
	gateway_run(&f.gateway);
	t = open_through(&f);
	gateway_address(&f.gateway, "s", 0, address);
	gateway_configure(&f.gateway, OTHER);
	check_removed(reload_expect_changes(&f.gateway), "service", "s",
	    policy->word);
	ck_assert_int_eq(net_try_connect(address), -ECONNREFUSED);
	policy->check(&f, &t);
	gateway_expect_number(&f.gateway, "totals/connections", policy->stays);

	/* It comes back, and with it what is its own. */
	configure_service(&f, policy->word);
	reload_expect_done(&f.gateway);
	ck_assert_int_eq(gateway_number(&f.gateway, "services/s/connections"),
	    policy->stays);
	if (policy->stays)
		backend_check_pair(t.client, t.server);
	close_through(&t);
	gateway_expect_number(&f.gateway, "services/s/connections", 0);
	t = open_through(&f);
	ck_assert_int_eq(gateway_number(&f.gateway, "services/s/connections"),
	    1);
	close_through(&t);
	fixture_stop(&f);
}

START_TEST(removed_service)
{
	for (size_t i = 0; i < ARRAY_LEN(policies); i++)
		remove_service(&policies[i]);
}
END_TEST

static void
configure_backends(struct fixture *f, const char *policy, bool both)
{
	char second[ADDR_TEXT_SIZE + 64] = "";

	if (both)
		snprintf(second, sizeof second,
		    "	backend b { address = \"%s\" }\n", f->b[1].address);
	gateway_configure(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	on_remove = %s\n	balance = leastconn\n"
	    "	backend a { address = \"%s\" }\n%s}\n" OTHER,
	    policy, f->b[0].address, second);
}

/* One connection through each backend. */
static void
open_two(struct fixture *f, struct through t[2])
{
	struct through one = open_through(f);

	t[one.which] = one;
	one = open_through(f);
	t[one.which] = one;
	ck_assert_uint_eq(f->b[0].came, 1);
}

static void
remove_backend(const struct policy *policy)
{
	struct fixture f;
	struct through t[2];
	struct through late;

	fixture_init(&f);
	configure_backends(&f, policy->word, true);
	gateway_run(&f.gateway);
	open_two(&f, t);
	configure_backends(&f, policy->word, false);
	check_removed(reload_expect_changes(&f.gateway), "backend", "b",
	    policy->word);
	policy->check(&f, &t[1]);
	backend_check_pair(t[0].client, t[0].server);
	for (int i = 0; i < 6; i++) {
		late = open_through(&f);
		ck_assert_uint_eq(late.which, 0);
		close_through(&late);
	}
	close_through(&t[0]);
	close_through(&t[1]);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	fixture_stop(&f);
}

START_TEST(removed_backend)
{
	for (size_t i = 0; i < ARRAY_LEN(policies); i++)
		remove_backend(&policies[i]);
}
END_TEST

/* Names come and go while connections of theirs stay: none ever becomes
 * another's. */
START_TEST(names_come_and_go)
{
	struct fixture f;
	struct through t[6];

	fixture_init(&f);
	configure_service(&f, "keep");
	gateway_run(&f.gateway);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		t[i] = open_through(&f);
		gateway_configure(&f.gateway,
		    "service n%zu {\n	listen = {\"127.0.0.1:0\"}\n"
		    "	backend e%zu { address = builtin:echo }\n}\n",
		    i, i);
		reload_expect_done(&f.gateway);
		configure_service(&f, "keep");
		reload_expect_done(&f.gateway);
		ck_assert_int_eq(gateway_number(&f.gateway,
				     "services/s/connections"),
		    (int64_t)i + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		backend_check_pair(t[i].client, t[i].server);
		close_through(&t[i]);
	}
	gateway_expect_number(&f.gateway, "services/s/connections", 0);
	ck_assert_int_eq(gateway_number(&f.gateway, "services/s/accepted"),
	    ARRAY_LEN(t));
	fixture_stop(&f);
}
END_TEST

static void
configure_limits(struct fixture *f, const char *all, unsigned of_service)
{
	f->gateway.globals = all;
	gateway_configure(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = %u\n"
	    "	backend a { address = \"%s\" }\n}\n",
	    of_service, f->b[0].address);
}

/* Who waited for want of room gets in; who is in stays when there is less. */
START_TEST(limits_are_raised_and_lowered)
{
	struct fixture f;
	struct through t[4];
	int waiting;

	fixture_init(&f);
	configure_limits(&f, "max_connections = 2\n", 0);
	gateway_run(&f.gateway);
	t[0] = open_through(&f);
	t[1] = open_through(&f);
	waiting = backend_connect_service(&f.gateway);
	ck_assert_int_eq(net_accept_within(f.b[0].listen_fd, 200), -1);
	configure_limits(&f, "max_connections = 3000\n", 3);
	reload_expect_done(&f.gateway);
	t[2].client = waiting;
	t[2].server = net_accept(f.b[0].listen_fd);
	backend_check_pair(t[2].client, t[2].server);

	waiting = backend_connect_service(&f.gateway); /* the service's limit */
	ck_assert_int_eq(net_accept_within(f.b[0].listen_fd, 200), -1);
	configure_limits(&f, "max_connections = 3000\n", 4);
	reload_expect_done(&f.gateway);
	t[3].client = waiting;
	t[3].server = net_accept(f.b[0].listen_fd);

	configure_limits(&f, "max_connections = 1\n", 0);
	reload_expect_done(&f.gateway);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		backend_check_pair(t[i].client, t[i].server);
		close_through(&t[i]);
	}
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	t[0] = open_through(&f);
	waiting = backend_connect_service(&f.gateway);
	ck_assert_int_eq(net_accept_within(f.b[0].listen_fd, 200), -1);
	close(waiting);
	close_through(&t[0]);
	fixture_stop(&f);
}
END_TEST

static void
configure_timeout(struct fixture *f, const char *timeout)
{
	gateway_configure(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	idle_timeout = %s\n"
	    "	backend a { address = \"%s\" }\n}\n",
	    timeout, f->b[0].address);
}

START_TEST(timeouts_change_for_open_connections)
{
	struct fixture f;
	struct through t;

	fixture_init(&f);
	configure_timeout(&f, "1500ms");
	gateway_run(&f.gateway);
	t = open_through(&f);
	configure_timeout(&f, "1h");
	reload_expect_done(&f.gateway);
	e2e_pause(2500);
	backend_check_pair(t.client, t.server);
	configure_timeout(&f, "400ms");
	reload_expect_done(&f.gateway);
	ck_assert_int_ne(net_end_within(t.client, 5000), NET_OPEN);
	expect_logged(&f, "reason=idle");
	close_through(&t);
	fixture_stop(&f);
}
END_TEST

/* A backend's name with another address: new connections go there, old ones
 * stay where they are. */
START_TEST(backend_moves)
{
	struct fixture f;
	struct through old;
	struct through new;
	json_t *parameters;

	fixture_init(&f);
	configure_service(&f, "close");
	gateway_run(&f.gateway);
	old = open_through(&f);
	gateway_configure(&f.gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	on_remove = close\n"
	    "	backend a { address = \"%s\" }\n}\n" OTHER,
	    f.b[1].address);
	parameters = reload_expect_changes(&f.gateway);
	(void)find_change(parameters, "changed", "backend", "a");
	ck_assert_uint_eq(reload_count(parameters, "removed", "backend"), 0);
	json_decref(parameters);
	new = open_through(&f);
	ck_assert_uint_eq(new.which, 1);
	backend_check_pair(old.client, old.server);
	ck_assert_int_eq(gateway_number(&f.gateway,
			     "services/s/backends/a/connections"),
	    2);
	close_through(&old);
	close_through(&new);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("reload", removed_service, removed_backend, names_come_and_go,
    limits_are_raised_and_lowered, timeouts_change_for_open_connections,
    backend_moves)
