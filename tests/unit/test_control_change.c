/*
 * test_control_change - the methods that change something: Reload, which is
 * answered later, Upgrade, SetLogLevel, ReopenLogs and Stop.
 */
#include "server/state/channel.h"
#include "tests/unit/control_server.h"

#define METHOD(name) "{\"method\":\"io.srvd.Control." name "\"}"
#define METHOD_WITH(name, parameters)                                          \
	"{\"method\":\"io.srvd.Control." name "\",\"parameters\":{" parameters \
	"}}"
#define ONEWAY(name)     "{\"method\":\"io.srvd.Control." name "\",\"oneway\":true}"
#define RELOAD           METHOD("Reload")
#define OUR_ERROR(error) "io.srvd.Control." error

static json_t *
ask(struct client *client, const char *call)
{
	client_say(client, call);
	return client_hear(client);
}

static void
done(struct client *client, const char *call)
{
	json_t *reply = ask(client, call);

	ck_assert_ptr_null(json_object_get(reply, "error"));
	ck_assert_uint_eq(json_object_size(reply), 1);
	json_decref(reply);
}

static json_int_t
number_of(const json_t *reply, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(reply,
						      "parameters"),
	    key));
}

START_TEST(a_reload_tells_what_it_changed)
{
	struct client client;
	json_t *reply;
	const json_t *changes;
	const json_t *row;
	const char *word;

	server_begin();
	client = client_connect();
	reply = ask(&client, RELOAD);
	ck_assert_int_eq(number_of(reply, "generation"), 8);
	changes =
	    json_object_get(json_object_get(reply, "parameters"), "changes");
	ck_assert_uint_eq(json_array_size(changes), 4);
	row = json_array_get(changes, 1);
	word = json_string_value(json_object_get(row, "kind"));
	ck_assert_str_eq(word, "removed");
	word = json_string_value(json_object_get(row, "object"));
	ck_assert_str_eq(word, "backend");
	word = json_string_value(json_object_get(row, "action"));
	ck_assert_str_eq(word, "drain");
	ck_assert_int_eq(json_integer_value(json_object_get(row,
			     "connections")),
	    5);
	json_decref(reply);
	reply = ask(&client, METHOD_WITH("Reload", "\"dry_run\":true"));
	ck_assert_int_eq(number_of(reply, "generation"), 8);
	json_decref(reply);
	ck_assert_uint_eq(shared->reloads, 2);
	ck_assert_uint_eq(shared->dry_runs, 1);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(a_reload_that_fails_says_where)
{
	struct client client;
	json_t *reply;
	const json_t *errors;

	server_begin();
	client = client_connect();
	shared->outcome = FAKE_INVALID;
	reply = ask(&client, RELOAD);
	expect_error(reply, OUR_ERROR("ConfigInvalid"), NULL, NULL);
	errors =
	    json_object_get(json_object_get(reply, "parameters"), "errors");
	ck_assert_uint_eq(json_array_size(errors), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(
			     json_array_get(errors, 0), "line")),
	    3);
	json_decref(reply);
	shared->outcome = FAKE_FAILED;
	refused(&client, RELOAD, OUR_ERROR("ReloadFailed"), "stage", "bind");
	refused(&client, RELOAD, OUR_ERROR("ReloadFailed"), "message",
	    "0.0.0.0:80 is in use by pid 17");
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(while_one_reloads_it_waits_and_others_do_not)
{
	struct client client;
	struct client other;
	json_t *reply;

	server_begin();
	/* Longer than any limit: none holds for what the gateway does. */
	shared->takes_ms = 2 * (uint32_t)limits_short.take_ms;
	client = client_connect();
	other = client_connect();
	client_say(&client, RELOAD);
	client_say(&client, CALL_INFO);
	for (uint64_t until_ms = clock_ms() + shared->takes_ms - 100;
	     clock_ms() < until_ms;) {
		uint64_t asked_ms = clock_ms();

		expect_served(&other);
		ck_assert_uint_le(clock_ms() - asked_ms, 100 * unit_slowness());
	}
	refused(&other, RELOAD, OUR_ERROR("Busy"), "message", RELOAD_IS_BUSY);
	shared->is_upgrading = true;
	refused(&other, METHOD_WITH("Reload", "\"dry_run\":true"),
	    OUR_ERROR("Busy"), "message", UPGRADE_IS_BUSY);
	ck_assert_uint_eq(shared->reloads, 0);
	/* In the order of the calls. */
	reply = client_hear(&client);
	ck_assert_int_eq(number_of(reply, "generation"), 8);
	json_decref(reply);
	reply = client_hear(&client);
	ck_assert_str_eq(text_of(reply, "product"), "srvd");
	json_decref(reply);
	ck_assert_uint_eq(shared->forgotten, 0);
	client_end(&client);
	client_end(&other);
	server_end();
}
END_TEST

START_TEST(a_reload_goes_on_without_its_client)
{
	struct client client;

	server_begin();
	shared->takes_ms = 100;
	client = client_connect();
	client_say(&client, RELOAD);
	client_expect_silence(&client);
	client_end(&client);
	wait_for(&shared->forgotten, 1);
	ck_assert_uint_eq(shared->reloads, 0);
	wait_for(&shared->reloads, 1);
	/* The next one has nobody to be confused with. */
	client = client_connect();
	json_decref(ask(&client, RELOAD));
	ck_assert_uint_eq(shared->forgotten, 1);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(a_client_that_only_ended_its_side_gets_its_answer)
{
	struct client client;
	json_t *reply;

	server_begin();
	shared->takes_ms = 100;
	client = client_connect();
	client_say(&client, RELOAD);
	ck_assert_int_eq(shutdown(client.fd, SHUT_WR), 0);
	reply = client_hear(&client);
	ck_assert_int_eq(number_of(reply, "generation"), 8);
	json_decref(reply);
	client_expect_end(&client);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(the_server_may_end_in_the_middle_of_a_reload)
{
	struct client client;

	server_begin();
	shared->takes_ms = 60000;
	client = client_connect();
	client_say(&client, RELOAD);
	client_expect_silence(&client);
	server_end();
	ck_assert_uint_eq(shared->forgotten, 1);
	client_expect_end(&client);
	client_end(&client);
}
END_TEST

START_TEST(oneway_calls_are_run_though_their_caller_has_gone)
{
	struct client client;

	server_begin();
	client = client_connect();
	shared->takes_ms = 100;
	client_say(&client, ONEWAY("Reload"));
	client_say(&client, ONEWAY("ReopenLogs"));
	client_say(&client, ONEWAY("Stop"));
	client_end(&client);
	wait_for(&shared->reopened, 1);
	wait_for(&shared->stops, 1);
	wait_for(&shared->reloads, 1);
	ck_assert_uint_eq(shared->forgotten, 0);
	client = client_connect();
	client_say(&client, ONEWAY("ReopenLogs"));
	expect_served(&client);
	ck_assert_uint_eq(shared->reopened, 2);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(an_upgrade_is_answered_when_it_is_over)
{
	struct client client;
	json_t *reply;
	json_t *parameters;
	const char *program;

	server_begin();
	client = client_connect();
	reply = ask(&client, METHOD("Upgrade"));
	parameters = json_object_get(reply, "parameters");
	program = json_string_value(json_object_get(parameters, "program"));
	ck_assert_str_eq(program, "/srvd?");
	ck_assert_int_eq(number_of(reply, "remaining"), 3);
	json_decref(reply);
	shared->outcome = FAKE_FAILED;
	refused(&client, METHOD("Upgrade"), OUR_ERROR("UpgradeFailed"), "stage",
	    "check");
	if (geteuid() == 0)
		refused(&client,
		    METHOD_WITH("Upgrade", "\"program\":\"/none\""),
		    OUR_ERROR("UpgradeFailed"), "message",
		    "/none: no such file");
	refused(&client, METHOD_WITH("Upgrade", "\"program\":7"),
	    "org.varlink.service.InvalidParameter", "parameter", "program");
	ck_assert_uint_eq(shared->upgrades, 2);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(an_upgrade_goes_on_without_its_client)
{
	struct client client;

	server_begin();
	shared->takes_ms = 200;
	client = client_connect();
	client_say(&client, METHOD("Upgrade"));
	client_end(&client);
	while (shared->upgrades == 0)
		usleep(1000);
	ck_assert_uint_eq(shared->forgotten, 1);
	client = client_connect();
	client_say(&client, ONEWAY("Upgrade"));
	client_end(&client);
	while (shared->upgrades == 1)
		usleep(1000);
	ck_assert_uint_eq(shared->forgotten, 1);
	server_end();
}
END_TEST

START_TEST(levels_are_set)
{
	struct client client;

	server_begin();
	client = client_connect();
	done(&client, METHOD_WITH("SetLogLevel", "\"level\":\"debug\""));
	ck_assert_uint_eq(shared->level, LEVEL_DEBUG);
	ck_assert_uint_eq(shared->level_service, CHANNEL_ALL);
	done(&client,
	    METHOD_WITH("SetLogLevel",
		"\"level\":\"error\",\"service\":\"web\""));
	ck_assert_uint_eq(shared->level, LEVEL_ERROR);
	ck_assert_uint_eq(shared->level_service, WEB);
	done(&client,
	    METHOD_WITH("SetLogLevel", "\"level\":\"warn\",\"service\":null"));
	ck_assert_uint_eq(shared->level_service, CHANNEL_ALL);
	shared->level = 77;
	refused(&client, METHOD_WITH("SetLogLevel", "\"level\":\"loud\""),
	    SERVICE("InvalidParameter"), "parameter", "level");
	refused(&client, METHOD_WITH("SetLogLevel", "\"level\":3"),
	    SERVICE("InvalidParameter"), "parameter", "level");
	refused(&client, METHOD("SetLogLevel"), SERVICE("InvalidParameter"),
	    "parameter", "level");
	refused(&client,
	    METHOD_WITH("SetLogLevel",
		"\"level\":\"info\",\"service\":\"none\""),
	    OUR_ERROR("NoSuchService"), "service", "none");
	/* It is no longer in the configuration. */
	refused(&client,
	    METHOD_WITH("SetLogLevel",
		"\"level\":\"info\",\"service\":\"old\""),
	    OUR_ERROR("NoSuchService"), "service", "old");
	ck_assert_uint_eq(shared->level, 77);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(logs_are_opened_anew)
{
	struct client client;

	server_begin();
	client = client_connect();
	done(&client, METHOD("ReopenLogs"));
	ck_assert_uint_eq(shared->reopened, 1);
	refused(&client, METHOD_WITH("ReopenLogs", "\"file\":\"/etc/passwd\""),
	    SERVICE("InvalidParameter"), "parameter", "file");
	ck_assert_uint_eq(shared->reopened, 1);
	shared->outcome = FAKE_FAILED;
	refused(&client, METHOD("ReopenLogs"), OUR_ERROR("ReopenFailed"),
	    "message", "can't open /log again: it is full");
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(a_stop_is_answered_and_may_be_hurried)
{
	static const struct {
		const char *call;
		uint64_t ms;
	} rows[] = {
	    {METHOD("Stop"), 30000},
	    {METHOD_WITH("Stop", "\"drain_s\":null"), 30000},
	    {METHOD_WITH("Stop", "\"drain_s\":90"), 90000},
	    {METHOD_WITH("Stop", "\"drain_s\":31536000"), 31536000000},
	    {METHOD_WITH("Stop", "\"drain_s\":0"), 0},
	};
	static const char *const wrong[] = {
	    METHOD_WITH("Stop", "\"drain_s\":-1"),
	    METHOD_WITH("Stop", "\"drain_s\":31536001"),
	    METHOD_WITH("Stop", "\"drain_s\":9223372036854775807"),
	    METHOD_WITH("Stop", "\"drain_s\":\"0\""),
	    METHOD_WITH("Stop", "\"drain_s\":0.5"),
	};
	struct client client;

	server_begin();
	client = client_connect();
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		refused(&client, wrong[i], SERVICE("InvalidParameter"),
		    "parameter", "drain_s");
	ck_assert_uint_eq(shared->stops, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		done(&client, rows[i].call);
		ck_assert_uint_eq(shared->stops, i + 1);
		ck_assert_uint_eq(shared->stop_ms, rows[i].ms);
	}
	/* While it stops it tells of itself, and begins nothing. */
	json_decref(ask(&client, CALL_OURS));
	refused(&client, RELOAD, OUR_ERROR("ReloadFailed"), "stage", "stop");
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(what_is_not_served_is_not_there)
{
	static const char *const names[] = {"SetBackend", "Migrate", "Watch"};
	struct client client;
	char call[256];
	char full[128];

	server_begin();
	client = client_connect();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(full, sizeof(full), "io.srvd.Control.%s",
		    names[i]);
		(void)snprintf(call, sizeof(call), "{\"method\":\"%s\"}", full);
		refused(&client, call, SERVICE("MethodNotFound"), "method",
		    full);
	}
	client_end(&client);
	server_end();
}
END_TEST

UNIT_MAIN("control_change", a_reload_tells_what_it_changed,
    a_reload_that_fails_says_where,
    while_one_reloads_it_waits_and_others_do_not,
    a_reload_goes_on_without_its_client,
    a_client_that_only_ended_its_side_gets_its_answer,
    the_server_may_end_in_the_middle_of_a_reload,
    oneway_calls_are_run_though_their_caller_has_gone,
    an_upgrade_is_answered_when_it_is_over,
    an_upgrade_goes_on_without_its_client, levels_are_set, logs_are_opened_anew,
    a_stop_is_answered_and_may_be_hurried, what_is_not_served_is_not_there)
