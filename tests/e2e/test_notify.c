/*
 * What the real program tells a service manager, from its start to its stop.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define ECHO                                         \
	"service s {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend e { address = builtin:echo }\n}\n"

#define HEAR_MS 10000

static int manager;
static char heard[2048];

static void
open_manager(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	e2e_path(sun.sun_path, "manager");
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&sun, sizeof sun), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", sun.sun_path, 1), 0);
}

/* The next message, or "" after ms. */
static const char *
hear_within(int ms)
{
	struct timeval limit = {
	    .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
	ssize_t n;

	setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	n = recv(manager, heard, sizeof heard - 1, 0);
	heard[n < 0 ? 0 : n] = '\0';
	return heard;
}

/* The first message that has these words; others come before it, but none
 * that has not. */
static void
expect(const char *words, const char * not )
{
	while (strstr(hear_within(HEAR_MS), words) == NULL) {
		ck_assert_msg(*heard != '\0', "nothing is said with \"%s\"",
		    words);
		ck_assert_msg(strstr(heard, not ) == NULL,
		    "\"%s\" comes before \"%s\"", heard, words);
	}
}

static void
expect_part(const char *words)
{
	ck_assert_msg(strstr(heard, words) != NULL, "no \"%s\" in \"%s\"",
	    words, heard);
}

START_TEST(from_start_to_stop)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int client;

	open_manager();
	gateway_init(&g);
	g.globals = "drain_timeout = 20s\n";
	gateway_start(&g, ECHO);
	expect("READY=1\n", "RELOADING=1");
	expect_part("STATUS=Serving 1 service, 2 workers, generation 1, 0 ");

	gateway_configure(&g,
	    ECHO "service t {\n	listen = {\"127.0.0.1:0\"}\n"
		 "	backend e { address = builtin:echo }\n}\n");
	reload_expect_done(&g);
	expect("RELOADING=1\nMONOTONIC_USEC=", "READY=1");
	expect("READY=1\n", "RELOADING=1");
	expect_part("STATUS=Serving 2 services, 2 workers, generation 2, 0 ");

	gateway_write(g.config, "nonsense", 8);
	reload_expect_refused(&g, "ConfigInvalid", "");
	expect("RELOADING=1\n", "READY=1");
	expect("READY=1\n", "RELOADING=1");
	expect_part("the last reload was refused: ");
	expect_part("srvd.conf: ");

	/* The numbers of connections come by and by. */
	client = net_connect(gateway_address(&g, "s", 0, address));
	net_say(client, "hello");
	net_hear(client, "hello");
	expect(" 1 connection;", "READY=1");

	gateway_signal(&g, SIGTERM);
	expect("STOPPING=1\n", "READY=1");
	expect_part("EXTEND_TIMEOUT_USEC=10000000\n");
	expect_part("STATUS=Stopping: 1 connection, at most 21 s more\n");
	/* As long as it lasts. */
	expect("EXTEND_TIMEOUT_USEC=", "STOPPING=1");
	net_say(client, "still there");
	net_hear(client, "still there");
	close(client);
	gateway_expect_ended(&g, GATEWAY_TIMEOUT_MS);
	close(manager);
}
END_TEST

/* Nobody but the master has a part in it. */
START_TEST(children_are_told_nothing_of_it)
{
	struct gateway g;
	char path[64];
	char text[4096];

	open_manager();
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "10000000", 1), 0);
	gateway_init(&g);
	gateway_start(&g, ECHO);
	snprintf(path, sizeof path, "/proc/%d/environ",
	    (int)gateway_holder(&g, 0));
	proc_read_file(path, text, sizeof text);
	ck_assert_str_eq(text, "");
	gateway_stop(&g);
	close(manager);
}
END_TEST

static unsigned
count_beats(int ms)
{
	uint64_t end = e2e_now_ms() + (uint64_t)ms;
	unsigned count = 0;

	while (e2e_now_ms() < end)
		count += strstr(hear_within(50), "WATCHDOG=1\n") != NULL;
	return count;
}

START_TEST(a_master_that_hangs_is_not_fed)
{
	struct gateway g;

	open_manager();
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "200000", 1), 0);
	gateway_init(&g);
	gateway_start(&g, ECHO);
	expect("READY=1\n", "RELOADING=1");
	expect("WATCHDOG=1\n", "READY=1");
	expect("WATCHDOG=1\n", "READY=1");
	ck_assert_int_eq(kill(g.pid, SIGSTOP), 0);
	while (proc_state(g.pid) != 'T')
		e2e_pause(1);
	while (recv(manager, heard, sizeof heard, MSG_DONTWAIT) >= 0)
		continue;
	ck_assert_uint_eq(count_beats(500), 0);
	ck_assert_int_eq(kill(g.pid, SIGCONT), 0);
	expect("WATCHDOG=1\n", "READY=1");
	gateway_stop(&g);
	close(manager);
}
END_TEST

START_TEST(a_failed_start_says_why)
{
	struct gateway g;
	const char *const argv[] = {
	    gateway_program(), "-d", "-f", g.config, NULL};
	pid_t pid;

	open_manager();
	gateway_init(&g);
	gateway_write(g.config, "nonsense", 8);
	pid = proc_spawn(argv, g.log);
	ck_assert_int_eq(proc_wait(pid, GATEWAY_TIMEOUT_MS), 1);
	expect("STATUS=Can't start: the configuration has errors", "READY=1");
	close(manager);
}
END_TEST

E2E_MAIN("notify", from_start_to_stop, children_are_told_nothing_of_it,
    a_master_that_hangs_is_not_fed, a_failed_start_says_why)
