/*
 * Reloads that can't be done are refused with the reason, whole, and the
 * gateway goes on as before.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define ECHO    "	backend e { address = builtin:echo }\n}\n"
#define SERVICE "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO

struct fixture {
	struct gateway gateway;
	int client; /* a connection that must never notice */
};

static void
fixture_start(struct fixture *f)
{
	char address[ADDR_TEXT_SIZE];

	gateway_init(&f->gateway);
	f->gateway.globals = "watchdog = 20s\n";
	gateway_start(&f->gateway, SERVICE);
	f->client = net_connect(gateway_address(&f->gateway, "s", 0, address));
	net_say(f->client, "before");
	net_hear(f->client, "before");
}

/* After all that, a good one is done. */
static void
fixture_stop(struct fixture *f)
{
	net_say(f->client, "after");
	net_hear(f->client, "after");
	gateway_configure(&f->gateway,
	    SERVICE "service last {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	reload_expect_done(&f->gateway);
	net_say(f->client, "good");
	net_hear(f->client, "good");
	close(f->client);
	gateway_stop(&f->gateway);
}

struct bad_file {
	const char *text;
	size_t length;
	const char *words; /* in one of the errors */
};

#define BAD(text, words)                      \
	{                                     \
		text, sizeof(text) - 1, words \
	}

static const struct bad_file bad_files[] = {
    BAD("workers = 2\nservice s {\n", ""),
    BAD("service s }\n", ""),
    BAD("wokers = 2\n" SERVICE, "workers"),
    BAD("workers = 0\n" SERVICE, "workers"),
    BAD("workers = many\n" SERVICE, "workers"),
    BAD("workers = 2\nworkers = 2\n" SERVICE, "workers"),
    BAD(SERVICE SERVICE, "s"),
    BAD("service s {\n	listen = {}\n" ECHO, "listen"),
    BAD("service s {\n" ECHO, "listen"),
    BAD("service s {\n	listen = {*:80}\n" ECHO, "*"),
    BAD("service s {\n	listen = {\"1.2.3.4\"}\n" ECHO, "1.2.3.4"),
    BAD("service s {\n	listen = {\"127.0.0.1:0\"}\n}\n", "backend"),
    BAD("service s {\n	idle_timeout = 30\n}\n", "idle_timeout"),
    BAD("service s {\n	on_remove = explode\n}\n", "on_remove"),
    BAD("service s {\n	balance = fairly\n}\n", "balance"),
    BAD("include(\"no/such/file.conf\")\n" SERVICE, "no/such/file.conf"),
    BAD("include(\"srvd.conf\")\n" SERVICE, ""),
    BAD("max_connections = 1000000\n" SERVICE, "max_connections"),
    BAD("workers = 2\n# \0 \n" SERVICE, ""),
    BAD("workers = 2\n# \xff\xfe\n" SERVICE, ""),
    BAD("log { target = \"${HOME}\" }\n" SERVICE, "${"),
};

/* Every error says where it is and what is wrong. */
static void
check_errors(const json_t *reply, const char *words)
{
	const json_t *errors =
	    json_object_get(json_object_get(reply, "parameters"), "errors");
	char *text = json_dumps(reply, 0);
	bool found = false;
	size_t i;
	json_t *error;

	ck_assert_msg(json_array_size(errors) > 0, "refused for nothing: %s",
	    text);
	json_array_foreach(errors, i, error)
	{
		const char *file =
		    json_string_value(json_object_get(error, "file"));
		const char *message =
		    json_string_value(json_object_get(error, "message"));

		ck_assert_msg(file != NULL && strlen(file) > 0, "where? %s",
		    text);
		ck_assert_msg(message != NULL && strlen(message) > 0,
		    "what? %s", text);
		ck_assert(json_is_integer(json_object_get(error, "line")));
		found = found || strstr(message, words) != NULL;
	}
	ck_assert_msg(found, "no \"%s\" in %s", words, text);
	free(text);
}

static void
expect_bad_config(struct fixture *f, const char *words)
{
	json_t *reply = reload_ask(&f->gateway, false);
	const char *error = json_string_value(json_object_get(reply, "error"));

	ck_assert_msg(error != NULL &&
		strcmp(error, "io.srvd.Control.ConfigInvalid") == 0,
	    "not ConfigInvalid (%s) but %s", words, json_dumps(reply, 0));
	check_errors(reply, words);
	json_decref(reply);
}

START_TEST(bad_files_of_every_kind)
{
	struct fixture f;
	char *picture;

	fixture_start(&f);
	picture = reload_picture(&f.gateway);
	for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
		gateway_write(f.gateway.config, bad_files[i].text,
		    bad_files[i].length);
		expect_bad_config(&f, bad_files[i].words);
	}
	reload_expect_picture(&f.gateway, picture);
	fixture_stop(&f);
}
END_TEST

/* No file, a directory, one that is too long, one of too many services. */
START_TEST(files_that_are_none)
{
	struct fixture f;
	char *picture;
	size_t size = (size_t)40 << 20;
	char *text = malloc(size);
	size_t length = 0;

	ck_assert_ptr_nonnull(text);
	fixture_start(&f);
	picture = reload_picture(&f.gateway);
	ck_assert_int_eq(unlink(f.gateway.config), 0);
	expect_bad_config(&f, "");
	ck_assert_int_eq(symlink(e2e_dir(), f.gateway.config), 0);
	expect_bad_config(&f, "");
	ck_assert_int_eq(unlink(f.gateway.config), 0);
	memset(text, '#', size);
	gateway_write(f.gateway.config, text, size);
	expect_bad_config(&f, "");

	for (int i = 0; i < 5000; i++) /* PLAN_SERVICES_MAX is 4096 */
		length += (size_t)snprintf(text + length, size - length,
		    "service s%d {\n	listen = {\"127.0.0.1:%d\"}\n" ECHO, i,
		    20000 + i);
	gateway_write(f.gateway.config, text, length);
	expect_bad_config(&f, "4096");
	free(text);
	reload_expect_picture(&f.gateway, picture);
	fixture_stop(&f);
}
END_TEST

START_TEST(address_in_use)
{
	struct fixture f;
	char taken[ADDR_TEXT_SIZE];
	char path[E2E_PATH_SIZE];
	char un[ADDR_TEXT_SIZE];
	char address[E2E_PATH_SIZE + 8];
	char me[16];
	int fds[2];

	fixture_start(&f);
	fds[0] = net_listen("127.0.0.1:0", 1, taken);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "taken"));
	fds[1] = net_listen(address, 1, un);
	snprintf(me, sizeof me, "%d", (int)getpid());

	gateway_configure(&f.gateway,
	    "service new {\n	listen = {\"127.0.0.1:0\", \"unix:%s/new\", "
	    "\"%s\"}\n" ECHO SERVICE,
	    e2e_dir(), taken);
	reload_expect_refused(&f.gateway, "ReloadFailed", taken);
	reload_expect_refused(&f.gateway, "ReloadFailed", "in use");
	reload_expect_refused(&f.gateway, "ReloadFailed", me); /* by whom */
	gateway_configure(&f.gateway,
	    "service new {\n	listen = {\"%s\"}\n" ECHO SERVICE, address);
	reload_expect_refused(&f.gateway, "ReloadFailed", address);
	ck_assert_int_eq(access(path, F_OK), 0);
	gateway_configure(&f.gateway,
	    "service new {\n	listen = {\"unix:%s/no/such/dir\"}\n" ECHO
		SERVICE,
	    e2e_dir());
	reload_expect_refused(&f.gateway, "ReloadFailed", "no/such");
	gateway_configure(&f.gateway,
	    "service new {\n	listen = {\"192.0.2.1:0\"}\n" ECHO SERVICE);
	reload_expect_refused(&f.gateway, "ReloadFailed", "192.0.2.1");
	close(fds[0]);
	close(fds[1]);
	fixture_stop(&f);
}
END_TEST

/* The same configuration, to be run as another user. */
static void
configure_user(struct fixture *f, const char *name)
{
	char text[2048];
	char other[2048];
	char *user;

	gateway_configure(&f->gateway, SERVICE);
	proc_read_file(f->gateway.config, text, sizeof text);
	user = strstr(text, "nobody");
	ck_assert_ptr_nonnull(user);
	snprintf(other, sizeof other, "%.*s%s%s", (int)(user - text), text,
	    name, user + strlen("nobody"));
	gateway_write(f->gateway.config, other, strlen(other));
}

START_TEST(what_needs_a_restart)
{
	struct fixture f;
	struct gateway other;

	fixture_start(&f);
	other = f.gateway;
	e2e_path(other.control, "another.sock");
	gateway_configure(&other, SERVICE);
	reload_expect_refused(&f.gateway, "ReloadFailed", "control");

	other = f.gateway;
	other.control_keys = "mode = 600";
	gateway_configure(&other, SERVICE);
	reload_expect_refused(&f.gateway, "ReloadFailed", "restart");

	other.control_keys = "admin_group = daemon";
	gateway_configure(&other, SERVICE);
	reload_expect_refused(&f.gateway, "ReloadFailed", "admin_group");
	if (getuid() == 0) { /* otherwise nobody asks for the user */
		configure_user(&f, "nobodys");
		expect_bad_config(&f, "nobodys");
		configure_user(&f, "root");
		reload_expect_refused(&f.gateway, "ReloadFailed", "user");
	}
	fixture_stop(&f);
}
END_TEST

START_TEST(log_file_that_cannot_be_opened)
{
	struct fixture f;
	char path[E2E_PATH_SIZE];

	fixture_start(&f);
	f.gateway.access = e2e_path(path, "none/access.log");
	gateway_configure(&f.gateway, SERVICE);
	f.gateway.access = "off";
	reload_expect_refused(&f.gateway, "ReloadFailed", path);
	fixture_stop(&f);
}
END_TEST

static void
expect_failed(json_t *reply, const char *stage, const char *words)
{
	const json_t *parameters = json_object_get(reply, "parameters");
	char *text = json_dumps(reply, 0);
	const char *got =
	    json_string_value(json_object_get(parameters, "stage"));

	ck_assert_msg(reply != NULL, "no answer");
	ck_assert_msg(got != NULL && strcmp(got, stage) == 0,
	    "not refused in stage %s but %s", stage, text);
	ck_assert_msg(strstr(text, words) != NULL, "no \"%s\" in %s", words,
	    text);
	free(text);
	json_decref(reply);
}

/* One that hangs is named; when it wakes it is as if nothing had been. */
START_TEST(stopped_worker)
{
	struct fixture f;
	char pid[16];
	char *picture;
	uint64_t start_ms;
	uint64_t took_ms;

	fixture_start(&f);
	gateway_configure(&f.gateway,
	    "service new {\n	listen = {\"127.0.0.1:0\", \"unix:%s/new\"}\n" ECHO
		SERVICE,
	    e2e_dir());
	picture = reload_picture(&f.gateway);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(pid, sizeof pid, "%d",
		    (int)gateway_signal_worker(&f.gateway, i, SIGSTOP));
		start_ms = e2e_now_ms();
		expect_failed(reload_ask(&f.gateway, i == 1), "prepare", pid);
		took_ms = e2e_now_ms() - start_ms;
		ck_assert_msg(took_ms >= 1500 && took_ms < 6000,
		    "refused after %llu ms", (unsigned long long)took_ms);
		(void)gateway_signal_worker(&f.gateway, i, SIGCONT);
		reload_expect_picture(&f.gateway, picture);
		picture = reload_picture(&f.gateway);
	}
	free(picture);
	reload_expect_done(&f.gateway); /* the same, with all awake */
	fixture_stop(&f);
}
END_TEST

/* While one is under way others are refused at once; a signal is kept until
 * it is over. */
START_TEST(second_reload_meanwhile)
{
	struct fixture f;
	struct client client;
	json_t *reply;

	fixture_start(&f);
	gateway_configure(&f.gateway,
	    SERVICE "service new {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	(void)gateway_signal_worker(&f.gateway, 1, SIGSTOP);
	reload_send(&f.gateway, &client, false);
	reply = gateway_call(&f.gateway, "Reload", NULL);
	ck_assert_ptr_nonnull(reply);
	ck_assert_str_eq(json_string_value(json_object_get(reply, "error")),
	    "io.srvd.Control.Busy");
	json_decref(reply);
	gateway_signal(&f.gateway, SIGHUP);
	expect_failed(reload_receive(&client, 10000), "prepare", "");
	ck_assert_int_eq(gateway_number(&f.gateway, "generation"), 1);
	(void)gateway_signal_worker(&f.gateway, 1, SIGCONT);
	reload_expect_newer(&f.gateway, 1);
	fixture_stop(&f);
}
END_TEST

/* Whoever may only look keeps nobody from a change. */
START_TEST(dry_run_makes_way)
{
	struct fixture f;
	struct client dry;
	struct client real;
	json_t *reply;

	fixture_start(&f);
	gateway_configure(&f.gateway,
	    SERVICE "service new {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	(void)gateway_signal_worker(&f.gateway, 1, SIGSTOP);
	reload_send(&f.gateway, &dry, true);
	ck_assert_ptr_null(reload_receive(&dry, 200));
	reload_send(&f.gateway, &real, false);
	expect_failed(reload_receive(&dry, 1500), "superseded", "");
	(void)gateway_signal_worker(&f.gateway, 1, SIGCONT);
	reply = reload_receive(&real, RELOAD_TIMEOUT_MS);
	ck_assert_ptr_nonnull(reply);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	fixture_stop(&f);
}
END_TEST

/* Whoever asked may go away: it is done all the same. */
START_TEST(client_that_leaves)
{
	struct fixture f;
	struct client client;

	fixture_start(&f);
	gateway_configure(&f.gateway,
	    SERVICE "service new {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	(void)gateway_signal_worker(&f.gateway, 0, SIGSTOP);
	reload_send(&f.gateway, &client, false);
	ck_assert_ptr_null(reload_receive(&client, 200));
	client_close(&client);
	(void)gateway_signal_worker(&f.gateway, 0, SIGCONT);
	reload_expect_newer(&f.gateway, 1);
	fixture_stop(&f);
}
END_TEST

/* A stop ends a reload that is not yet in force. */
START_TEST(stop_meanwhile)
{
	struct fixture f;
	struct client client;
	char path[E2E_PATH_SIZE];

	fixture_start(&f);
	gateway_configure(&f.gateway,
	    SERVICE "service new {\n	listen = {\"unix:%s/new\"}\n" ECHO,
	    e2e_dir());
	(void)gateway_signal_worker(&f.gateway, 1, SIGSTOP);
	reload_send(&f.gateway, &client, false);
	ck_assert_ptr_null(reload_receive(&client, 300));
	gateway_signal(&f.gateway, SIGTERM);
	expect_failed(reload_receive(&client, 5000), "stop", "");
	ck_assert_int_eq(access(e2e_path(path, "new"), F_OK), -1);
	(void)kill(gateway_worker(&f.gateway, 1), SIGCONT);
	net_say(f.client, "still");
	net_hear(f.client, "still");
	close(f.client);
	gateway_expect_ended(&f.gateway, GATEWAY_TIMEOUT_MS);
}
END_TEST

E2E_MAIN("reload_refused", bad_files_of_every_kind, files_that_are_none,
    address_in_use, what_needs_a_restart, log_file_that_cannot_be_opened,
    stopped_worker, second_reload_meanwhile, dry_run_makes_way,
    client_that_leaves, stop_meanwhile)
