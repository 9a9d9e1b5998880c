/*
 * Every reply of the real program is what its own description says: after
 * deaths, with connections of many kinds, and of reloads done and refused.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "reloads.h"
#include "tests/unit/varlink_check.h"

#define DESCRIPTION_CALL                                               \
	"{\"method\":\"org.varlink.service.GetInterfaceDescription\"," \
	"\"parameters\":{\"interface\":\"io.srvd.Control\"}}"

#define ECHO "	backend e { address = builtin:echo }\n}\n"
#define KEPT "service kept {\n	listen = {\"127.0.0.1:0\"}\n" ECHO
#define GONE                                                          \
	"service gone {\n	listen = {\"unix:%s/gone\"}\n	on_remove = " \
	"drain\n" ECHO

static struct gateway gateway;
static struct varlink contract;
static char access_path[E2E_PATH_SIZE];

static void
read_contract(void)
{
	struct client client;
	json_t *reply;
	const char *text;

	ck_assert_int_eq(client_open(&client, gateway.control), 0);
	ck_assert_int_eq(client_send(&client, DESCRIPTION_CALL,
			     sizeof DESCRIPTION_CALL),
	    0);
	reply = client_hear(&client, NET_TIMEOUT_MS);
	text = json_string_value(gateway_find(reply, "parameters/description"));
	ck_assert_ptr_nonnull(text);
	varlink_parse(&contract, text);
	json_decref(reply);
	client_close(&client);
}

/* All replies to a call; error: the name of the one it is answered with. */
static void
check(const char *method, const char *parameters, const char *error)
{
	struct client client;
	bool more = strcmp(method, "ListConnections") == 0;
	bool continues = true;

	ck_assert_int_eq(client_open(&client, gateway.control), 0);
	ck_assert_int_eq(client_call(&client, method, parameters, more), 0);
	while (continues) {
		json_t *reply = client_hear(&client, RELOAD_TIMEOUT_MS);
		const char *got =
		    json_string_value(json_object_get(reply, "error"));

		ck_assert_msg(reply != NULL, "no answer to %s", method);
		varlink_check_reply(&contract, method, reply);
		got = got == NULL ? "" : strrchr(got, '.') + 1;
		ck_assert_msg(strcmp(got, error) == 0,
		    "%s is answered with \"%s\" and not \"%s\"", method, got,
		    error);
		continues = json_object_get(reply, "continues") != NULL;
		json_decref(reply);
	}
	client_close(&client);
}

static void
begin(void)
{
	gateway_init(&gateway);
	gateway.access = e2e_path(access_path, "access.log");
	gateway_start(&gateway, KEPT GONE, e2e_dir());
	read_contract();
}

static int
echo_through(const char *service)
{
	char address[ADDR_TEXT_SIZE];
	int fd = net_connect(gateway_address(&gateway, service, 0, address));

	net_say(fd, "x");
	net_hear(fd, "x");
	return fd;
}

START_TEST(status_and_connections)
{
	static const int deaths[] = {SIGKILL, SIGSEGV, SIGABRT, SIGBUS};
	int fds[2];

	begin();
	fds[0] = echo_through("kept");
	fds[1] = echo_through("gone");
	for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
		pid_t old = gateway_signal_worker(&gateway, i % 2, deaths[i]);

		check("GetStatus", NULL, "");
		gateway_expect_successor(&gateway, i % 2, old);
		check("GetStatus", "{\"service\":\"gone\"}", "");
		check("ListConnections", NULL, "");
	}
	check("CloseConnections", "{\"filter\":{\"service\":\"kept\"}}", "");
	check("ListConnections", "{\"filter\":{\"state\":\"relaying\"}}", "");
	check("CloseConnections",
	    "{\"filter\":{\"service\":\"gone\"},\"reset\":true}", "");
	close(fds[0]);
	close(fds[1]);
	gateway_stop(&gateway);
}
END_TEST

START_TEST(reloads_done_and_refused)
{
	static const char bad[] = "workers = lots\nservice x {\n";
	int fd;

	begin();
	fd = echo_through("gone");
	check("Reload", NULL, ""); /* nothing has changed */
	gateway_write(gateway.config, bad, strlen(bad));
	check("Reload", NULL, "ConfigInvalid");
	check("GetStatus", NULL, "");
	gateway.globals = "drain_timeout = 7s\n";
	gateway.control_keys = "mode = 600";
	gateway_configure(&gateway, KEPT);
	check("Reload", NULL, "ReloadFailed");
	gateway.control_keys = "";
	gateway.workers = 1;
	gateway_configure(&gateway, KEPT);
	check("Reload", NULL, "");
	check("GetStatus", NULL, "");
	check("Rebalance", NULL, "");
	gateway.workers = 3;
	gateway_configure(&gateway,
	    KEPT "service new {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	check("Reload", "{\"dry_run\":true}", "");
	check("Reload", NULL, "");
	check("ListConnections", "{\"filter\":{\"service\":\"gone\"}}", "");
	check("GetStatus", NULL, "");
	close(fd);
	gateway_stop(&gateway);
}
END_TEST

START_TEST(what_is_done_at_once)
{
	begin();
	check("SetLogLevel", "{\"level\":\"debug\"}", "");
	check("SetLogLevel", "{\"level\":\"info\",\"service\":\"kept\"}", "");
	check("SetLogLevel", "{\"level\":\"info\",\"service\":\"none\"}",
	    "NoSuchService");
	check("CloseConnections",
	    "{\"filter\":{\"service\":\"kept\",\"backend\":\"none\"}}",
	    "NoSuchBackend");
	check("ReopenLogs", NULL, "");
	ck_assert_int_eq(unlink(access_path), 0);
	ck_assert_int_eq(mkdir(access_path, 0700), 0);
	check("ReopenLogs", NULL, "ReopenFailed");
	ck_assert_int_eq(rmdir(access_path), 0);
	check("Stop", "{\"drain_s\":0}", "");
	gateway_expect_ended(&gateway, GATEWAY_TIMEOUT_MS);
}
END_TEST

E2E_MAIN("contract", status_and_connections, reloads_done_and_refused,
    what_is_done_at_once)
