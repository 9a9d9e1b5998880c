/*
 * What is lost between two processes or two calls: holders, hellos, resets.
 * Regressions; each says what broke.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"

#define FEW         3  /* max_connections of the service of that name */
#define OPEN        10 /* connections of the load at a time */
#define ROUNDS      20
#define MAX_PROCS   64
#define SETTLE_MS   5000
#define DEBUG_LINES 3000

/* The text of workers/INDEX/fault, which the caller releases, or NULL. */
static json_t *
worker_fault(const struct gateway *g, unsigned index)
{
	char path[32];
	json_t *status = gateway_status(g);
	json_t *fault;

	snprintf(path, sizeof path, "workers/%u", index);
	fault =
	    json_incref(json_object_get(gateway_find(status, path), "fault"));
	json_decref(status);
	return fault;
}

static void
expect_fault(const struct gateway *g, unsigned index, bool expected)
{
	uint64_t end = e2e_now_ms() + SETTLE_MS;
	bool is_there;

	for (;;) {
		json_t *fault = worker_fault(g, index);

		is_there = json_string_length(fault) > 0;
		json_decref(fault);
		if (is_there == expected)
			return;
		ck_assert_msg(e2e_now_ms() < end, "worker %u has %s fault",
		    index, is_there ? "still a" : "no");
		e2e_pause(5);
	}
}

static bool
has_no_zombie(void *arg)
{
	const struct gateway *g = arg;
	pid_t children[MAX_PROCS];
	size_t n = proc_children(g->pid, children, MAX_PROCS);

	for (size_t i = 0; i < n; i++) {
		if (proc_state(children[i]) == 'Z')
			return false;
	}
	return true;
}

static void
expect_no_zombie(struct gateway *g)
{
	ck_assert_msg(e2e_wait(has_no_zombie, g, SETTLE_MS),
	    "a zombie stays a child of the master");
}

static bool
has_one_body(void *arg)
{
	json_t *status = gateway_status(arg);
	bool has = json_array_size(json_object_get(status, "workers")) == 1;

	json_decref(status);
	return has;
}

/* Killing process 0 or -1 would be killing ourselves. */
static void
kill_process(pid_t pid, int signal)
{
	ck_assert_int_gt(pid, 1);
	ck_assert_msg(kill(pid, signal) == 0 || errno == ESRCH, "kill %d: %s",
	    (int)pid, strerror(errno));
}

static void
open_clients(const struct gateway *g, const char *service, int clients[FEW])
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(g, service, 0, address);
	for (int i = 0; i < FEW; i++) {
		clients[i] = net_connect(address);
		net_say(clients[i], "question");
		net_hear(clients[i], "question");
	}
}

/* The worker without a holder can't hand its connections over as it doesn't
 * run; a fresh one serves beside it.  Returns the old one. */
static pid_t
lose_holder(struct gateway *g, struct load *load)
{
	pid_t worker = gateway_signal_worker(g, 0, SIGSTOP);
	char path[] = "workers/1/pid";

	kill_process(gateway_holder(g, 0), SIGKILL);
	gateway_expect_successor(g, 0, worker);
	expect_fault(g, 0, false);
	expect_fault(g, 1, true);
	ck_assert_int_eq(gateway_number(g, path), worker);
	load_run(load, 300);
	return worker;
}

/*
 * What broke: the orphaned worker was reaped by nobody; the fault was shown
 * for ever; the row of live counts of the lost body stayed as it was, so that
 * a service with a limit never accepted again.
 */
START_TEST(lost_holder_then_worker)
{
	const struct load_spec spec = {"messages", LOAD_PINGPONG,
	    .up = 64ULL * 200, .down = 64ULL * 200, .message = 64};
	struct gateway g;
	struct load *load = load_new();
	char address[ADDR_TEXT_SIZE];
	int clients[FEW];
	int others[FEW];
	pid_t lost;

	load_listen(load, "127.0.0.1:0", address);
	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service few {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = %d\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service others {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    address, FEW);
	load_add(load, gateway_address(&g, "s", 0, address), &spec, OPEN, 0);
	open_clients(&g, "few", clients);
	load_run(load, 100);
	lost = lose_holder(&g, load);
	open_clients(&g, "others", others); /* of the fresh one */
	kill_process(lost, SIGKILL);
	for (int i = 0; i < FEW; i++) {
		ck_assert_int_ne(net_end_within(clients[i], 2000), NET_OPEN);
		close(clients[i]);
		net_say(others[i], "here");
		net_hear(others[i], "here");
		close(others[i]);
	}
	ck_assert(e2e_wait(has_one_body, &g, SETTLE_MS));
	expect_no_zombie(&g);
	load_run(load, 200);
	load_stop_opening(load);
	load_finish(load, 10000);
	ck_assert_uint_eq(load_counts(load)->wrong, 0);
	ck_assert_uint_le(load_counts(load)->lost, OPEN);
	gateway_expect_number(&g, "totals/connections", 0);
	gateway_expect_number(&g, "services/few/connections", 0);
	gateway_expect_number(&g, "services/s/backends/b/connections", 0);
	open_clients(&g, "few", clients); /* all of them at once */
	gateway_expect_number(&g, "services/few/connections", FEW);
	for (int i = 0; i < FEW; i++)
		close(clients[i]);
	load_free(load);
	gateway_stop(&g);
}
END_TEST

/* Worker index has another holder than old, and runs.  A worker that lost its
 * own must die for that. */
static void
expect_new_holder(const struct gateway *g, unsigned index, pid_t old)
{
	uint64_t end = e2e_now_ms() + GATEWAY_TIMEOUT_MS;
	pid_t holder;

	while ((holder = gateway_holder(g, index)) == 0 || holder == old) {
		pid_t worker = gateway_worker(g, index);

		ck_assert_msg(e2e_now_ms() < end,
		    "worker %u has holder %d after %d", index, (int)holder,
		    (int)old);
		if (holder == 0 && worker > 1)
			kill_process(worker, SIGKILL);
		e2e_pause(2);
	}
	gateway_expect_successor(g, index, 0);
}

/* Worker and holder die pause_ms apart; the master may look only after. */
static void
kill_both(const struct gateway *g, unsigned index, int pause_ms, bool unseen)
{
	pid_t worker = gateway_worker(g, index);
	pid_t holder = gateway_holder(g, index);

	if (unseen)
		kill_process(g->pid, SIGSTOP);
	kill_process(worker, SIGKILL);
	if (pause_ms > 0)
		e2e_pause(pause_ms);
	kill_process(holder, SIGKILL);
	if (unseen) {
		e2e_pause(20);
		kill_process(g->pid, SIGCONT);
	}
	expect_new_holder(g, index, holder);
}

/* Nobody listens there, whatever TIME_WAITs there are. */
static void
expect_port_free(const char *address)
{
	struct sockaddr_storage ss;
	socklen_t length = net_sockaddr(address, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	ck_assert_int_eq(net_try_connect(address), -ECONNREFUSED);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ck_assert_msg(bind(fd, (struct sockaddr *)&ss, length) == 0,
	    "%s is still taken: %s", address, strerror(errno));
	close(fd);
}

/*
 * What broke: a worker cloned just before its holder died was unknown to the
 * master, ran on beside its replacement, and outlived the gateway with the
 * port.  The clients are there so that such a one would have a reason to stay.
 */
START_TEST(worker_then_holder)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int clients[ROUNDS];

	gateway_init(&g);
	g.workers = 4; /* a body that lives shortly is replaced ever later */
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	gateway_address(&g, "s", 0, address);
	for (int i = 0; i < ROUNDS; i++) {
		clients[i] = net_connect(address);
		net_say(clients[i], "x");
		net_hear(clients[i], "x");
		kill_both(&g, (unsigned)i % g.workers, i % 3, i % 2 != 0);
	}
	for (int i = 0; i < 4; i++) { /* whoever serves now, serves */
		int client = net_connect(address);

		net_say(client, "served");
		net_hear(client, "served");
		close(client);
	}
	expect_no_zombie(&g);
	gateway_stop(&g);
	for (int i = 0; i < ROUNDS; i++)
		close(clients[i]);
	expect_port_free(address);
}
END_TEST

static bool
has_status(void *arg)
{
	json_t *reply = gateway_call(arg, "GetStatus", NULL);
	bool answered = json_object_get(reply, "parameters") != NULL;

	json_decref(reply);
	return answered;
}

/* As gateway_start, with every debug line. */
static void
start_verbose(struct gateway *g, const char *backend)
{
	const char *const argv[] = {
	    gateway_program(), "-d", "-v", "-f", g->config, NULL};

	gateway_configure(g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    backend);
	g->pid = proc_spawn_apart(argv, g->log, SIGINT);
	ck_assert_msg(e2e_wait(has_status, g, GATEWAY_TIMEOUT_MS),
	    "srvd is not ready after %d ms", GATEWAY_TIMEOUT_MS);
	for (unsigned i = 0; i < g->workers; i++)
		gateway_expect_successor(g, i, 0);
}

/* Connections that fail, each with a line of log at least. */
static void
make_lines(const char *address)
{
	for (int i = 0; i < DEBUG_LINES; i++) {
		int fd = net_try_connect(address);

		if (fd < 0) /* reset before connect(2) had returned */
			continue;
		ck_assert_int_ne(net_end_within(fd, NET_TIMEOUT_MS), NET_OPEN);
		close(fd);
	}
}

/*
 * What broke: a hello that found the channel full of log lines was dropped,
 * and the master took the new worker for missing until the next death.
 */
START_TEST(hello_finds_the_channel_full)
{
	struct gateway g;
	char refusing[ADDR_TEXT_SIZE];
	char address[ADDR_TEXT_SIZE];
	uint64_t start;
	pid_t old;
	int refusing_fd = net_bind("127.0.0.1:0", refusing);

	gateway_init(&g);
	g.workers = 1;
	start_verbose(&g, refusing);
	gateway_address(&g, "s", 0, address);
	old = gateway_worker(&g, 0);
	kill_process(g.pid, SIGSTOP);
	make_lines(address);
	kill_process(old, SIGKILL);
	make_lines(address); /* its successor has said hello, then */
	kill_process(g.pid, SIGCONT);
	start = e2e_now_ms();
	gateway_expect_successor(&g, 0, old);
	ck_assert_uint_lt(e2e_now_ms() - start, SETTLE_MS);
	ck_assert_msg(gateway_number(&g, "totals/log_dropped") > 0,
	    "%d lines did not fill the channel", DEBUG_LINES);
	gateway_stop(&g);
	close(refusing_fd);
}
END_TEST

/* A reset that a FIN hides */

struct stopped {
	struct gateway gateway;
	int listen_fd;
	char address[ADDR_TEXT_SIZE];
};

static void
stopped_start(struct stopped *s)
{
	char bound[ADDR_TEXT_SIZE];

	s->listen_fd = net_listen("127.0.0.1:0", 64, bound);
	gateway_init(&s->gateway);
	s->gateway.workers = 1;
	s->gateway.globals = "watchdog = 0s\n";
	gateway_start(&s->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    bound);
	gateway_address(&s->gateway, "s", 0, s->address);
}

/* A reset, or a FIN with a reset behind it: the socket is in error although
 * it has not been shut down from here. */
static void
expect_reset(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = 0};

	if (net_end_within(fd, NET_TIMEOUT_MS) != NET_RESET)
		ck_assert_msg(poll(&pfd, 1, 3000) == 1 &&
			(pfd.revents & POLLERR) != 0,
		    "no reset came behind the FIN");
}

/* from says its last and resets while the worker sees nothing of it. */
static void
end_behind_its_back(struct stopped *s, bool is_client, int next_signal)
{
	int client = net_connect(s->address);
	int server = net_accept(s->listen_fd);
	int from = is_client ? client : server;
	int to = is_client ? server : client;
	pid_t worker;

	net_say(client, "here");
	net_hear(server, "here");
	worker = gateway_signal_worker(&s->gateway, 0, SIGSTOP);
	while (proc_state(worker) != 'T')
		e2e_pause(1);
	net_say(from, "last words");
	shutdown(from, SHUT_WR);
	e2e_pause(10);
	net_reset(from);
	ck_assert_int_eq(kill(worker, next_signal), 0);
	net_hear(to, "last words");
	expect_reset(to);
	gateway_expect_number(&s->gateway, "totals/connections", 0);
	close(to);
}

static void
end_behind_its_back_often(int next_signal)
{
	struct stopped s;

	stopped_start(&s);
	for (int i = 0; i < 6; i++)
		end_behind_its_back(&s, i % 2 == 0, next_signal);
	gateway_stop(&s.gateway);
	close(s.listen_fd);
}

/*
 * What broke: the read that found the FIN hid the reset behind it, of which
 * nothing told any more, and the connection stayed half-closed for an hour.
 */
START_TEST(reset_right_behind_a_fin)
{
	end_behind_its_back_often(SIGCONT);
}
END_TEST

/* The same when it is a successor that looks. */
START_TEST(reset_behind_a_fin_and_a_death)
{
	end_behind_its_back_often(SIGKILL);
}
END_TEST

E2E_MAIN("lost", lost_holder_then_worker, worker_then_holder,
    hello_finds_the_channel_full, reset_right_behind_a_fin,
    reset_behind_a_fin_and_a_death)
