/*
 * One test for each defect that a review found between the lines of what the
 * other tests ask for; each says what broke.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "gateway.h"
#include "harness.h"
#include "limit.h"
#include "net.h"
#include "proc.h"

/* Not enough descriptors */

#define FEW_DESCRIPTORS 80
#define CLIENTS         60 /* more than there is room for */

struct crowd {
	struct gateway gateway;
	int listen_fd;
	int first; /* takes the place of a backlog of 0, or -1 */
	char address[ADDR_TEXT_SIZE];
	int clients[CLIENTS];
	int servers[CLIENTS];
	size_t servers_count;
};

/* With a backlog of 0 nobody comes through to the backend for now: dialling
 * it is tried again and again until connect_timeout. */
static void
crowd_start(struct crowd *c, unsigned limit, int backlog, const char *setting)
{
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];
	char bound[ADDR_TEXT_SIZE];

	(void)unlink(e2e_path(path, "back"));
	snprintf(address, sizeof address, "unix:%s", path);
	c->listen_fd = net_listen(address, backlog, bound);
	c->first = backlog == 0 ? net_connect(bound) : -1;
	gateway_init(&c->gateway);
	c->gateway.workers = 1;
	gateway_start(&c->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n	%s\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    setting, bound);
	gateway_address(&c->gateway, "s", 0, c->address);
	limit_descriptors(&c->gateway, 0, limit);
	c->servers_count = 0;
	for (size_t i = 0; i < CLIENTS; i++)
		c->clients[i] = net_connect(c->address);
}

static void
crowd_stop(struct crowd *c)
{
	gateway_stop(&c->gateway);
	close(c->listen_fd);
}

/* The backend's ends of those that have come through, and no more do. */
static void
crowd_gather(struct crowd *c, int quiet_ms)
{
	int fd;

	while ((fd = net_accept_within(c->listen_fd, quiet_ms)) >= 0) {
		ck_assert_uint_lt(c->servers_count, CLIENTS);
		c->servers[c->servers_count++] = fd;
	}
}

/* All clients have ended: so do their connections, one after the other. */
static void
crowd_expect_over(struct crowd *c)
{
	uint64_t end = e2e_now_ms() + 10000;
	size_t over = 0;

	while (gateway_number(&c->gateway, "totals/connections") > 0 ||
	    over < c->servers_count) {
		crowd_gather(c, 20);
		for (; over < c->servers_count; over++) {
			net_expect_end(c->servers[over], NET_CLOSED);
			close(c->servers[over]);
		}
		ck_assert_msg(e2e_now_ms() < end,
		    "connections stay of clients that have ended");
	}
}

/* All that find room are dialling before the first of them can relay. */
static void
silent_clients_end(unsigned limit, bool by_reset)
{
	struct crowd c;
	int64_t in;

	crowd_start(&c, limit, 0, "connect_timeout = 30s");
	do {
		in = gateway_number(&c.gateway, "totals/connections");
		e2e_pause(200);
	} while (gateway_number(&c.gateway, "totals/connections") != in);
	ck_assert_msg(in > 5 && in < CLIENTS, "%lld found room", (long long)in);
	ck_assert_int_eq(listen(c.listen_fd, CLIENTS), 0);
	close(net_accept(c.listen_fd));
	close(c.first);
	crowd_gather(&c, 200);
	ck_assert_int_ge((int64_t)c.servers_count, in - 1);
	for (size_t i = 0; i < CLIENTS; i++) {
		if (by_reset)
			net_reset(c.clients[i]);
		else
			close(c.clients[i]);
	}
	crowd_expect_over(&c);
	crowd_stop(&c);
}

/*
 * What broke: even a FIN is read through a pipe, and with all descriptors
 * taken by connections there was none to be had: nobody's end was seen, and
 * so no descriptor ever came back.
 */
START_TEST(ends_without_descriptors)
{
	silent_clients_end(FEW_DESCRIPTORS, false);
	silent_clients_end(FEW_DESCRIPTORS + 1, false);
	silent_clients_end(FEW_DESCRIPTORS, true);
	silent_clients_end(FEW_DESCRIPTORS + 1, true);
}
END_TEST

/* Clients come and are postponed, until connect_timeout refuses them; kills
 * from before to after that. */
static void
kill_around_timeouts(struct crowd *c)
{
	pid_t old;

	for (int i = 0; i < 12; i++) {
		e2e_pause(80 + i * 5);
		old = gateway_signal_worker(&c->gateway, 0, SIGKILL);
		gateway_expect_successor(&c->gateway, 0, old);
	}
}

/* Others found room meanwhile, perhaps only just now, and are over. */
static int
accept_living(int listen_fd)
{
	char byte;
	int fd;

	while (recv(fd = net_accept(listen_fd), &byte, 1, MSG_PEEK) <= 0)
		close(fd);
	return fd;
}

static void
postponed_and_killed(unsigned limit, int64_t *refused)
{
	struct crowd c;
	int client;
	int server;

	crowd_start(&c, limit, CLIENTS, "connect_timeout = 100ms");
	crowd_gather(&c, 50);
	kill_around_timeouts(&c);
	*refused += gateway_number(&c.gateway, "totals/refused");
	for (size_t i = 0; i < CLIENTS; i++)
		close(c.clients[i]);
	crowd_expect_over(&c);
	client = net_connect(c.address);
	net_say(client, "question");
	server = accept_living(c.listen_fd);
	net_hear(server, "question");
	close(client);
	close(server);
	crowd_stop(&c);
}

/*
 * What broke: a client postponed for want of a descriptor was taken off the
 * count of these by a worker that had not counted it; the count wrapped, and
 * the worker accepted nobody any more.
 */
START_TEST(postponed_clients_and_deaths)
{
	int64_t refused = 0;

	/* With one of the two the last descriptor is the client's. */
	postponed_and_killed(FEW_DESCRIPTORS, &refused);
	postponed_and_killed(FEW_DESCRIPTORS + 1, &refused);
	ck_assert_msg(refused > 0, "no postponed client was ever refused");
}
END_TEST

/* From here on there is no IPv6 for this process and its children, as with
 * systemd's RestrictAddressFamilies=. */
static bool
forbid_ipv6(void)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, args)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
	    .len = ARRAY_LEN(filter),
	    .filter = filter,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
	    socket(AF_INET6, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT;
}

static void
expect_service_works(const struct gateway *g, const char *service)
{
	char address[ADDR_TEXT_SIZE];
	uint64_t start = e2e_now_ms();
	int client = net_connect(gateway_address(g, service, 0, address));

	net_say(client, "question");
	net_hear(client, "question");
	close(client);
	ck_assert_uint_lt(e2e_now_ms() - start, 1000);
}

static void
expect_refused(const struct gateway *g, const char *service)
{
	char address[ADDR_TEXT_SIZE];
	int client = net_try_connect(gateway_address(g, service, 0, address));

	if (client == -ECONNRESET) /* before connect(2) had returned */
		return;
	ck_assert_msg(net_end_within(client, 1000) == NET_RESET,
	    "service %s did not refuse at once", service);
	close(client);
}

/*
 * What broke: whatever error socket(2) gave was taken for a lack of
 * descriptors.  The client was postponed until its connect_timeout, and while
 * there was such a one nobody was accepted, of no service.
 */
START_TEST(impossible_backends_hinder_nobody)
{
	struct gateway g;

	if (!forbid_ipv6()) {
		e2e_skip("no seccomp to forbid IPv6 with: %s", strerror(errno));
		return;
	}
	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service six {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"[::1]:9\" }\n}\n"
	    "service other {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend a { address = \"[::1]:9\" }\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service good {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	for (int i = 0; i < 5; i++) {
		expect_refused(&g, "six");
		expect_service_works(&g, "good");
		expect_service_works(&g, "other");
	}
	ck_assert_int_eq(gateway_number(&g, "services/six/backends/b/failed"),
	    5);
	gateway_stop(&g);
}
END_TEST

/* In a child: become nobody, and srvd by the descriptor of its program, which
 * nobody may not be able to reach. */
static no_return void
run_as_nobody(int program_fd, char *config, const char *output)
{
	static char *no_environment[] = {NULL};
	char *argv[] = {
	    (char[]){"srvd"}, (char[]){"-d"}, (char[]){"-f"}, config, NULL};
	int output_fd = open(output, O_WRONLY | O_CREAT | O_APPEND, 0644);

	dup2(output_fd, STDOUT_FILENO);
	dup2(output_fd, STDERR_FILENO);
	proc_become_nobody();
	prctl(PR_SET_PDEATHSIG, SIGINT);
	fexecve(program_fd, argv, no_environment);
	_exit(127);
}

static void
expect_start_fails(struct gateway *g, const char *words)
{
	static char output[16384];
	int program_fd = open(gateway_program(), O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();
	int status;

	ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0)
		run_as_nobody(program_fd, g->config, g->log);
	status = proc_wait(pid, 10000);
	if (status < 0)
		proc_end(pid);
	close(program_fd);
	proc_read_file(g->log, output, sizeof output);
	ck_assert_msg(status == 1 && strstr(output, words) != NULL,
	    "status %d, and nothing of \"%s\" in: %s", status, words, output);
}

static void
expect_no_file(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) != 0 && errno == ENOENT,
	    "%s is still there", path);
}

/* A directory where everybody may make sockets. */
static void
make_open_directory(void)
{
	char path[E2E_PATH_SIZE];

	ck_assert_int_eq(mkdir(e2e_path(path, "open"), 0777), 0);
	ck_assert_int_eq(chmod(path, 0777), 0);
}

/*
 * What broke: the socket was bound, its owner could not be set, and its file
 * was not yet among those to be removed.
 */
START_TEST(failed_owner_leaves_no_file)
{
	struct gateway g;
	char first[E2E_PATH_SIZE];
	char second[E2E_PATH_SIZE];

	make_open_directory();
	e2e_path(first, "open/first");
	e2e_path(second, "open/second");
	gateway_init(&g);
	e2e_path(g.control, "open/control");
	gateway_configure(&g,
	    "service a {\n	listen = {\"unix:%s\"}\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service b {\n	listen = {\"unix:%s\"}\n	owner = root\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    first, second);
	expect_start_fails(&g, "second");
	expect_no_file(first);
	expect_no_file(second);
}
END_TEST

/* What broke: the listeners were there before the control socket was refused,
 * and their files stayed. */
START_TEST(taken_control_path_leaves_no_file)
{
	struct gateway g;
	char listener[E2E_PATH_SIZE];
	FILE *taken;

	make_open_directory();
	e2e_path(listener, "open/in");
	gateway_init(&g);
	taken = fopen(e2e_path(g.control, "open/control"), "we");
	ck_assert_ptr_nonnull(taken);
	fclose(taken);
	gateway_configure(&g,
	    "service a {\n	listen = {\"unix:%s\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    listener);
	expect_start_fails(&g, "open/control");
	expect_no_file(listener);
	ck_assert_int_eq(access(g.control, F_OK), 0);
}
END_TEST

E2E_MAIN("regressions", ends_without_descriptors, postponed_clients_and_deaths,
    impossible_backends_hinder_nobody, failed_owner_leaves_no_file,
    taken_control_path_leaves_no_file)
