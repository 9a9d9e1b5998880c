/*
 * The program's outside: its command line, what it says when it cannot start,
 * and how it stops.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/version.h"
#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"

#define OUTPUT_SIZE 16384
#define RUN_MS      10000

static char output[OUTPUT_SIZE];

/* Run srvd with up to four arguments (NULL: none); its exit status, and all
 * that it printed in output. */
static int
run(const char *a, const char *b, const char *c, const char *d)
{
	const char *const argv[] = {gateway_program(), a, b, c, d, NULL};
	char path[E2E_PATH_SIZE];
	pid_t pid;
	int status;

	(void)unlink(e2e_path(path, "output"));
	pid = proc_spawn_apart(argv, path, SIGKILL);
	status = proc_wait(pid, RUN_MS);
	proc_read_file(path, output, sizeof output);
	if (status < 0) {
		proc_end(pid);
		ck_abort_msg("srvd %s %s does not end; it says: %s", a,
		    b == NULL ? "" : b, output);
	}
	return status;
}

static void
expect_run(int expected, const char *a, const char *b, const char *c)
{
	int status = run(a, b, c, NULL);

	ck_assert_msg(status == expected,
	    "srvd %s %s %s: status %d, not %d; it says: %s", a,
	    b == NULL ? "" : b, c == NULL ? "" : c, status, expected, output);
}

static void
expect_said(const char *words)
{
	ck_assert_msg(strstr(output, words) != NULL, "nothing of \"%s\" in: %s",
	    words, output);
}

static void
write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");

	ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
}

START_TEST(version_and_help)
{
	expect_run(0, "-V", NULL, NULL);
	ck_assert_str_eq(output, "srvd " SRVD_VERSION "\n");
	expect_run(0, "--version", NULL, NULL);
	ck_assert_str_eq(output, "srvd " SRVD_VERSION "\n");
	expect_run(0, "-h", NULL, NULL);
	expect_said("--config");
	expect_run(0, "--help", NULL, NULL);
	expect_said("--foreground");
}
END_TEST

START_TEST(wrong_usage)
{
	expect_run(2, "-x", NULL, NULL);
	expect_run(2, "--no-such-option", NULL, NULL);
	expect_run(2, "-f", NULL, NULL);
	expect_run(2, "surplus", NULL, NULL);
}
END_TEST

START_TEST(check_reads_back)
{
	struct gateway g;
	char path[E2E_PATH_SIZE];
	static char first[OUTPUT_SIZE];

	gateway_init(&g);
	g.globals = "drain_timeout = 1500ms\nwatchdog = 4s\n";
	gateway_configure(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\", \"*:8080\"}\n"
	    "	balance = leastconn\n	idle_timeout = 90s\n"
	    "	backend one { address = \"10.1.2.3:80\"   weight = 3 }\n"
	    "	backend two { address = \"unix:@x\"   backup = true }\n}\n");
	expect_run(0, "-n", "-f", g.config);
	ck_assert_str_eq(output, "");
	ck_assert_int_eq(run("-n", "-v", "-f", g.config), 0);
	expect_said("service s");
	expect_said("1500ms");
	expect_said("10.1.2.3:80");
	memcpy(first, output, sizeof first);

	/* What it prints is a configuration that prints the same. */
	write_file(e2e_path(path, "printed.conf"), first);
	ck_assert_int_eq(run("-n", "-v", "-f", path), 0);
	ck_assert_str_eq(output, first);
	expect_run(0, "--check", "--config", path);
}
END_TEST

START_TEST(bad_configuration)
{
	char path[E2E_PATH_SIZE];

	write_file(e2e_path(path, "bad.conf"),
	    "workers = 1\n\n# a comment\nservice s {\n"
	    "	listn = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	expect_run(1, "-n", "-f", path);
	expect_said("bad.conf:5");
	expect_said("listen"); /* the nearest known key */
	expect_run(1, "-d", "-f", path);
	expect_said("bad.conf:5");

	expect_run(1, "-n", "-f", e2e_path(path, "none.conf"));
	expect_said("none.conf");
	expect_run(1, "-n", "-f", e2e_dir());
}
END_TEST

START_TEST(port_in_use)
{
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	int fd = net_listen("127.0.0.1:0", 8, bound);

	gateway_init(&g);
	gateway_configure(&g,
	    "service s {\n	listen = {\"%s\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    bound);
	expect_run(1, "-d", "-f", g.config);
	expect_said(bound);
	expect_said("in use");
	gateway_expect_no_files(&g);
	close(fd);
}
END_TEST

/* A stranger of the same user cannot join a port of the gateway. */
START_TEST(port_is_not_shared)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	struct sockaddr_storage ss;
	socklen_t length;
	int one = 1;
	int fd;

	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	length = net_sockaddr(gateway_address(&g, "s", 0, address), &ss);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, length), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fd);
	gateway_stop(&g);
}
END_TEST

/* A second gateway on the same control socket is refused, and the first is
 * none the worse for it; a dead one's socket file is replaced. */
START_TEST(control_socket_in_use)
{
	struct gateway g;
	char address[E2E_PATH_SIZE + 8];
	char bound[ADDR_TEXT_SIZE];
	int fd;

	gateway_init(&g);
	snprintf(address, sizeof address, "unix:%s", g.control);
	fd = net_bind(address, bound);
	close(fd); /* leaves the file */
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	expect_run(1, "-d", "-f", g.config);
	expect_said(g.control);
	ck_assert_int_eq(gateway_number(&g, "pid"), g.pid);
	gateway_stop(&g);

	write_file(g.control, "not a socket");
	expect_run(1, "-d", "-f", g.config);
	expect_said(g.control);
	ck_assert_int_eq(access(g.control, F_OK), 0);
}
END_TEST

START_TEST(unix_listener_files)
{
	struct gateway g;
	struct stat st;
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];
	char bound[ADDR_TEXT_SIZE];
	int fd;

	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "in"));
	fd = net_bind(address, bound);
	close(fd); /* left over by a dead program */
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"%s\"}\n	mode = 620\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    address);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_msg((st.st_mode & 07777) == 0620, "mode is %o",
	    st.st_mode & 07777);
	fd = net_connect(address);
	net_say(fd, "x");
	net_hear(fd, "x");
	close(fd);
	gateway_stop(&g);
	ck_assert_msg(access(path, F_OK) != 0, "%s is still there", path);

	write_file(path, "not a socket");
	expect_run(1, "-d", "-f", g.config);
	expect_said(path);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

static void
start_echo(struct gateway *g, const char *globals, char address[ADDR_TEXT_SIZE])
{
	gateway_init(g);
	g->globals = globals;
	gateway_start(g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	gateway_address(g, "s", 0, address);
}

/* Wait until nothing listens at address any more. */
static void
expect_listener_closed(const char *address)
{
	uint64_t end = e2e_now_ms() + 3000;
	int fd;

	while ((fd = net_try_connect(address)) != -ECONNREFUSED) {
		if (fd >= 0)
			close(fd);
		ck_assert_msg(e2e_now_ms() < end,
		    "%s still listens after SIGTERM", address);
		e2e_pause(5);
	}
}

START_TEST(term_drains)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	uint64_t start;
	int client;

	start_echo(&g, "drain_timeout = 20s\n", address);
	client = net_connect(address);
	net_say(client, "before");
	net_hear(client, "before");
	gateway_signal(&g, SIGTERM);
	expect_listener_closed(address);
	net_say(client, "while it drains");
	net_hear(client, "while it drains");
	ck_assert(proc_is_alive(g.pid));
	start = e2e_now_ms();
	shutdown(client, SHUT_WR);
	net_expect_end(client, NET_CLOSED);
	close(client);
	gateway_expect_ended(&g, 5000);
	ck_assert_uint_lt(e2e_now_ms() - start, 5000);
}
END_TEST

/* Draining workers die as well, and their connections go on. */
START_TEST(drain_outlives_a_worker)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	unsigned killed = 0;
	int client;
	pid_t old;

	start_echo(&g, "drain_timeout = 20s\n", address);
	client = net_connect(address);
	net_say(client, "before");
	net_hear(client, "before");
	gateway_signal(&g, SIGTERM);
	expect_listener_closed(address);
	for (unsigned i = 0; i < g.workers; i++) {
		old = gateway_worker(&g, i);
		if (old == 0 || kill(old, SIGKILL) != 0)
			continue; /* it had nothing to wait for */
		killed++;
		while (proc_is_alive(old))
			e2e_pause(1);
	}
	ck_assert_uint_gt(killed, 0);
	net_say(client, "while it drains");
	net_hear(client, "while it drains");
	close(client);
	gateway_expect_ended(&g, 5000);
}
END_TEST

static unsigned
count_doors(void)
{
	char path[E2E_PATH_SIZE];
	DIR *dir = opendir(e2e_path(path, "control.sock.bodies"));
	const struct dirent *entry;
	unsigned count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	return count;
}

/* Draining workers whose master dies end by themselves: they are not for the
 * next master, which serves at once. */
START_TEST(drain_is_not_taken_over)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int client;

	start_echo(&g, "drain_timeout = 20s\n", address);
	client = net_connect(address);
	net_say(client, "before");
	net_hear(client, "before");
	ck_assert_uint_eq(count_doors(), g.workers);
	gateway_signal(&g, SIGTERM);
	expect_listener_closed(address);
	ck_assert_uint_eq(count_doors(), 0);
	gateway_kill(&g);
	gateway_run(&g);
	gateway_expect_number(&g, "totals/connections", 0);
	net_say(client, "while it drains");
	net_hear(client, "while it drains");
	close(client);
	gateway_stop(&g);
}
END_TEST

START_TEST(term_without_connections)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];

	start_echo(&g, "drain_timeout = 20s\n", address);
	gateway_signal(&g, SIGTERM);
	gateway_expect_ended(&g, 3000);
}
END_TEST

START_TEST(drain_has_a_limit)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	uint64_t start;
	uint64_t took;
	int client;

	start_echo(&g, "drain_timeout = 600ms\n", address);
	client = net_connect(address);
	net_say(client, "x");
	net_hear(client, "x");
	start = e2e_now_ms();
	gateway_signal(&g, SIGTERM);
	gateway_expect_ended(&g, 5000);
	took = e2e_now_ms() - start;
	/* What is left is closed within a second more. */
	ck_assert_msg(took >= 600 && took < 2500ULL * E2E_SLOWNESS,
	    "a drain_timeout of 600 ms took %llu ms", (unsigned long long)took);
	ck_assert_int_ne(net_end_within(client, 1000), NET_OPEN);
	close(client);
}
END_TEST

static void
stop_at_once(const char *globals, int first, int second)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	uint64_t start;
	int client;

	start_echo(&g, globals, address);
	client = net_connect(address);
	net_say(client, "x");
	net_hear(client, "x");
	start = e2e_now_ms();
	gateway_signal(&g, first);
	if (second != 0) {
		expect_listener_closed(address);
		gateway_signal(&g, second);
	}
	gateway_expect_ended(&g, 3000);
	ck_assert_uint_lt(e2e_now_ms() - start, 3000);
	ck_assert_int_ne(net_end_within(client, 1000), NET_OPEN);
	close(client);
}

START_TEST(stops_at_once)
{
	stop_at_once("drain_timeout = 20s\n", SIGINT, 0);
	stop_at_once("drain_timeout = 20s\n", SIGTERM, SIGTERM);
	stop_at_once("drain_timeout = 20s\n", SIGTERM, SIGINT);
	stop_at_once("drain_timeout = 0\n", SIGTERM, 0);
}
END_TEST

/* At once means so with a worker that does nothing any more. */
START_TEST(stops_with_a_stopped_worker)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];

	start_echo(&g, "watchdog = 30s\n", address);
	(void)gateway_signal_worker(&g, 0, SIGSTOP);
	gateway_signal(&g, SIGINT);
	gateway_expect_ended(&g, 10000);
}
END_TEST

START_TEST(stops_under_load)
{
	const struct load_spec spec = {
	    "cut", LOAD_BOTH, PEER_ECHO, .up = 1 << 30};
	struct gateway g;
	struct load *load = load_new();
	char address[ADDR_TEXT_SIZE];

	start_echo(&g, "", address);
	load_add(load, address, &spec, 20, 20);
	load_run(load, 200);
	gateway_signal(&g, SIGINT);
	load_finish(load, 5000);
	ck_assert_uint_eq(load_counts(load)->wrong, 0);
	ck_assert_uint_eq(load_counts(load)->lost, 20);
	gateway_expect_ended(&g, 5000);
	load_free(load);
}
END_TEST

E2E_MAIN("stop", version_and_help, wrong_usage, check_reads_back,
    bad_configuration, port_in_use, port_is_not_shared, control_socket_in_use,
    unix_listener_files, term_drains, drain_outlives_a_worker,
    drain_is_not_taken_over, term_without_connections, drain_has_a_limit,
    stops_at_once, stops_with_a_stopped_worker, stops_under_load)
