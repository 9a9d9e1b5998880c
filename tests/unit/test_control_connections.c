/*
 * test_control_connections - ListConnections and CloseConnections, as clients
 * of the control socket see them.
 */
#include "tests/unit/control_server.h"

#define MANY 8000
#define LIST "{\"method\":\"io.srvd.Control.ListConnections\",\"more\":true}"
#define LIST_OF(filter)                                                  \
	"{\"method\":\"io.srvd.Control.ListConnections\",\"more\":true," \
	"\"parameters\":{\"filter\":" filter "}}"
#define CLOSE_OF(filter)                                    \
	"{\"method\":\"io.srvd.Control.CloseConnections\"," \
	"\"parameters\":{\"filter\":" filter "}}"
#define CLOSE_WITH(parameters, key)                             \
	"{\"method\":\"io.srvd.Control.CloseConnections\"," key \
	"\"parameters\":{" parameters "}}"

static void
fill_bodies(uint32_t count)
{
	struct body *bodies[2] = {
	    gateway_add_body(count + 1), gateway_add_body(count + 1)};

	for (uint32_t i = 0; i < count; i++)
		(void)gateway_add_connection(bodies[i % 2], i + 1);
}

static const json_t *
rows_of(const json_t *reply)
{
	const json_t *parameters = json_object_get(reply, "parameters");

	return json_object_get(parameters, "connections");
}

/* Take a whole list in: how many rows, none twice. */
static size_t
hear_list(struct client *client, size_t *replies)
{
	static bool seen[MANY + 1];
	size_t rows = 0;
	bool continues = true;

	memset(seen, 0, sizeof(seen));
	for (*replies = 0; continues; (*replies)++) {
		json_t *reply = client_hear(client);
		const json_t *list = rows_of(reply);

		continues = json_is_true(json_object_get(reply, "continues"));
		ck_assert_uint_eq(json_object_size(reply), continues ? 2 : 1);
		ck_assert_uint_le(json_array_size(list), 100);
		ck_assert(!continues || json_array_size(list) > 0);
		for (size_t i = 0; i < json_array_size(list); i++) {
			json_int_t id = json_integer_value(
			    json_object_get(json_array_get(list, i), "id"));

			ck_assert(id > 0 && id <= MANY && !seen[id]);
			seen[id] = true;
			rows++;
		}
		json_decref(reply);
	}
	return rows;
}

START_TEST(a_list_comes_in_batches_and_whole)
{
	static const uint32_t counts[] = {0, 1, 99, 100, 101, 200, 1234};
	struct client client;
	size_t replies;

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		make_directory();
		fill_bodies(counts[i]);
		server_start(&limits_short);
		client = client_connect();
		/* What is behind it waits for its end. */
		client_say(&client, LIST);
		client_say(&client, CALL_INFO);
		ck_assert_uint_eq(hear_list(&client, &replies), counts[i]);
		ck_assert_uint_ge(replies, (counts[i] + 99) / 100);
		json_decref(client_hear(&client));
		expect_served(&client);
		client_end(&client);
		server_end();
	}
}
END_TEST

/* Of the server's process: the machine has others to serve. */
static uint64_t
server_cpu_ms(void)
{
	struct timespec cpu;
	clockid_t clock;

	ck_assert_int_eq(clock_getcpuclockid(server_pid, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &cpu), 0);
	return (uint64_t)cpu.tv_sec * 1000 + (uint64_t)cpu.tv_nsec / 1000000;
}

START_TEST(eight_thousand_are_listed_fast_and_others_are_served)
{
	struct client client;
	struct client good;
	size_t replies;
	uint64_t before_ms;

	make_directory();
	fill_bodies(MANY);
	server_start(&limits_short);
	client = client_connect();
	good = client_connect();
	before_ms = server_cpu_ms();
	client_say(&client, LIST);
	expect_served(&good);
	ck_assert_uint_eq(hear_list(&client, &replies), MANY);
	ck_assert_uint_ge(replies, MANY / 100);
	ck_assert_uint_le(server_cpu_ms() - before_ms, 200 * unit_slowness());
	client_end(&client);
	client_end(&good);
	server_end();
}
END_TEST

START_TEST(one_that_never_reads_its_list_is_dropped_and_costs_little)
{
	struct client deaf;
	struct client good;
	struct pollfd poll_fd = {.events = 0};
	uint64_t begin_ms;

	make_directory();
	fill_bodies(MANY);
	server_start(&limits_short);
	deaf = client_connect();
	good = client_connect();
	client_say(&deaf, LIST);
	begin_ms = clock_ms();
	poll_fd.fd = deaf.fd;
	do {
		uint64_t asked_ms = clock_ms();

		expect_served(&good);
		ck_assert_uint_le(clock_ms() - asked_ms, 100 * unit_slowness());
		ck_assert_uint_lt(clock_ms() - begin_ms, WAIT_MS);
	} while (poll(&poll_fd, 1, 10) == 0);
	ck_assert(poll_fd.revents & POLLHUP);
	ck_assert_uint_ge(clock_ms() - begin_ms, limits_short.take_ms - 20);
	client_end(&deaf);
	client_end(&good);
	server_end();
}
END_TEST

START_TEST(one_that_leaves_in_the_middle_of_a_list_is_forgotten)
{
	struct client client;

	make_directory();
	fill_bodies(MANY);
	server_start(&limits_short);
	for (int i = 0; i < 20; i++) {
		client = client_connect();
		client_say(&client, LIST);
		if (i % 2 == 0)
			json_decref(client_hear(&client));
		client_end(&client);
	}
	expect_service();
	server_end();
}
END_TEST

START_TEST(a_filter_of_every_kind)
{
	static const struct {
		const char *call;
		size_t count;
	} rows[] = {
	    {LIST_OF("null"), 4},
	    {LIST_OF("{}"), 4},
	    {LIST_OF("{\"id\":2}"), 1},
	    {LIST_OF("{\"id\":0}"), 0},
	    {LIST_OF("{\"id\":null,\"service\":\"redis\"}"), 2},
	    {LIST_OF("{\"service\":\"web\"}"), 1},
	    {LIST_OF("{\"service\":\"old\"}"), 1},
	    {LIST_OF("{\"service\":\"old\",\"backend\":\"gone\"}"), 1},
	    {LIST_OF("{\"backend\":\"a\",\"service\":\"redis\"}"), 2},
	    {LIST_OF("{\"backend\":\"b\",\"service\":\"redis\"}"), 0},
	    {LIST_OF("{\"client\":\"192.0.2.7\"}"), 3},
	    {LIST_OF("{\"client\":\"192.0.2.0/24\"}"), 3},
	    {LIST_OF("{\"client\":\"192.0.3.0/24\"}"), 0},
	    {LIST_OF("{\"client\":\"unix\"}"), 1},
	    {LIST_OF("{\"state\":\"closing\"}"), 1},
	    {LIST_OF("{\"state\":\"relaying\",\"service\":\"redis\"}"), 1},
	    {LIST_OF("{\"idle_s\":5}"), 4},
	    {LIST_OF("{\"idle_s\":50}"), 0},
	    {LIST_OF("{\"age_s\":50,\"idle_s\":0}"), 4},
	    {LIST_OF("{\"age_s\":9223372036854775807}"), 0},
	};
	struct client client;
	struct body *body;
	struct slot *slot;
	size_t replies;

	make_directory();
	body = gateway_add_body(8);
	(void)gateway_add_connection(body, 1);
	gateway_add_connection(body, 2)->state = CONN_RESETTING;
	slot = gateway_add_connection(body, 3);
	slot->service = OLD;
	slot->backend = OLD_A;
	slot = gateway_add_connection(body, 4);
	slot->service = WEB;
	slot->backend = WEB_A;
	slot->client = endpoint_of("unix");
	server_start(&limits_short);
	client = client_connect();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t count;

		client_say(&client, rows[i].call);
		count = hear_list(&client, &replies);
		ck_assert_msg(count == rows[i].count, "%s: %zu", rows[i].call,
		    count);
	}
	client_end(&client);
	server_end();
}
END_TEST

#define OUR_ERROR(error) "io.srvd.Control." error
#define INVALID(call, what)                                          \
	{                                                            \
		call, SERVICE("InvalidParameter"), "parameter", what \
	}

START_TEST(a_wrong_filter_is_refused_by_name)
{
	static const struct {
		const char *call;
		const char *error;
		const char *key;
		const char *value;
	} rows[] = {
	    INVALID(LIST_OF("[]"), "filter"),
	    INVALID(LIST_OF("\"redis\""), "filter"),
	    INVALID(LIST_OF("{\"sevice\":\"redis\"}"), "sevice"),
	    INVALID(LIST_OF("{\"id\":\"1\"}"), "id"),
	    INVALID(LIST_OF("{\"id\":-1}"), "id"),
	    INVALID(LIST_OF("{\"id\":1.5}"), "id"),
	    INVALID(LIST_OF("{\"service\":1}"), "service"),
	    INVALID(LIST_OF("{\"backend\":\"a\"}"), "backend"),
	    INVALID(LIST_OF("{\"backend\":1,\"service\":\"redis\"}"),
		"backend"),
	    INVALID(LIST_OF("{\"client\":\"localhost\"}"), "client"),
	    INVALID(LIST_OF("{\"client\":\"\"}"), "client"),
	    INVALID(LIST_OF("{\"client\":\"10.0.0.1/33\"}"), "client"),
	    INVALID(LIST_OF("{\"client\":\"10.0.0.1/8\"}"), "client"),
	    INVALID(LIST_OF("{\"client\":{}}"), "client"),
	    INVALID(LIST_OF("{\"state\":\"free\"}"), "state"),
	    INVALID(LIST_OF("{\"state\":true}"), "state"),
	    INVALID(LIST_OF("{\"idle_s\":-1}"), "idle_s"),
	    INVALID(LIST_OF("{\"age_s\":\"1m\"}"), "age_s"),
	    INVALID(CLOSE_OF("{\"age_s\":false}"), "age_s"),
	    INVALID(CLOSE_OF("{}"), "filter"),
	    INVALID(CLOSE_OF("{\"id\":null}"), "filter"),
	    INVALID(CLOSE_OF("null"), "filter"),
	    INVALID(CLOSE_WITH("", ""), "filter"),
	    INVALID(CLOSE_WITH("\"filter\":{\"id\":1},\"reset\":1", ""),
		"reset"),
	    INVALID(CLOSE_WITH("\"filter\":{\"id\":1},\"all\":true", ""),
		"all"),
	    {LIST_OF("{\"service\":\"none\"}"), OUR_ERROR("NoSuchService"),
		"service", "none"},
	    {LIST_OF("{\"service\":\"\"}"), OUR_ERROR("NoSuchService"),
		"service", ""},
	    {LIST_OF("{\"service\":\"redis\",\"backend\":\"gone\"}"),
		OUR_ERROR("NoSuchBackend"), "backend", "gone"},
	    {CLOSE_OF("{\"service\":\"web\",\"backend\":\"b\"}"),
		OUR_ERROR("NoSuchBackend"), "service", "web"},
	    {"{\"method\":\"io.srvd.Control.ListConnections\"}",
		SERVICE("ExpectedMore"), NULL, NULL},
	};
	struct client client;

	server_begin();
	client = client_connect();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(&client, rows[i].call, rows[i].error, rows[i].key,
		    rows[i].value);
	ck_assert_uint_eq(shared->closings, 0);
	expect_served(&client);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(a_list_goes_on_over_a_reload)
{
	struct client client;
	struct client other;
	size_t replies;
	json_t *reply;

	make_directory();
	fill_bodies(MANY);
	server_start(&limits_short);
	client = client_connect();
	other = client_connect();
	client_say(&client, LIST_OF("{\"service\":\"redis\"}"));
	/* It can't be made further than the socket's buffer takes. */
	(void)poll(NULL, 0, 50);
	client_say(&other, "{\"method\":\"io.srvd.Control.Reload\"}");
	reply = client_hear(&other);
	ck_assert_ptr_null(json_object_get(reply, "error"));
	json_decref(reply);
	ck_assert_uint_eq(hear_list(&client, &replies), MANY);
	client_end(&client);
	client_end(&other);
	server_end();
}
END_TEST

START_TEST(a_list_ends_when_what_it_names_is_no_more)
{
	struct client client;
	struct client other;
	struct body *body;
	size_t replies;
	size_t rows;

	make_directory();
	body = gateway_add_body(MANY);
	for (uint64_t i = 0; i < MANY; i++) {
		struct slot *slot = gateway_add_connection(body, i + 1);

		slot->service = OLD;
		slot->backend = OLD_A;
	}
	server_start(&limits_short);
	shared->drops_old = true;
	client = client_connect();
	other = client_connect();
	client_say(&client,
	    LIST_OF("{\"service\":\"old\",\"backend\":\"gone\"}"));
	(void)poll(NULL, 0, 50);
	client_say(&other, "{\"method\":\"io.srvd.Control.Reload\"}");
	json_decref(client_hear(&other));
	rows = hear_list(&client, &replies);
	ck_assert_uint_ge(rows, 100);
	ck_assert_uint_lt(rows, MANY);
	refused(&client, LIST_OF("{\"service\":\"old\"}"),
	    OUR_ERROR("NoSuchService"), "service", "old");
	client_end(&client);
	client_end(&other);
	server_end();
}
END_TEST

START_TEST(closing_is_answered_when_it_is_done)
{
	struct client client;
	struct client second;
	json_t *reply;

	server_begin();
	shared->takes_ms = 200;
	client = client_connect();
	second = client_connect();
	client_say(&client,
	    CLOSE_WITH("\"filter\":{\"service\":\"web\",\"idle_s\":60},"
		       "\"reset\":true",
		""));
	client_say(&client, CALL_INFO);
	client_expect_silence(&client);
	refused(&second, CLOSE_OF("{\"id\":1}"), OUR_ERROR("Busy"), "message",
	    CLOSING_IS_BUSY);
	reply = client_hear(&client);
	ck_assert_int_eq(json_integer_value(json_object_get(
			     json_object_get(reply, "parameters"), "closed")),
	    7);
	json_decref(reply);
	json_decref(client_hear(&client));
	ck_assert_uint_eq(shared->filter.criteria,
	    FILTER_SERVICE | FILTER_IDLE);
	ck_assert_uint_eq(shared->filter.service, WEB);
	ck_assert_uint_eq(shared->filter.idle_ms, 60000);
	ck_assert(shared->reset);
	ck_assert_uint_eq(shared->forgotten, 0);
	client_end(&client);
	client_end(&second);
	server_end();
}
END_TEST

START_TEST(closing_goes_on_without_its_client)
{
	struct client client;

	server_begin();
	shared->takes_ms = 100;
	client = client_connect();
	client_say(&client, CLOSE_OF("{\"id\":1}"));
	client_expect_silence(&client);
	client_end(&client);
	wait_for(&shared->closings, 1);
	ck_assert_uint_eq(shared->forgotten, 1);
	ck_assert(!shared->reset);
	/* Oneway: nobody waits, what follows is served at once. */
	shared->takes_ms = 300;
	client = client_connect();
	client_say(&client,
	    CLOSE_WITH("\"filter\":{\"id\":1}", "\"oneway\":true,"));
	expect_served(&client);
	ck_assert_uint_eq(shared->closings, 1);
	client_end(&client);
	wait_for(&shared->closings, 2);
	ck_assert_uint_eq(shared->forgotten, 1);
	server_end();
}
END_TEST

#define REBALANCE "{\"method\":\"io.srvd.Control.Rebalance\"}"

START_TEST(rebalancing_is_answered_when_it_is_done)
{
	struct client client;
	struct client second;
	json_t *reply;

	server_begin();
	shared->takes_ms = 200;
	client = client_connect();
	second = client_connect();
	client_say(&client, REBALANCE);
	client_expect_silence(&client);
	refused(&second, REBALANCE, OUR_ERROR("Busy"), "message",
	    REBALANCE_IS_BUSY);
	reply = client_hear(&client);
	ck_assert_int_eq(json_integer_value(json_object_get(
			     json_object_get(reply, "parameters"), "moved")),
	    7);
	json_decref(reply);
	shared->outcome = FAKE_FAILED;
	refused(&client, REBALANCE, OUR_ERROR("RebalanceFailed"), "message",
	    "it \"broke\"");
	/* It goes on without its client. */
	client_say(&client, REBALANCE);
	client_expect_silence(&client);
	client_end(&client);
	wait_for(&shared->rebalances, 3);
	ck_assert_uint_eq(shared->forgotten, 1);
	client_end(&second);
	server_end();
}
END_TEST

UNIT_MAIN("control_connections", a_list_comes_in_batches_and_whole,
    eight_thousand_are_listed_fast_and_others_are_served,
    one_that_never_reads_its_list_is_dropped_and_costs_little,
    one_that_leaves_in_the_middle_of_a_list_is_forgotten,
    a_filter_of_every_kind, a_wrong_filter_is_refused_by_name,
    a_list_goes_on_over_a_reload, a_list_ends_when_what_it_names_is_no_more,
    closing_is_answered_when_it_is_done, closing_goes_on_without_its_client,
    rebalancing_is_answered_when_it_is_done)
