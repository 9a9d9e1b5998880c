/*
 * test_connections - the list of live connections, read from memory that
 * workers write.
 */
#include <check.h>

#include "server/master/connections.h"
#include "tests/unit/control_gateway.h"
#include "tests/unit/unit.h"

#define NO_BUDGET UINT32_MAX

static const struct filter all = {.criteria = 0};

static void
begin(void)
{
	fill_gateway("/run/control.sock");
}

/* The connection in slot i of body as it is shown; not found: id is 0. */
static struct connection
look(uint32_t i)
{
	struct connections_cursor cursor = {.slot = i};
	struct connection connection;
	uint32_t budget = 1;

	if (connections_next(&gateway, &cursor, &all, &budget, &connection) !=
	    1)
		connection.id = 0;
	return connection;
}

static uint32_t
count_all(const struct filter *filter)
{
	struct connections_cursor cursor = {.body = 0};
	struct connection connection;
	uint32_t budget = NO_BUDGET;
	uint32_t count = 0;

	while (connections_next(&gateway, &cursor, filter, &budget,
		   &connection) == 1)
		count++;
	return count;
}

START_TEST(a_connection_is_shown_as_it_is)
{
	struct body *body;
	struct connection c;

	begin();
	body = gateway_add_body(4);
	(void)gateway_add_connection(body, 17);
	c = look(0);
	ck_assert_uint_eq(c.id, 17);
	ck_assert_uint_eq(c.worker, 0);
	ck_assert_uint_eq(c.flags, 0);
	ck_assert_str_eq(c.service, "redis");
	ck_assert_str_eq(c.backend, "a");
	ck_assert_str_eq(c.state, "relaying");
	ck_assert_str_eq(c.client, "192.0.2.7:40000");
	ck_assert_str_eq(c.local, "10.0.0.1:6379");
	ck_assert_str_eq(c.source, "10.0.0.1:50000");
	ck_assert_str_eq(c.server, "10.0.0.11:6379");
	ck_assert_uint_eq(c.bytes_up, 12);
	ck_assert_uint_eq(c.bytes_down, 34);
	ck_assert_uint_ge(c.age_ms, 60000);
	ck_assert_uint_lt(c.age_ms, 70000);
	ck_assert_uint_ge(c.idle_ms, 10000);
	ck_assert_uint_lt(c.idle_ms, 20000);
}
END_TEST

START_TEST(one_that_is_dialing_has_no_backend_side_yet)
{
	struct body *body;
	struct slot *slot;
	struct connection c;

	begin();
	body = gateway_add_body(4);
	slot = gateway_add_connection(body, 1);
	slot->state = CONN_DIALING;
	slot->has_backend = 0;
	slot->backend = UINT32_MAX;
	memset(&slot->source, 0, sizeof(slot->source));
	memset(&slot->server, 0, sizeof(slot->server));
	c = look(0);
	ck_assert_uint_eq(c.id, 1);
	ck_assert_str_eq(c.state, "dialing");
	ck_assert_str_eq(c.backend, "");
	ck_assert_str_eq(c.source, "");
	ck_assert_str_eq(c.server, "");
}
END_TEST

START_TEST(unix_sockets_are_named_by_the_plan)
{
	struct body *body;
	struct slot *slot;
	struct connection c;

	begin();
	body = gateway_add_body(4);
	slot = gateway_add_connection(body, 1);
	slot->service = WEB;
	slot->listener = 1;
	slot->backend = WEB_A;
	slot->client = slot->local = endpoint_of("unix");
	slot->source = slot->server = endpoint_of("unix");
	c = look(0);
	ck_assert_str_eq(c.client, "unix");
	ck_assert_str_eq(c.local, "unix:@web");
	ck_assert_str_eq(c.source, "unix");
	ck_assert_str_eq(c.server, "unix:/run/web.sock");
	/* The listener is gone; its row may be another's. */
	slot->listener = 0;
	ck_assert_str_eq(look(0).local, "unix");
	slot->listener = UINT32_MAX;
	ck_assert_str_eq(look(0).local, "unix");
}
END_TEST

START_TEST(a_builtin_backend_has_a_name_and_no_socket)
{
	struct slot *slot;
	struct connection c;

	begin();
	slot = gateway_add_connection(gateway_add_body(4), 1);
	slot->builtin = ADDR_ECHO;
	memset(&slot->source, 0, sizeof(slot->source));
	slot->server = (struct endpoint){.kind = ADDR_ECHO};
	c = look(0);
	ck_assert_uint_eq(c.id, 1);
	ck_assert_str_eq(c.source, "");
	ck_assert_str_eq(c.server, "builtin:echo");
	slot->server.kind = ADDR_DISCARD;
	ck_assert_str_eq(look(0).server, "builtin:discard");
	/* Nobody comes from one. */
	slot->client.kind = ADDR_ECHO;
	ck_assert_uint_eq(look(0).id, 0);
}
END_TEST

static void
set_client_ended(struct slot *slot)
{
	slot->flows[FLOW_UP].state = FLOW_DRAINING;
}

static void
set_backend_ended(struct slot *slot)
{
	slot->flows[FLOW_DOWN].state = FLOW_SHUT;
}

/* What is no socket has a flow that is not open. */
static void
set_builtin(struct slot *slot)
{
	slot->builtin = ADDR_ECHO;
	slot->flows[FLOW_DOWN].state = FLOW_SHUT;
}

static void
set_pending(struct slot *slot)
{
	slot->flows[FLOW_DOWN].pulled++;
}

static void
set_starved(struct slot *slot)
{
	slot->flows[FLOW_UP].starved = 1;
}

static void
set_postponed(struct slot *slot)
{
	slot->is_postponed = 1;
}

static void
set_backup(struct slot *slot)
{
	slot->backend = REDIS_B;
}

static void
set_removed(struct slot *slot)
{
	slot->service = OLD;
	slot->backend = OLD_A;
}

static void
set_backend_removed(struct slot *slot)
{
	gateway.plan.backends[REDIS_A].state = ROW_REMOVED;
	(void)slot;
}

START_TEST(flags_say_what_is_the_matter)
{
	static const struct {
		void (*set)(struct slot *);
		enum connection_flag flag;
		const char *word;
	} rows[] = {
	    {set_client_ended, CONNECTION_CLIENT_ENDED, "client_ended"},
	    {set_backend_ended, CONNECTION_BACKEND_ENDED, "backend_ended"},
	    {set_pending, CONNECTION_WAITING, "waiting"},
	    {set_starved, CONNECTION_WAITING, "waiting"},
	    {set_postponed, CONNECTION_WAITING, "waiting"},
	    {set_backup, CONNECTION_BACKUP, "backup"},
	    {set_removed, CONNECTION_REMOVED, "removed"},
	    {set_backend_removed, CONNECTION_REMOVED, "removed"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin();
		rows[i].set(gateway_add_connection(gateway_add_body(1), 1));
		ck_assert_msg(look(0).flags == 1u << rows[i].flag, "row %zu",
		    i);
		ck_assert_str_eq(connection_flag_word(rows[i].flag),
		    rows[i].word);
	}
	begin();
	set_builtin(gateway_add_connection(gateway_add_body(1), 1));
	ck_assert_uint_eq(look(0).flags, 0);
}
END_TEST

/* What a worker gone mad, or taken over, may write. */
static void
damage_service(struct slot *slot)
{
	slot->service = UINT32_MAX;
}

static void
damage_empty_service(struct slot *slot)
{
	slot->service = NOBODYS;
}

static void
damage_backend(struct slot *slot)
{
	slot->backend = FAKE_BACKENDS;
}

static void
damage_empty_backend(struct slot *slot)
{
	slot->backend = NO_BACKEND;
}

static void
damage_foreign_backend(struct slot *slot)
{
	slot->backend = WEB_A;
}

static void
damage_client(struct slot *slot)
{
	slot->client.kind = ADDR_NAME;
}

static void
damage_server(struct slot *slot)
{
	slot->server.kind = 255;
}

static void
damage_state(struct slot *slot)
{
	slot->state = CONN_STATES;
}

static void
free_it(struct slot *slot)
{
	slot->state = CONN_FREE;
}

static void
accept_it(struct slot *slot)
{
	slot->state = CONN_ACCEPTING;
}

START_TEST(what_is_no_connection_is_not_shown)
{
	static void (*const rows[])(struct slot *) = {
	    damage_service,
	    damage_empty_service,
	    damage_backend,
	    damage_empty_backend,
	    damage_foreign_backend,
	    damage_client,
	    damage_server,
	    damage_state,
	    free_it,
	    accept_it,
	};
	struct body *body;

	begin();
	body = gateway_add_body(ARRAY_LEN(rows) + 2);
	(void)gateway_add_connection(body, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i](gateway_add_connection(body, 100 + i));
	(void)gateway_add_connection(body, 2);
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(look(1 + i).id == 0, "row %u", i);
	ck_assert_uint_eq(count_all(&all), 2);
}
END_TEST

START_TEST(a_body_that_lies_about_its_size_is_read_no_further)
{
	struct body *body;

	begin();
	body = gateway_add_body(64);
	for (uint64_t i = 0; i < 64; i++)
		(void)gateway_add_connection(body, i + 1);
	body->head->slots_used = UINT32_MAX;
	body->head->slots_max = UINT32_MAX;
	body->head->size = UINT64_MAX;
	ck_assert_uint_eq(count_all(&all), 64);
	body->head->slots_used = 10;
	ck_assert_uint_eq(count_all(&all), 10);
}
END_TEST

START_TEST(random_bytes_are_survived)
{
	struct body *body;
	unsigned char *bytes;
	struct connections_cursor cursor;
	struct connection c;
	uint32_t budget;

	begin();
	body = gateway_add_body(256);
	bytes = (unsigned char *)body->slots;
	srandom(4711);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < 256 * sizeof(struct slot); i++)
			bytes[i] = (unsigned char)random();
		/* Else hardly one would get past the first checks. */
		for (uint32_t i = 0; i < 256; i++) {
			body->slots[i].state %= CONN_STATES;
			body->slots[i].service %= FAKE_SERVICES + 1;
			body->slots[i].backend %= FAKE_BACKENDS + 1;
			body->slots[i].client.kind %= ADDR_DISCARD;
			body->slots[i].local.kind %= 4;
			body->slots[i].source.kind %= 4;
			body->slots[i].server.kind %= 4;
		}
		body->head->slots_used = (uint32_t)random();
		cursor = (struct connections_cursor){.body = 0};
		budget = NO_BUDGET;
		while (connections_next(&gateway, &cursor, &all, &budget, &c) ==
		    1) {
			ck_assert_uint_lt(strlen(c.client), ADDR_TEXT_SIZE);
			ck_assert_uint_lt(strlen(c.server), ADDR_TEXT_SIZE);
			ck_assert_uint_lt(c.flags,
			    1u << CONNECTION_FLAGS_COUNT);
		}
	}
}
END_TEST

START_TEST(each_is_met_once_whatever_the_budget)
{
	struct connections_cursor cursor = {.body = 0};
	struct connection connection;
	uint64_t expected = 1;
	uint32_t pauses = 0;
	uint32_t budget = 7;
	int got;

	begin();
	for (uint32_t b = 0; b < 3; b++) {
		struct body *body = gateway_add_body(50);

		for (uint64_t i = 0; i < 50; i++)
			(void)gateway_add_connection(body,
			    (uint64_t)b * 50 + i + 1);
	}
	/* One that has none at the moment. */
	(void)gateway_add_body(10);
	gateway.refs[3].body_fd = -1;
	while ((got = connections_next(&gateway, &cursor, &all, &budget,
		    &connection)) != 0) {
		if (got == -EAGAIN) {
			budget = 7;
			pauses++;
			continue;
		}
		ck_assert_int_eq(got, 1);
		ck_assert_uint_eq(connection.id, expected++);
		ck_assert_uint_eq(connection.worker, (connection.id - 1) / 50);
	}
	ck_assert_uint_eq(expected, 151);
	ck_assert_uint_ge(pauses, 20);
}
END_TEST

START_TEST(a_list_outlives_the_bodies_it_reads)
{
	struct connections_cursor cursor = {.body = 0};
	struct connection connection;
	struct body *first;
	uint32_t budget = NO_BUDGET;

	begin();
	first = gateway_add_body(50);
	for (uint64_t i = 0; i < 50; i++)
		(void)gateway_add_connection(first, i + 1);
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(connections_next(&gateway, &cursor, &all,
				     &budget, &connection),
		    1);
	/* It is gone; a smaller one takes its place. */
	body_unmap(first);
	ck_assert_int_eq(close(gateway.refs[0].body_fd), 0);
	gateway.refs[0].body_fd = -1;
	ck_assert_int_eq(connections_next(&gateway, &cursor, &all, &budget,
			     &connection),
	    0);
	cursor = (struct connections_cursor){.slot = 40};
	gateway.bodies.count = 0;
	(void)gateway_add_connection(gateway_add_body(1), 1);
	ck_assert_int_eq(connections_next(&gateway, &cursor, &all, &budget,
			     &connection),
	    0);
}
END_TEST

START_TEST(only_what_the_filter_matches_is_shown)
{
	static const struct {
		struct filter filter;
		uint32_t count;
	} rows[] = {
	    {{.criteria = FILTER_ID, .id = 2}, 1},
	    {{.criteria = FILTER_SERVICE, .service = OLD}, 1},
	    {{.criteria = FILTER_SERVICE, .service = REDIS}, 2},
	    {{.criteria = FILTER_STATE, .state = FILTER_CLOSING}, 1},
	    {{.criteria = FILTER_AGE, .age_ms = 50000}, 3},
	    {{.criteria = FILTER_AGE, .age_ms = UINT64_MAX}, 0},
	};
	struct body *body;
	struct slot *slot;

	begin();
	body = gateway_add_body(4);
	(void)gateway_add_connection(body, 1);
	gateway_add_connection(body, 2)->state = CONN_RESETTING;
	slot = gateway_add_connection(body, 3);
	slot->service = OLD;
	slot->backend = OLD_A;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(count_all(&rows[i].filter) == rows[i].count,
		    "row %zu: %u", i, count_all(&rows[i].filter));
}
END_TEST

UNIT_MAIN("connections", a_connection_is_shown_as_it_is,
    one_that_is_dialing_has_no_backend_side_yet,
    unix_sockets_are_named_by_the_plan,
    a_builtin_backend_has_a_name_and_no_socket, flags_say_what_is_the_matter,
    what_is_no_connection_is_not_shown,
    a_body_that_lies_about_its_size_is_read_no_further,
    random_bytes_are_survived, each_is_met_once_whatever_the_budget,
    a_list_outlives_the_bodies_it_reads, only_what_the_filter_matches_is_shown)
