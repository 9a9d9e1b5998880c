/*
 * Sockets that a service manager passed: taken by name and by address, kept
 * over reloads, deaths and stops, and never harmed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define ECHO    "	backend e { address = builtin:echo }\n}\n"
#define BY_NAME "service s {\n	listen = systemd:web\n" ECHO
#define OTHER   "service o {\n	listen = 127.0.0.1:0\n" ECHO

static void
pass(struct gateway *g, const int *fds, int count, const char *names)
{
	gateway_init(g);
	g->sockets = (struct proc_sockets){.fds = fds, .count = count};
	ck_assert_int_eq(setenv("LISTEN_FDNAMES", names, 1), 0);
}

static void
expect_echo(int fd)
{
	net_say(fd, "hello");
	net_hear(fd, "hello");
	close(fd);
}

static void
expect_said(const struct gateway *g, const char *words)
{
	char text[16384];

	proc_read_file(g->log, text, sizeof text);
	ck_assert_msg(strstr(text, words) != NULL, "no \"%s\" in: %s", words,
	    text);
}

/* srvd does not start, and says why. */
static void
expect_refused(const struct gateway *g, const char *words)
{
	const char *const argv[] = {
	    gateway_program(), "-d", "-f", g->config, NULL};
	pid_t pid = proc_spawn_activated(argv, g->log, SIGKILL, &g->sockets);

	ck_assert_int_eq(proc_wait(pid, GATEWAY_TIMEOUT_MS), 1);
	expect_said(g, words);
}

static void
expect_listener(const struct gateway *g, unsigned number, const char *address,
    const char *bound)
{
	json_t *status = gateway_status(g);
	const json_t *row =
	    json_array_get(json_object_get(status, "listeners"), number);

	ck_assert_str_eq(json_string_value(json_object_get(row, "address")),
	    address);
	ck_assert_str_eq(json_string_value(json_object_get(row, "bound")),
	    bound);
	json_decref(status);
}

/* One name may be several sockets, of both kinds. */
START_TEST(sockets_are_taken_by_name)
{
	struct gateway g;
	char unix_address[E2E_PATH_SIZE + 8];
	char path[E2E_PATH_SIZE];
	char bound[3][ADDR_TEXT_SIZE];
	int fds[3];
	int client;

	snprintf(unix_address, sizeof unix_address, "unix:%s",
	    e2e_path(path, "in"));
	fds[0] = net_listen("127.0.0.1:0", 8, bound[0]);
	fds[1] = net_listen("127.0.0.1:0", 8, bound[1]);
	fds[2] = net_listen(unix_address, 8, bound[2]);
	/* Who comes before srvd is there waits. */
	client = net_connect(bound[0]);
	pass(&g, fds, 3, "web:spare:web");
	g.access = e2e_path(path, "access");
	gateway_start(&g, BY_NAME);
	expect_listener(&g, 0, "systemd:web", bound[0]);
	expect_listener(&g, 1, "systemd:web", bound[2]);
	expect_echo(client);
	expect_echo(net_connect(bound[0]));
	expect_echo(net_connect(unix_address));
	gateway_expect_number(&g, "services/s/accepted", 3);
	expect_said(&g, "systemd:spare");
	expect_said(&g, bound[1]);
	gateway_stop(&g);
	expect_said(&g, "stopped");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
END_TEST

START_TEST(sockets_are_taken_by_address)
{
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	char now[ADDR_TEXT_SIZE];
	int fd = net_listen("127.0.0.1:0", 8, bound);

	pass(&g, &fd, 1, "unknown");
	gateway_start(&g, "service s {\n	listen = %s\n" ECHO, bound);
	ck_assert_str_eq(gateway_address(&g, "s", 0, now), bound);
	expect_echo(net_connect(bound));
	gateway_expect_number(&g, "services/s/accepted", 1);
	/* Workers share it, and none may wait in vain, also after systemd has
	 * given it to another service, too. */
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	expect_echo(net_connect(bound));
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	gateway_stop(&g);
	close(fd);
}
END_TEST

static mode_t
mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 0777;
}

/* Reloads take it away and give it back, workers die, srvd stops and comes
 * again: whoever connects meanwhile waits and is served. */
START_TEST(a_socket_outlives_its_listener)
{
	struct gateway g;
	char address[E2E_PATH_SIZE + 8];
	char path[E2E_PATH_SIZE];
	char bound[ADDR_TEXT_SIZE];
	pid_t worker;
	int waiting;
	int fd;

	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "in"));
	fd = net_listen(address, 8, bound);
	pass(&g, &fd, 1, "web");
	gateway_start(&g, BY_NAME OTHER);
	expect_echo(net_connect(address));

	gateway_configure(&g, OTHER);
	reload_expect_done(&g);
	waiting = net_connect(address);
	net_say(waiting, "anyone");
	ck_assert(net_is_silent(waiting, 100));
	expect_said(&g, "systemd:web");
	gateway_configure(&g,
	    BY_NAME "service t {\n	listen = 127.0.0.1:0\n"
		    "	mode = 600\n" ECHO);
	reload_expect_done(&g);
	net_hear(waiting, "anyone");

	for (unsigned i = 0; i < g.workers; i++) {
		worker = gateway_signal_worker(&g, i, SIGKILL);
		gateway_expect_successor(&g, i, worker);
	}
	expect_echo(waiting);
	expect_echo(net_connect(address));
	gateway_stop(&g);

	ck_assert_uint_eq(mode_of(path), 0777);
	waiting = net_connect(address);
	gateway_configure(&g,
	    "service s {\n	listen = \"%s\"\n	mode = 640\n" ECHO,
	    address);
	gateway_run(&g);
	expect_echo(waiting);
	expect_said(&g, "SocketMode=");
	ck_assert_uint_eq(mode_of(path), 0777);
	gateway_stop(&g);
	ck_assert_uint_eq(mode_of(path), 0777);
	close(fd);
}
END_TEST

static uint64_t
workers_cpu_ms(const struct gateway *g)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < g->workers; i++)
		sum += proc_cpu_ms(gateway_worker(g, i));
	return sum;
}

/* Another master finds them in the bodies of the one that died, too: they are
 * the manager's all the same, whether it has a use for them or not. */
START_TEST(a_socket_outlives_its_master)
{
	struct gateway g;
	char address[2][ADDR_TEXT_SIZE];
	char path[E2E_PATH_SIZE];
	int fds[2];
	int client;

	snprintf(address[0], sizeof address[0], "unix:%s",
	    e2e_path(path, "in"));
	fds[0] = net_listen(address[0], 8, address[0]);
	fds[1] = net_listen("127.0.0.1:0", 8, address[1]);
	pass(&g, fds, 2, "web:web");
	gateway_start(&g, BY_NAME);
	client = net_connect(address[0]);
	net_say(client, "before");
	net_hear(client, "before");
	for (unsigned i = 0; i < 4; i++) {
		gateway_kill(&g);
		gateway_configure(&g, "%s", i % 2 == 0 ? BY_NAME : OTHER);
		gateway_run(&g);
		ck_assert_int_eq(access(path, F_OK), 0);
		if (i % 2 == 0) {
			expect_echo(net_connect(address[0]));
			expect_echo(net_connect(address[1]));
		}
		net_say(client, "after");
		net_hear(client, "after");
	}
	close(client);
	gateway_stop(&g);
	ck_assert_int_eq(access(path, F_OK), 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Who else has it may end it, too.  epoll tells of that for ever: workers that
 * were told again and again took all of the processors. */
START_TEST(one_that_is_shut_down_is_waited_for)
{
	struct sockaddr_in sin = {0};
	socklen_t length = sizeof sin;
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	uint64_t before;
	int fd = net_listen("127.0.0.1:0", 8, bound);

	pass(&g, &fd, 1, "web");
	gateway_start(&g, BY_NAME);
	expect_echo(net_connect(bound));
	ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
	before = workers_cpu_ms(&g);
	e2e_pause(1000); /* the time that is measured */
	ck_assert_uint_lt(workers_cpu_ms(&g) - before, 200);
	expect_said(&g, "nobody can connect to systemd:web");
	/* Which may give it another port. */
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &length), 0);
	snprintf(bound, sizeof bound, "127.0.0.1:%u", ntohs(sin.sin_port));
	expect_echo(net_connect(bound));
	gateway_stop(&g);
	close(fd);
}
END_TEST

/* A socket for both families, as systemd makes of ListenStream=80: it is "*",
 * and IPv4 clients are shown as such. */
START_TEST(one_socket_for_both_families)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
	socklen_t length = sizeof sin6;
	struct gateway g;
	char address[3][ADDR_TEXT_SIZE];
	unsigned port;
	char client[ADDR_TEXT_SIZE];
	json_t *reply;
	int fds[2];
	int fd;

	if (!net_has_ipv6()) {
		e2e_skip("no IPv6 on the loopback");
		return;
	}
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin6, length), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin6, &length), 0);
	port = ntohs(sin6.sin6_port);
	snprintf(address[0], ADDR_TEXT_SIZE, "*:%u", port);
	snprintf(address[1], ADDR_TEXT_SIZE, "127.0.0.1:%u", port);
	snprintf(address[2], ADDR_TEXT_SIZE, "[::1]:%u", port);
	pass(&g, &fd, 1, "web");

	/* It is not one for IPv6 alone. */
	gateway_configure(&g, "service s {\n	listen = \"[::]:%u\"\n" ECHO,
	    port);
	expect_refused(&g, "write \"systemd:web\"");

	gateway_start(&g, "service s {\n	listen = \"%s\"\n" ECHO,
	    address[0]);
	expect_listener(&g, 0, address[0], address[0]);
	for (int i = 0; i < 2; i++) {
		fds[i] = net_connect(address[i + 1]);
		net_say(fds[i], "hello");
		net_hear(fds[i], "hello");
	}
	reply = gateway_call(&g, "CloseConnections",
	    "{\"filter\":{\"client\":\"127.0.0.0/8\"}}");
	snprintf(client, sizeof client, "%lld",
	    (long long)json_integer_value(json_object_get(json_object_get(reply,
							      "parameters"),
		"closed")));
	ck_assert_str_eq(client, "1");
	json_decref(reply);
	net_expect_end(fds[0], NET_CLOSED);
	expect_echo(fds[1]);
	gateway_stop(&g);
	close(fds[0]);
	close(fd);
}
END_TEST

START_TEST(what_is_missing_is_named)
{
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	int fd;

	gateway_init(&g);
	gateway_configure(&g, BY_NAME);
	expect_refused(&g, "FileDescriptorName=web");
	fd = net_listen("127.0.0.1:0", 8, bound);
	pass(&g, &fd, 1, "other");
	gateway_configure(&g, BY_NAME);
	expect_refused(&g, "systemd:web: no socket of that name was passed");
	gateway_start(&g, "service s {\n	listen = systemd:other\n" ECHO);
	gateway_configure(&g, BY_NAME);
	reload_expect_refused(&g, "ReloadFailed", "those that were: other");
	/* One socket is no two listeners. */
	gateway_configure(&g,
	    "service s {\n	listen = systemd:other\n" ECHO
	    "service t {\n	listen = %s\n" ECHO,
	    bound);
	reload_expect_refused(&g, "ConfigInvalid", "listened on already");
	expect_echo(net_connect(bound));
	gateway_stop(&g);
	close(fd);
}
END_TEST

/* What a .socket unit may get wrong. */
START_TEST(others_than_listening_streams_are_refused)
{
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	int listener = net_listen("127.0.0.1:0", 8, bound);
	int client = net_connect(bound);
	int pair[2];
	int fd = net_accept(listener);

	pass(&g, &fd, 1, "connection");
	gateway_configure(&g, OTHER);
	expect_refused(&g, "passed as \"connection\", is a connection");
	expect_said(&g, "Accept=no");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	g.sockets.fds = &pair[0];
	expect_refused(&g, "use ListenStream=");
	close(pair[0]);
	close(pair[1]);
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	g.sockets.fds = &pair[0];
	expect_refused(&g, "is not a socket");
	close(pair[0]);
	close(pair[1]);
	pair[0] = net_bind("127.0.0.1:0", bound);
	g.sockets.fds = &pair[0];
	ck_assert_int_eq(setenv("LISTEN_FDNAMES", "idle", 1), 0);
	expect_refused(&g, "passed as \"idle\", is a connection and not");
	close(pair[0]);
	/* It can't do what relaying needs, which was found too late. */
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (pair[0] >= 0) {
		ck_assert_int_eq(listen(pair[0], 8), 0);
		expect_refused(&g, "leave out SocketProtocol=");
		close(pair[0]);
	}
	close(fd);
	close(client);
	close(listener);
}
END_TEST

E2E_MAIN("activation", sockets_are_taken_by_name, sockets_are_taken_by_address,
    a_socket_outlives_its_listener, a_socket_outlives_its_master,
    one_that_is_shut_down_is_waited_for, one_socket_for_both_families,
    what_is_missing_is_named, others_than_listening_streams_are_refused)
