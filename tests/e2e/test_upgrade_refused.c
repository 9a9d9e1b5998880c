/*
 * Upgrades that can't be are refused with the reason, and the gateway goes on
 * as before, its connections too.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "upgrades.h"

#define NOBODY  65534
#define STREAMS 4
#define ECHO    "	backend e { address = builtin:echo }\n}\n"
#define SERVICE "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO

struct fixture {
	struct gateway gateway;
	struct load *load;
	int client; /* a connection that must never notice */
};

static void
fixture_start(struct fixture *f)
{
	static const struct load_spec spec = {
	    .label = "stream",
	    .shape = LOAD_PINGPONG,
	    .peer = PEER_ECHO,
	    .up = (uint64_t)1 << 40,
	    .down = 0,
	    .message = 1024,
	};
	char address[ADDR_TEXT_SIZE];

	gateway_init(&f->gateway);
	gateway_start(&f->gateway, SERVICE);
	gateway_address(&f->gateway, "s", 0, address);
	f->client = net_connect(address);
	f->load = load_new();
	load_add(f->load, address, &spec, STREAMS, STREAMS);
	load_run_bytes(f->load, 100000);
}

/* The streams go on, and a good reload is done. */
static void
fixture_stop(struct fixture *f)
{
	uint64_t bytes = load_counts(f->load)->bytes;

	load_run_bytes(f->load, bytes + 100000);
	ck_assert_uint_eq(load_counts(f->load)->running, STREAMS);
	ck_assert_uint_eq(load_counts(f->load)->lost, 0);
	ck_assert_uint_eq(load_counts(f->load)->wrong, 0);
	net_say(f->client, "after");
	net_hear(f->client, "after");
	gateway_configure(&f->gateway,
	    SERVICE "service last {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	reload_expect_done(&f->gateway);
	close(f->client);
	load_free(f->load);
	gateway_stop(&f->gateway);
}

/* A copy of a program in the directory of the test. */
static const char *
copy(const char *from, const char *name, unsigned mode)
{
	static char path[E2E_PATH_SIZE];

	upgrade_copy(from, e2e_path(path, name), mode);
	return path;
}

START_TEST(files_that_may_not_be_run_are_refused)
{
	static const char script[] = "#!/bin/sh\nexec true\n";
	struct fixture f;
	char path[E2E_PATH_SIZE];

	fixture_start(&f);
	upgrade_expect_refused(&f.gateway, "/nonexistent/srvd", "program",
	    "No such file");
	upgrade_expect_refused(&f.gateway, e2e_dir(), "program",
	    "is a directory");
	upgrade_expect_refused(&f.gateway, "srvd", "program",
	    "begin with a slash");
	upgrade_expect_refused(&f.gateway,
	    copy(gateway_program(), "plain", 0644), "program",
	    "is not executable");
	upgrade_expect_refused(&f.gateway,
	    copy(gateway_program(), "group", 0775), "program", "by others");
	upgrade_expect_refused(&f.gateway,
	    copy(gateway_program(), "others", 0757), "program", "by others");
	gateway_write(e2e_path(path, "script"), script, sizeof(script) - 1);
	ck_assert_int_eq(chmod(path, 0755), 0);
	upgrade_expect_refused(&f.gateway, path, "program", "is a script");
	if (geteuid() == 0) {
		(void)copy(gateway_program(), "theirs", 0755);
		ck_assert_int_eq(chown(e2e_path(path, "theirs"), NOBODY,
				     NOBODY),
		    0);
		upgrade_expect_refused(&f.gateway, path, "program",
		    "belongs to another user");
	}
	fixture_stop(&f);
}
END_TEST

START_TEST(programs_that_could_not_serve_are_refused)
{
	static const struct {
		const char *name;
		const char *words;
	} rows[] = {
	    {"crashes", "ended by signal 11"},
	    {"leaves", "ended with status 7"},
	    {"mumbles", "not what a srvd says"},
	    {"chatters", "more than"},
	    {"repeats", "not what a srvd says"},
	    {"complains", "status 5: the moon?[2J; is in the wrong place"},
	    {"silent", "/silent: it says nothing"},
	};
	struct fixture f;

	fixture_start(&f);
	upgrade_expect_refused(&f.gateway, "/bin/false", "check",
	    "/bin/false: it ended with status 1");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		upgrade_expect_refused(&f.gateway,
		    copy(STRANGE_PROGRAM, rows[i].name, 0755), "check",
		    rows[i].words);
	upgrade_expect_refused(&f.gateway, STRANGER_PROGRAM, "check",
	    "version of the messages between master and worker");
	fixture_stop(&f);
}
END_TEST

START_TEST(a_configuration_that_it_refuses_is_told)
{
	static const char broken[] = "workers = 2\nservice s {\n\tnonsense\n";
	struct gateway elsewhere;
	struct fixture f;

	fixture_start(&f);
	gateway_write(f.gateway.config, broken, sizeof(broken) - 1);
	upgrade_expect_refused(&f.gateway, NULL, "check", "srvd.conf:");
	/* Its workers would not be found. */
	elsewhere = f.gateway;
	(void)e2e_path(elsewhere.control, "elsewhere.sock");
	gateway_configure(&elsewhere, SERVICE);
	upgrade_expect_refused(&f.gateway, NULL, "check", "needs a restart");
	fixture_stop(&f);
}
END_TEST

/* It said that it could, and the kernel says no: nothing was touched. */
START_TEST(what_can_t_be_executed_in_the_end_is_refused)
{
	struct fixture f;

	fixture_start(&f);
	upgrade_expect_refused(&f.gateway, copy(STRANGE_PROGRAM, "locks", 0700),
	    "exec", "Permission denied");
	fixture_stop(&f);
}
END_TEST

static void
expect_busy(const struct gateway *g, const char *method, const char *parameters)
{
	json_t *reply = gateway_call(g, method, parameters);
	const char *error = json_string_value(json_object_get(reply, "error"));

	const char *message =
	    json_string_value(json_object_get(json_object_get(reply,
						  "parameters"),
		"message"));

	ck_assert_msg(error != NULL &&
		strcmp(error, "io.srvd.Control.Busy") == 0 && message != NULL,
	    "%s: %s", method, error == NULL ? "done" : error);
	ck_assert_msg(strstr(message, "an upgrade is under way") != NULL,
	    "%s: %s", method, message);
	json_decref(reply);
}

/* Meanwhile nothing else begins, and a SIGHUP is not forgotten. */
START_TEST(one_that_hangs_has_its_time)
{
	struct fixture f;
	struct client client;
	int64_t generation;
	json_t *reply;

	fixture_start(&f);
	generation = gateway_number(&f.gateway, "generation");
	upgrade_send(&f.gateway, &client, copy(STRANGE_PROGRAM, "hangs", 0755));
	expect_busy(&f.gateway, "Reload", NULL);
	expect_busy(&f.gateway, "Reload", "{\"dry_run\":true}");
	expect_busy(&f.gateway, "CloseConnections",
	    "{\"filter\":{\"id\":999999}}");
	upgrade_expect_refused(&f.gateway, NULL, "busy", "another upgrade");
	gateway_configure(&f.gateway,
	    SERVICE "service more {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	ck_assert_int_eq(kill(f.gateway.pid, SIGHUP), 0);
	reply = upgrade_receive(&client);
	upgrade_check_refused(reply, "check", "within 10 s");
	json_decref(reply);
	reload_expect_newer(&f.gateway, generation);
	fixture_stop(&f);
}
END_TEST

START_TEST(a_reload_under_way_comes_first)
{
	struct fixture f;
	struct client client;
	struct client reload;
	json_t *reply;
	pid_t worker;

	fixture_start(&f);
	gateway_configure(&f.gateway,
	    SERVICE "service more {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	worker = gateway_signal_worker(&f.gateway, 0, SIGSTOP);
	reload_send(&f.gateway, &reload, false);
	/* It has read the call when it answers the next. */
	(void)gateway_number(&f.gateway, "generation");
	upgrade_send(&f.gateway, &client, NULL);
	reply = upgrade_receive(&client);
	upgrade_check_refused(reply, "busy", "a reload is under way");
	json_decref(reply);
	ck_assert_int_eq(kill(worker, SIGCONT), 0);
	reply = reload_receive(&reload, RELOAD_TIMEOUT_MS);
	ck_assert_msg(reply != NULL && reload_is_done(reply),
	    "the reload was not done");
	json_decref(reply);
	fixture_stop(&f);
}
END_TEST

START_TEST(a_stop_gives_it_up)
{
	struct gateway g;
	struct client client;
	json_t *reply;

	gateway_init(&g);
	gateway_start(&g, SERVICE);
	upgrade_send(&g, &client, copy(STRANGE_PROGRAM, "hangs", 0755));
	expect_busy(&g, "Reload", NULL);
	gateway_signal(&g, SIGTERM);
	reply = upgrade_receive(&client);
	upgrade_check_refused(reply, "stop", "is stopping");
	json_decref(reply);
	gateway_expect_ended(&g, GATEWAY_TIMEOUT_MS);
}
END_TEST

E2E_MAIN("upgrade_refused", files_that_may_not_be_run_are_refused,
    programs_that_could_not_serve_are_refused,
    a_configuration_that_it_refuses_is_told,
    what_can_t_be_executed_in_the_end_is_refused, one_that_hangs_has_its_time,
    a_reload_under_way_comes_first, a_stop_gives_it_up)
