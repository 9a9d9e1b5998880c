/*
 * What stays over an upgrade, and what may have changed: the program's file,
 * the configuration, passed sockets, who asked, the service manager.  And what
 * comes of ones that are stopped, or fail when it is too late to refuse them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/version.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "upgrades.h"

#define ECHO "	backend e { address = builtin:echo }\n}\n"
#define ONE  "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO
#define MORE ONE "service t {\n	listen = {\"127.0.0.1:0\"}\n" ECHO

static void
expect_echo(int fd)
{
	net_say(fd, "hello");
	net_hear(fd, "hello");
}

/* One that is not to notice, and one that comes. */
static void
expect_serving(int fd, const char *address)
{
	int another = net_connect(address);

	expect_echo(fd);
	expect_echo(another);
	close(another);
}

/* As a package does it: the file is another one, and nothing is named. */
START_TEST(the_file_may_be_replaced)
{
	struct gateway g;
	char path[E2E_PATH_SIZE];
	char other[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];
	int client;

	upgrade_copy(gateway_program(), e2e_path(path, "srvd"), 0755);
	ck_assert_int_eq(setenv("SRVD_BIN", path, 1), 0);
	gateway_init(&g);
	gateway_start(&g, ONE);
	client = net_connect(gateway_address(&g, "s", 0, address));
	upgrade_copy(NEXT_PROGRAM, e2e_path(other, "other"), 0755);
	ck_assert_int_eq(rename(other, path), 0);
	upgrade_expect_done(&g, NULL, SRVD_VERSION, UPGRADE_NEXT);
	upgrade_expect_program(&g, path);
	expect_serving(client, address);
	/* And the one that came knows its place, too. */
	upgrade_expect_done(&g, NULL, UPGRADE_NEXT, UPGRADE_NEXT);
	expect_serving(client, address);
	close(client);
	gateway_stop(&g);
}
END_TEST

/* Whatever was named since, it is the file that a restart would begin with; and
 * the log says whom the workers were taken over from. */
START_TEST(without_a_name_it_is_the_file_of_the_start)
{
	struct gateway g;
	char home[E2E_PATH_SIZE];
	char other[E2E_PATH_SIZE];
	char log[16384];

	upgrade_copy(gateway_program(), e2e_path(home, "srvd 1"), 0755);
	upgrade_copy(NEXT_PROGRAM, e2e_path(other, "other"), 0755);
	ck_assert_int_eq(setenv("SRVD_BIN", home, 1), 0);
	gateway_init(&g);
	gateway_start(&g, ONE);
	upgrade_expect_done(&g, other, SRVD_VERSION, UPGRADE_NEXT);
	upgrade_expect_done(&g, NEXT_PROGRAM, UPGRADE_NEXT, UPGRADE_NEXT);
	upgrade_expect_done(&g, NULL, UPGRADE_NEXT, SRVD_VERSION);
	upgrade_expect_program(&g, home);
	proc_read_file(g.log, log, sizeof log);
	ck_assert_msg(strstr(log,
			  "took over from the program before the upgrade "
			  "from=" UPGRADE_NEXT) != NULL &&
		strstr(log, "belonged to the program before the upgrade") !=
		    NULL &&
		strstr(log, "a master that is gone") == NULL &&
		strstr(log, "another master") == NULL,
	    "%s", log);
	gateway_stop(&g);
}
END_TEST

/* The master has died, and who starts it again has another program by now: the
 * bodies are of a layout that it does not know. */
START_TEST(another_program_takes_over)
{
	const char *const programs[] = {
	    NEXT_PROGRAM, upgrade_this_program(), NEXT_PROGRAM};
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int64_t accepted;
	int client;

	gateway_init(&g);
	gateway_start(&g, ONE);
	client = net_connect(gateway_address(&g, "s", 0, address));
	expect_echo(client);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		accepted = gateway_number(&g, "totals/accepted");
		gateway_kill(&g);
		expect_serving(client, address);
		ck_assert_int_eq(setenv("SRVD_BIN", programs[i], 1), 0);
		gateway_run(&g);
		upgrade_expect_program(&g, programs[i]);
		expect_serving(client, address);
		ck_assert_int_eq(gateway_number(&g, "totals/accepted"),
		    accepted + 2);
		gateway_configure(&g, i % 2 == 0 ? MORE : ONE);
		reload_expect_done(&g);
	}
	expect_echo(client);
	close(client);
	gateway_stop(&g);
}
END_TEST

START_TEST(the_configuration_may_have_changed)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int64_t generation;
	int client;

	gateway_init(&g);
	gateway_start(&g, ONE);
	client = net_connect(gateway_address(&g, "s", 0, address));
	generation = gateway_number(&g, "generation");
	gateway_configure(&g, MORE);
	upgrade_expect_done(&g, NEXT_PROGRAM, SRVD_VERSION, UPGRADE_NEXT);
	ck_assert_int_gt(gateway_number(&g, "generation"), generation);
	expect_serving(client, address);
	close(client);
	client = net_connect(gateway_address(&g, "t", 0, address));
	gateway_configure(&g, ONE);
	reload_expect_done(&g);
	expect_echo(client);
	close(client);
	gateway_stop(&g);
}
END_TEST

START_TEST(passed_sockets_stay)
{
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	char unused[ADDR_TEXT_SIZE];
	int fds[2] = {net_listen("127.0.0.1:0", 8, unused),
	    net_listen("127.0.0.1:0", 8, bound)};
	int client;

	gateway_init(&g);
	g.sockets = (struct proc_sockets){.fds = fds, .count = 2};
	ck_assert_int_eq(setenv("LISTEN_FDNAMES", "spare:web", 1), 0);
	gateway_start(&g, "service s {\n	listen = systemd:web\n" ECHO);
	client = net_connect(bound);
	upgrade_expect_done(&g, NEXT_PROGRAM, SRVD_VERSION, UPGRADE_NEXT);
	expect_serving(client, bound);
	upgrade_expect_done(&g, upgrade_this_program(), UPGRADE_NEXT,
	    SRVD_VERSION);
	expect_serving(client, bound);
	/* One that was of no use may be, later. */
	gateway_configure(&g,
	    "service s {\n	listen = {systemd:web, systemd:spare}\n" ECHO);
	reload_expect_done(&g);
	expect_serving(client, unused);
	close(client);
	gateway_stop(&g);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static bool
is_next_version(void *arg)
{
	const struct gateway *g = arg;
	json_t *reply = gateway_call(g, "GetStatus", NULL);
	const char *version =
	    json_string_value(json_object_get(json_object_get(reply,
						  "parameters"),
		"version"));
	bool is = version != NULL && strcmp(version, UPGRADE_NEXT) == 0;

	json_decref(reply);
	return is;
}

/* The connection to the control socket is one like others afterwards; but what
 * was asked in advance is not answered. */
START_TEST(who_asked_stays_a_client)
{
	static const char two[] = "{\"method\":\"io.srvd.Control.Upgrade\"}\0"
				  "{\"method\":\"io.srvd.Control.GetStatus\"}";
	struct gateway g;
	struct client client;
	json_t *reply;

	gateway_init(&g);
	gateway_start(&g, ONE);
	upgrade_send(&g, &client, NEXT_PROGRAM);
	upgrade_expect_reply(client_hear(&client, UPGRADE_TIMEOUT_MS),
	    SRVD_VERSION, UPGRADE_NEXT);
	ck_assert_int_eq(client_call(&client, "GetStatus", NULL, false), 0);
	reply = client_hear(&client, 5000);
	ck_assert_str_eq(json_string_value(json_object_get(
			     json_object_get(reply, "parameters"), "version")),
	    UPGRADE_NEXT);
	json_decref(reply);
	ck_assert_int_eq(client_send(&client, two, sizeof two), 0);
	upgrade_expect_reply(client_hear(&client, UPGRADE_TIMEOUT_MS),
	    UPGRADE_NEXT, SRVD_VERSION);
	ck_assert(client_has_ended(&client, 5000));
	client_close(&client);
	/* Who has gone is not waited for. */
	upgrade_send(&g, &client, NEXT_PROGRAM);
	client_close(&client);
	ck_assert(e2e_wait(is_next_version, &g, UPGRADE_TIMEOUT_MS));
	gateway_stop(&g);
}
END_TEST

/* What the service manager hears, and that it goes on to hear it. */
static void
expect_said(int manager, const char *words)
{
	struct timeval limit = {.tv_sec = 10};
	char text[2048];
	ssize_t n;

	setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	do {
		n = recv(manager, text, sizeof text - 1, 0);
		ck_assert_msg(n > 0, "nothing is said with \"%s\"", words);
		text[n] = '\0';
		ck_assert_msg(strstr(text, "STOPPING") == NULL &&
			strstr(text, "MAINPID") == NULL,
		    "%s", text);
	} while (strstr(text, words) == NULL);
}

START_TEST(the_service_manager_is_told)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct gateway g;

	e2e_path(sun.sun_path, "manager");
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&sun, sizeof sun), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", sun.sun_path, 1), 0);
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "400000", 1), 0);
	gateway_init(&g);
	gateway_start(&g, ONE);
	expect_said(manager, "READY=1");
	upgrade_expect_done(&g, NEXT_PROGRAM, SRVD_VERSION, UPGRADE_NEXT);
	expect_said(manager, "STATUS=Upgrading to " UPGRADE_NEXT);
	expect_said(manager, "READY=1");
	expect_said(manager, "WATCHDOG=1");
	upgrade_expect_done(&g, upgrade_this_program(), UPGRADE_NEXT,
	    SRVD_VERSION);
	expect_said(manager, "STATUS=Upgrading to " SRVD_VERSION);
	expect_said(manager, "WATCHDOG=1");
	gateway_stop(&g);
	close(manager);
}
END_TEST

/* A program that says that it could, and ends: that is a death of the master,
 * and the next takes over. */
START_TEST(one_that_lies_costs_nothing_but_the_master)
{
	struct gateway g;
	struct client client;
	char path[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];
	int idle;

	upgrade_copy(STRANGE_PROGRAM, e2e_path(path, "lies"), 0755);
	gateway_init(&g);
	gateway_start(&g, ONE);
	idle = net_connect(gateway_address(&g, "s", 0, address));
	expect_echo(idle);
	upgrade_send(&g, &client, path);
	ck_assert(client_has_ended(&client, UPGRADE_TIMEOUT_MS));
	client_close(&client);
	ck_assert_int_eq(proc_wait(g.pid, GATEWAY_TIMEOUT_MS), 99);
	expect_serving(idle, address);
	gateway_run(&g);
	expect_serving(idle, address);
	upgrade_expect_done(&g, NEXT_PROGRAM, SRVD_VERSION, UPGRADE_NEXT);
	expect_serving(idle, address);
	close(idle);
	gateway_stop(&g);
}
END_TEST

/* Whenever a stop comes, before the exec or after it, it is not lost. */
START_TEST(a_stop_at_any_moment_is_a_stop)
{
	for (int ms = 0; ms < 40; ms += 4) {
		struct gateway g;
		struct client client;

		gateway_init(&g);
		gateway_start(&g, ONE);
		upgrade_send(&g, &client, NEXT_PROGRAM);
		e2e_pause(ms);
		gateway_signal(&g, SIGTERM);
		gateway_expect_ended(&g, GATEWAY_TIMEOUT_MS);
		client_close(&client);
	}
}
END_TEST

E2E_MAIN("upgrade_kept", the_file_may_be_replaced,
    without_a_name_it_is_the_file_of_the_start, another_program_takes_over,
    the_configuration_may_have_changed, passed_sockets_stay,
    who_asked_stays_a_client, the_service_manager_is_told,
    one_that_lies_costs_nothing_but_the_master, a_stop_at_any_moment_is_a_stop)
