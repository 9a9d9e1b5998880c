/*
 * test_control - what the control socket promises to its clients.
 */
#include <signal.h>

#include "tests/unit/control_server.h"
#include "tests/unit/varlink_check.h"

/* The description of an interface, as served. */
static void
describe(struct client *client, const char *interface, struct varlink *varlink)
{
	char call[256];
	json_t *reply;

	(void)snprintf(call, sizeof(call),
	    "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
	    "\"parameters\":{\"interface\":\"%s\"}}",
	    interface);
	client_say(client, call);
	reply = client_hear(client);
	varlink_parse(varlink, text_of(reply, "description"));
	ck_assert_str_eq(varlink->interface, interface);
	json_decref(reply);
}

#define OURS(method, parameters)                        \
	{                                               \
		"{\"method\":\"io.srvd.Control." method \
		"\",\"parameters\":{" parameters "}}",  \
		    method, true                        \
	}
#define OURS_STREAM(method, parameters)                              \
	{                                                            \
		"{\"method\":\"io.srvd.Control." method              \
		"\",\"more\":true,\"parameters\":{" parameters "}}", \
		    method, true                                     \
	}
#define OTHERS(call, method)        \
	{                           \
		call, method, false \
	}
#define OURS_INVALID(method, parameters)                \
	{                                               \
		"{\"method\":\"io.srvd.Control." method \
		"\",\"parameters\":{" parameters "}}",  \
		    method, false                       \
	}

struct checked {
	const char *call;
	const char *method;
	bool ours; /* whose reply or error it is */
};

/* Say each call, and hold all its replies against the description of whose
 * they are. */
static void
check_calls(struct client *client, const struct checked *rows, size_t count)
{
	static struct varlink ours;
	static struct varlink service;

	describe(client, "io.srvd.Control", &ours);
	describe(client, "org.varlink.service", &service);
	for (size_t i = 0; i < count; i++) {
		bool continues = true;

		client_say(client, rows[i].call);
		while (continues) {
			json_t *reply = client_hear(client);

			varlink_check_reply(rows[i].ours ? &ours : &service,
			    rows[i].method, reply);
			continues = json_object_get(reply, "continues") != NULL;
			json_decref(reply);
		}
	}
}

/* Connections of every kind, in more than one batch. */
static void
fill_connections(void)
{
	struct body *body = gateway_add_body(300);
	struct slot *slot = gateway_add_connection(body, UINT64_MAX);

	slot->flows[FLOW_UP].state = FLOW_SHUT;
	slot->flows[FLOW_DOWN] = (struct flow){.state = FLOW_DRAINING,
	    .pulled = UINT64_MAX,
	    .moved = UINT64_MAX - 1};
	slot->backend = REDIS_B;
	slot->started_us = UINT64_MAX;
	slot->active_ms = 0;
	slot = gateway_add_connection(body, 1);
	slot->state = CONN_DIALING;
	slot->has_backend = 0;
	memset(&slot->server, 0, sizeof(slot->server));
	slot = gateway_add_connection(body, 2);
	slot->state = CONN_CLOSING;
	slot->service = OLD;
	slot->backend = OLD_A;
	for (uint64_t i = 3; i < 250; i++)
		(void)gateway_add_connection(body, i);
}

START_TEST(every_reply_is_what_the_description_says)
{
	static const struct checked rows[] = {
	    {CALL_OURS, "GetStatus", true},
	    OURS_STREAM("GetStatus", "\"service\":\"web\""),
	    OURS("GetStatus", "\"service\":null"),
	    OURS("GetStatus", "\"service\":\"none\""),
	    OURS_INVALID("GetStatus", "\"service\":1"),
	    OURS_STREAM("ListConnections", ""),
	    OURS_STREAM("ListConnections", "\"filter\":{\"id\":7}"),
	    OURS_STREAM("ListConnections", "\"filter\":{\"id\":999}"),
	    OURS_STREAM("ListConnections", "\"filter\":{\"service\":\"none\"}"),
	    OURS_STREAM("ListConnections",
		"\"filter\":{\"service\":\"web\",\"backend\":\"x\"}"),
	    OURS_INVALID("ListConnections", ""), /* ExpectedMore */
	    OURS_INVALID("ListConnections", "\"filter\":1"),
	    OURS("CloseConnections",
		"\"filter\":{\"state\":\"dialing\"},\"reset\":true"),
	    OURS_STREAM("CloseConnections", "\"filter\":{\"id\":1}"),
	    OURS_INVALID("CloseConnections", "\"filter\":{}"),
	    OURS("CloseConnections", "\"filter\":{\"service\":\"none\"}"),
	    OURS("Reload", ""),
	    OURS_STREAM("Reload", "\"dry_run\":true"),
	    OURS_INVALID("Reload", "\"dry_run\":1"),
	    OURS("Rebalance", ""),
	    OURS_STREAM("Rebalance", ""),
	    OURS_INVALID("Rebalance", "\"x\":1"),
	    OURS("SetLogLevel", "\"level\":\"debug\""),
	    OURS_STREAM("SetLogLevel",
		"\"level\":\"info\",\"service\":\"web\""),
	    OURS("SetLogLevel", "\"level\":\"info\",\"service\":\"no\""),
	    OURS_INVALID("SetLogLevel", "\"level\":\"loud\""),
	    OURS("ReopenLogs", ""),
	    OURS_STREAM("ReopenLogs", ""),
	    OURS_INVALID("ReopenLogs", "\"x\":1"),
	    OURS_INVALID("Stop", "\"drain_s\":-1"),
	    OURS("Stop", "\"drain_s\":5"),
	    OURS_STREAM("Stop", ""),
	    OURS("GetStatus", ""),
	    /* Refused, as it stops. */
	    OURS("Reload", ""),
	    OURS("CloseConnections", "\"filter\":{\"id\":1}"),
	    OURS("Rebalance", ""),
	    OTHERS(CALL_INFO, "GetInfo"),
	    OTHERS("{\"method\":\"org.varlink.service."
		   "GetInterfaceDescription\","
		   "\"parameters\":{\"interface\":\"io.srvd.Control\"}}",
		"GetInterfaceDescription"),
	    OTHERS("{\"method\":\"org.varlink.service."
		   "GetInterfaceDescription\","
		   "\"parameters\":{\"interface\":\"x.y\"}}",
		"GetInterfaceDescription"),
	    OTHERS("{\"method\":\"x.y.Z\"}", "GetInfo"),
	};
	struct client client;

	make_directory();
	fill_connections();
	server_start(&limits_short);
	client = client_connect();
	check_calls(&client, rows, ARRAY_LEN(rows));
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(every_failure_is_what_the_description_says)
{
	static const struct checked rows[] = {
	    OURS("Reload", ""), OURS("ReopenLogs", ""), OURS("Rebalance", "")};
	struct client client;

	server_begin();
	client = client_connect();
	shared->outcome = FAKE_INVALID;
	check_calls(&client, rows, ARRAY_LEN(rows));
	shared->outcome = FAKE_FAILED;
	check_calls(&client, rows, ARRAY_LEN(rows));
	client_end(&client);
	server_end();
}
END_TEST

/* The contract has neither more nor less than what is served. */
START_TEST(every_method_described_is_served_and_the_other_way_round)
{
	static struct varlink ours;
	const struct interface *interface = &control_interface_ours;
	size_t methods = 0;

	varlink_parse(&ours, interface->description);
	for (int i = 0; i < ours.entries_count; i++)
		methods += strcmp(ours.entries[i].what, "method") == 0;
	ck_assert_uint_eq(methods, interface->methods_count);
	for (size_t i = 0; i < interface->methods_count; i++)
		(void)varlink_find(&ours, "method", interface->methods[i].name);
}
END_TEST

START_TEST(the_checker_itself_finds_what_is_wrong)
{
	static const char text[] =
	    "interface a.b\n"
	    "method M() -> (n: int, e: (x, y), m: ?[]P)\n"
	    "type P (s: string)\n";
	static const struct {
		const char *reply;
		bool good;
	} rows[] = {
	    {"{'parameters':{'n':1,'e':'x'}}", true},
	    {"{'parameters':{'n':1,'e':'x','m':[{'s':''}]}}", true},
	    {"{'parameters':{'n':1,'e':'z'}}", false},
	    {"{'parameters':{'n':1.5,'e':'x'}}", false},
	    {"{'parameters':{'e':'x'}}", false},
	    {"{'parameters':{'n':1,'e':'x','q':1}}", false},
	    {"{'parameters':{'n':1,'e':'x','m':[{}]}}", false},
	    {"{'parameters':{'n':1,'e':'x'},'extra':1}", false},
	    {"{'error':'a.b.None','parameters':{}}", false},
	    {"{'error':'a.b.None'}", false},
	};
	static struct varlink varlink;

	varlink_parse(&varlink, text);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pid_t child = fork();
		int status;

		/* What fails there fails for real: so in a child, and quietly.
		 */
		if (child == 0) {
			char copy[128];
			json_t *reply;

			(void)snprintf(copy, sizeof(copy), "%s", rows[i].reply);
			for (char *p = copy; *p != '\0'; p++)
				if (*p == '\'')
					*p = '"';
			reply = json_loads(copy, 0, NULL);
			if (reply == NULL)
				_exit(9);
			(void)close(1);
			(void)close(2);
			varlink_check_reply(&varlink, "M", reply);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_ne(status, 9 << 8);
		ck_assert_msg((status == 0) == rows[i].good, "row %zu", i);
	}
}
END_TEST

START_TEST(status_tells_what_the_gateway_says)
{
	struct client client;
	json_t *reply;
	const json_t *parameters;
	json_t *row;
	const char *text;

	server_begin();
	client = client_connect();
	client_say(&client, CALL_OURS);
	reply = client_hear(&client);
	parameters = json_object_get(reply, "parameters");
	ck_assert_int_eq(json_integer_value(json_object_get(parameters, "pid")),
	    server_pid);
	ck_assert_int_eq(json_integer_value(json_object_get(parameters,
			     "generation")),
	    7);
	row = json_array_get(json_object_get(parameters, "workers"), 0);
	ck_assert_ptr_null(json_object_get(row, "fault"));
	/* Varlink has no unsigned integers: the largest one stands for more. */
	ck_assert_int_eq(json_integer_value(json_object_get(row, "accepted")),
	    INT64_MAX);
	text = json_string_value(json_object_get(json_object_get(row,
						     "last_death"),
	    "address"));
	ck_assert_str_eq(text, "0x7f3d5c0010a8");
	row = json_array_get(json_object_get(parameters, "workers"), 1);
	text = json_string_value(json_object_get(row, "fault"));
	ck_assert_str_eq(text, "its body is not its own");
	ck_assert(json_is_null(json_object_get(row, "last_death")));
	row = json_array_get(json_object_get(parameters, "listeners"), 0);
	text = json_string_value(json_object_get(row, "bound"));
	ck_assert_str_eq(text, "0.0.0.0:12345");
	text = json_string_value(json_object_get(json_object_get(parameters,
						     "config"),
	    "path"));
	ck_assert_str_eq(text, "/etc/srvd/?.conf");
	json_decref(reply);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(status_of_one_service_lists_that_one)
{
	struct client client;
	json_t *reply;
	const json_t *parameters;

	server_begin();
	client = client_connect();
	client_say(&client,
	    "{\"method\":\"io.srvd.Control.GetStatus\","
	    "\"parameters\":{\"service\":\"web\"}}");
	reply = client_hear(&client);
	parameters = json_object_get(reply, "parameters");
	ck_assert_uint_eq(json_array_size(json_object_get(parameters,
			      "services")),
	    1);
	ck_assert_uint_eq(json_array_size(json_object_get(parameters,
			      "listeners")),
	    1);
	ck_assert_uint_eq(json_array_size(json_object_get(parameters,
			      "workers")),
	    2);
	json_decref(reply);
	refused(&client,
	    "{\"method\":\"io.srvd.Control.GetStatus\","
	    "\"parameters\":{\"service\":\"none\"}}",
	    "io.srvd.Control.NoSuchService", "service", "none");
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(wrong_calls_are_refused_by_name_and_the_client_stays)
{
	static const struct {
		const char *call;
		const char *error;
		const char *key;
		const char *value;
	} rows[] = {
	    {"{\"method\":\"io.srvd.Control.Nothing\"}",
		SERVICE("MethodNotFound"), "method", "io.srvd.Control.Nothing"},
	    {"{\"method\":\"org.example.GetStatus\"}",
		SERVICE("MethodNotFound"), "method", "org.example.GetStatus"},
	    {"{\"method\":\"GetStatus\"}", SERVICE("MethodNotFound"), "method",
		"GetStatus"},
	    {"{\"method\":\"\"}", SERVICE("MethodNotFound"), "method", ""},
	    {"{\"method\":\"io.srvd.Control.\"}", SERVICE("MethodNotFound"),
		"method", "io.srvd.Control."},
	    {"{\"method\":\"io.srvd.ControlX.GetStatus\"}",
		SERVICE("MethodNotFound"), "method",
		"io.srvd.ControlX.GetStatus"},
	    {"{\"method\":\"io.srvd.Control.GetStatus\","
	     "\"parameters\":{\"service\":5}}",
		SERVICE("InvalidParameter"), "parameter", "service"},
	    {"{\"method\":\"io.srvd.Control.GetStatus\","
	     "\"parameters\":{\"service\":[\"a\"]}}",
		SERVICE("InvalidParameter"), "parameter", "service"},
	    {"{\"method\":\"io.srvd.Control.GetStatus\","
	     "\"parameters\":{\"servcie\":\"web\"}}",
		SERVICE("InvalidParameter"), "parameter", "servcie"},
	    {"{\"method\":\"org.varlink.service.GetInfo\","
	     "\"parameters\":{\"x\":null}}",
		SERVICE("InvalidParameter"), "parameter", "x"},
	    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\"}",
		SERVICE("InvalidParameter"), "parameter", "interface"},
	    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\","
	     "\"parameters\":{\"interface\":null}}",
		SERVICE("InvalidParameter"), "parameter", "interface"},
	    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\","
	     "\"parameters\":{\"interface\":\"io.srvd\"}}",
		SERVICE("InterfaceNotFound"), "interface", "io.srvd"},
	};
	struct client client;

	server_begin();
	client = client_connect();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(&client, rows[i].call, rows[i].error, rows[i].key,
		    rows[i].value);
	expect_served(&client);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(null_and_empty_parameters_are_none)
{
	struct client client;

	server_begin();
	client = client_connect();
	for (int i = 0; i < 3; i++) {
		static const char *const parameters[] = {
		    "null", "{}", " \n{ }\t"};
		char call[128];
		json_t *reply;

		(void)snprintf(call, sizeof(call),
		    "{\"method\":\"org.varlink.service.GetInfo\","
		    "\"parameters\":%s,\"upgrade\":false}",
		    parameters[i]);
		client_say(&client, call);
		reply = client_hear(&client);
		ck_assert_ptr_null(json_object_get(reply, "error"));
		ck_assert_uint_eq(json_object_size(reply), 1);
		json_decref(reply);
	}
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(calls_in_one_piece_are_answered_in_order_and_oneway_is_not)
{
	struct client client;
	char call[256];
	size_t length = 0;
	static char batch[100 * sizeof(call)];

	server_begin();
	client = client_connect();
	for (int i = 0; i < 100; i++) {
		int size = snprintf(call, sizeof(call),
		    "{\"method\":\"x.y.M%d\",\"oneway\":%s}", i,
		    i % 10 == 3 ? "true" : "false");

		memcpy(batch + length, call, (size_t)size + 1);
		length += (size_t)size + 1;
	}
	ck_assert_int_eq(client_send(&client, batch, length), 0);
	/* What is asked for may end before the answers do. */
	ck_assert_int_eq(shutdown(client.fd, SHUT_WR), 0);
	for (int i = 0; i < 100; i++) {
		json_t *reply;

		if (i % 10 == 3)
			continue;
		(void)snprintf(call, sizeof(call), "x.y.M%d", i);
		reply = client_hear(&client);
		ck_assert_str_eq(text_of(reply, "method"), call);
		json_decref(reply);
	}
	client_expect_end(&client);
	client_end(&client);
	server_end();
}
END_TEST

UNIT_MAIN("control", every_reply_is_what_the_description_says,
    every_failure_is_what_the_description_says,
    every_method_described_is_served_and_the_other_way_round,
    the_checker_itself_finds_what_is_wrong, status_tells_what_the_gateway_says,
    status_of_one_service_lists_that_one,
    wrong_calls_are_refused_by_name_and_the_client_stays,
    null_and_empty_parameters_are_none,
    calls_in_one_piece_are_answered_in_order_and_oneway_is_not)
