/*
 * The access log: every field as the client and the backend know it, and what
 * becomes of lines that can't be written.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_log.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "reloads.h"

#define PIPE_CONNECTIONS 1500

static struct gateway gateway;
static char access_path[E2E_PATH_SIZE];

static void
prepare(void)
{
	gateway_init(&gateway);
	gateway.access = e2e_path(access_path, "access.log");
}

static const char *
name_of(int fd, bool peer, char text[ADDR_TEXT_SIZE])
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof ss;
	struct addr addr;
	int rc = peer ? getpeername(fd, (struct sockaddr *)&ss, &length)
		      : getsockname(fd, (struct sockaddr *)&ss, &length);

	ck_assert_int_eq(rc, 0);
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss, length);
	return addr_format(&addr, text);
}

/* What is known of a connection without the log. */
struct expected {
	char client[ADDR_TEXT_SIZE];
	char local[ADDR_TEXT_SIZE];
	char source[ADDR_TEXT_SIZE];
	char server[ADDR_TEXT_SIZE];
};

static void
check_end(const char *what, const char *seen, const char *expected)
{
	ck_assert_msg(strcmp(seen, expected) == 0, "%s=%s, not %s", what, seen,
	    expected);
}

static void
check_ends(const struct access_entry *entry, const struct expected *expected)
{
	check_end("client", entry->client, expected->client);
	check_end("local", entry->local, expected->local);
	check_end("source", entry->source, expected->source);
	check_end("server", entry->server, expected->server);
}

static void
check_rest(const struct access_entry *entry, uint64_t up, uint64_t down,
    const char *reason)
{
	ck_assert_uint_eq(entry->up, up);
	ck_assert_uint_eq(entry->down, down);
	ck_assert_str_eq(entry->reason, reason);
	ck_assert_double_le(entry->connect_ms, entry->total_ms);
}

/* A client of a service and the backend's end of it. */
static void
open_both(const char *service, int listen_fd, int *client, int *server,
    struct expected *expected)
{
	char address[ADDR_TEXT_SIZE];

	*client = net_connect(gateway_address(&gateway, service, 0, address));
	*server = net_accept(listen_fd);
	name_of(*client, false, expected->client);
	name_of(*client, true, expected->local);
	name_of(*server, true, expected->source);
	name_of(*server, false, expected->server);
}

START_TEST(every_field_is_right)
{
	const struct access_entry *entry;
	struct expected tcp;
	struct expected reset;
	struct expected un;
	struct access_log log;
	char bound[2][ADDR_TEXT_SIZE];
	char path[ADDR_TEXT_SIZE];
	int listen_fd[2];
	int client[3];
	int server[3];

	snprintf(path, sizeof path, "unix:%s/ba ck", e2e_dir());
	listen_fd[0] = net_listen("127.0.0.1:0", 8, bound[0]);
	listen_fd[1] = net_listen(path, 8, bound[1]);
	prepare();
	gateway_start(&gateway,
	    "service tcp {\n	listen = {127.0.0.1:0}\n"
	    "	backend b-1 { address = \"%s\" }\n}\n"
	    "service unix {\n	listen = {\"unix:%s/i n\"}\n"
	    "	backend c_2 { address = \"%s\" }\n}\n",
	    bound[0], e2e_dir(), bound[1]);

	open_both("tcp", listen_fd[0], &client[0], &server[0], &tcp);
	net_say(client[0], "question");
	net_hear(server[0], "question");
	net_say(server[0], "answer");
	net_hear(client[0], "answer");
	e2e_pause(60);
	net_say(client[0], ".");
	shutdown(client[0], SHUT_WR);
	net_hear(server[0], ".");
	net_expect_end(server[0], NET_CLOSED);
	close(server[0]);
	net_expect_end(client[0], NET_CLOSED);

	open_both("tcp", listen_fd[0], &client[1], &server[1], &reset);
	net_say(client[1], "abc");
	net_hear(server[1], "abc");
	net_reset(client[1]);
	net_expect_end(server[1], NET_RESET);

	open_both("unix", listen_fd[1], &client[2], &server[2], &un);
	net_say(client[2], "over unix");
	net_hear(server[2], "over unix");
	close(server[2]);
	net_expect_end(client[2], NET_CLOSED);
	close(client[2]);

	access_log_read(&log, access_path, 3);
	ck_assert_uint_eq(log.count, 3);
	entry = access_log_find(&log, "tcp", tcp.client);
	check_ends(entry, &tcp);
	check_rest(entry, 9, 6, "done");
	ck_assert_str_eq(entry->backend, "b-1");
	ck_assert(entry->total_ms >= 60 && entry->total_ms < 5000);
	ck_assert(entry->connect_ms >= 0 && entry->connect_ms < 1000);

	entry = access_log_find(&log, "tcp", reset.client);
	check_ends(entry, &reset);
	check_rest(entry, 3, 0, "reset");

	/* Names of Unix-domain clients are empty; blanks don't break a line. */
	entry = access_log_find(&log, "unix", "unix");
	snprintf(un.local, sizeof un.local, "unix:%s/i\\x20n", e2e_dir());
	snprintf(un.server, sizeof un.server, "unix:%s/ba\\x20ck", e2e_dir());
	ck_assert_str_eq(entry->local, un.local);
	ck_assert_str_eq(entry->server, un.server);
	ck_assert_str_eq(entry->source, "-");
	ck_assert_str_eq(entry->backend, "c_2");
	check_rest(entry, 9, 0, "done");
	access_log_free(&log);
	gateway_stop(&gateway);
	close(listen_fd[0]);
	close(listen_fd[1]);
}
END_TEST

static int
ask_echo(const char *service, const char *words)
{
	char address[ADDR_TEXT_SIZE];
	int fd = net_connect(gateway_address(&gateway, service, 0, address));

	net_say(fd, words);
	net_hear(fd, words);
	return fd;
}

/* Reasons that are not the client's doing, builtins, and IPv6. */
START_TEST(reasons_and_builtins_are_told)
{
	const struct access_entry *entry;
	struct access_log log;
	char address[ADDR_TEXT_SIZE];
	char client[ADDR_TEXT_SIZE];
	char bound[ADDR_TEXT_SIZE];
	int closed_fd = net_bind("127.0.0.1:0", bound);
	int fd;

	prepare();
	gateway_start(&gateway,
	    "service echo {\n	listen = {\"%s\"}\n	idle_timeout = 100ms\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service eat {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = builtin:discard }\n}\n"
	    "service shut {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service held {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    net_has_ipv6() ? "[::1]:0" : "127.0.0.1:0", bound);
	fd = ask_echo("echo", "echo and echo");
	name_of(fd, false, client);
	net_expect_end(fd, NET_CLOSED);
	close(fd);
	access_log_read(&log, access_path, 1);
	entry = access_log_find(&log, "echo", client);
	check_rest(entry, 13, 13, "idle");
	gateway_address(&gateway, "echo", 0, address);
	ck_assert_str_eq(entry->local, address);
	ck_assert_str_eq(entry->backend, "b");
	ck_assert_str_eq(entry->source, "-");
	ck_assert_str_eq(entry->server, "-");
	access_log_free(&log);
	ck_assert_int_eq(gateway_number(&gateway, "totals/bytes_up"), 13);
	ck_assert_int_eq(gateway_number(&gateway, "totals/bytes_down"), 13);

	fd = net_connect(gateway_address(&gateway, "eat", 0, address));
	net_say(fd, "gone");
	close(fd);
	net_expect_turned_away(gateway_address(&gateway, "shut", 0, address),
	    NET_RESET);
	fd = ask_echo("held", "stop");
	gateway_stop(&gateway);
	close(fd);
	close(closed_fd);

	access_log_read(&log, access_path, 4);
	ck_assert_uint_eq(log.count, 4);
	ck_assert_uint_eq(access_log_count(&log, "eat", "done"), 1);
	ck_assert_uint_eq(access_log_count(&log, "shut", "refused"), 1);
	ck_assert_uint_eq(access_log_count(&log, "held", "stop"), 1);
	for (size_t i = 0; i < log.count; i++) {
		entry = &log.entries[i];
		if (strcmp(entry->service, "eat") == 0)
			check_rest(entry, 4, 0, "done");
		if (strcmp(entry->service, "held") == 0)
			check_rest(entry, 4, 4, "stop");
		if (strcmp(entry->service, "shut") != 0)
			continue;
		check_rest(entry, 0, 0, "refused");
		ck_assert_str_eq(entry->backend, "-");
		ck_assert_str_eq(entry->server, "-");
		ck_assert_double_lt(entry->connect_ms, 0);
	}
	access_log_free(&log);
}
END_TEST

/* Targets */

static const char echo_service[] =
    "service echo {\n	listen = {127.0.0.1:0}\n"
    "	backend b { address = builtin:echo }\n}\n";

static void
echo_many(unsigned count)
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&gateway, "echo", 0, address);
	for (unsigned i = 0; i < count; i++) {
		int fd = net_connect(address);

		net_say(fd, "x");
		net_hear(fd, "x");
		close(fd);
	}
}

START_TEST(the_file_is_opened_again)
{
	char moved[E2E_PATH_SIZE];
	struct access_log log;

	prepare();
	gateway_start(&gateway, "%s", echo_service);
	echo_many(5);
	access_log_read(&log, access_path, 5);
	ck_assert_uint_eq(log.count, 5);
	access_log_free(&log);
	ck_assert_int_eq(rename(access_path, e2e_path(moved, "access.1")), 0);
	echo_many(3);
	access_log_read(&log, moved, 8);
	ck_assert_uint_eq(log.count, 8);
	access_log_free(&log);
	gateway_signal(&gateway, SIGUSR1);
	while (access(access_path, F_OK) < 0)
		e2e_pause(1);
	echo_many(4);
	access_log_read(&log, access_path, 4);
	ck_assert_uint_eq(log.count, 4);
	access_log_free(&log);
	gateway_stop(&gateway);
	access_log_read(&log, moved, 8);
	ck_assert_uint_eq(log.count, 8);
	access_log_free(&log);
}
END_TEST

/* It is turned off right after connections ended: their lines wait. */
START_TEST(turning_it_off_loses_no_line)
{
	struct access_log log;

	prepare();
	gateway_start(&gateway, "%s", echo_service);
	echo_many(30);
	gateway_expect_number(&gateway, "totals/connections", 0);
	gateway.access = "off";
	gateway_configure(&gateway, "%s", echo_service);
	reload_expect_done(&gateway);
	echo_many(3);
	gateway_stop(&gateway);
	access_log_read(&log, access_path, 30);
	ck_assert_uint_eq(log.count, 30);
	access_log_free(&log);
}
END_TEST

/* A disk without room, always. */
START_TEST(a_full_disk_blocks_nobody)
{
	prepare();
	gateway.access = "/dev/full";
	gateway_start(&gateway, "%s", echo_service);
	echo_many(50);
	gateway_expect_number(&gateway, "totals/log_dropped", 50);
	gateway_expect_number(&gateway, "totals/accepted", 50);
	gateway_stop(&gateway);
}
END_TEST

/* What has come out of a pipe, whole lines, and how many were dropped. */
struct piped {
	int fd;
	size_t length;
	int64_t dropped;
	char text[1 << 20];
};

static bool
all_accounted_for(void *arg)
{
	struct piped *p = arg;
	struct access_log log;
	ssize_t n =
	    read(p->fd, p->text + p->length, sizeof p->text - 1 - p->length);
	bool all;

	p->length += n > 0 ? (size_t)n : 0;
	p->text[p->length] = '\0';
	p->dropped = gateway_number(&gateway, "totals/log_dropped");
	access_log_parse(&log, p->text);
	access_log_expect_unique(&log);
	all = (int64_t)log.count + p->dropped == PIPE_CONNECTIONS;
	access_log_free(&log);
	return all;
}

/* A reader that doesn't read: what it has not got is counted, to the line. */
START_TEST(a_full_pipe_blocks_nobody)
{
	static struct piped piped;

	prepare();
	ck_assert_int_eq(mkfifo(access_path, 0600), 0);
	piped.fd = open(access_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(piped.fd, 0);
	gateway_start(&gateway, "%s", echo_service);
	echo_many(PIPE_CONNECTIONS);
	gateway_expect_number(&gateway, "totals/connections", 0);
	ck_assert(e2e_wait(all_accounted_for, &piped, 5000));
	ck_assert_int_gt(piped.dropped, 100);
	ck_assert_uint_gt(piped.length, 0);
	gateway_stop(&gateway);
	close(piped.fd);
}
END_TEST

E2E_MAIN("access", every_field_is_right, reasons_and_builtins_are_told,
    the_file_is_opened_again, turning_it_off_loses_no_line,
    a_full_disk_blocks_nobody, a_full_pipe_blocks_nobody)
