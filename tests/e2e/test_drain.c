/*
 * A stop while there are connections: who is still accepted, when the rest is
 * closed, and that nothing is left whatever dies meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access_log.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define ECHO    "	backend b { address = builtin:echo }\n}\n"
#define CROWD   48
#define SPREAD  1000 /* ms */
#define LATE_MS (2000ULL * E2E_SLOWNESS)

static void
start(struct gateway *g, const char *globals, char address[ADDR_TEXT_SIZE])
{
	g->globals = globals;
	gateway_start(g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	gateway_address(g, "s", 0, address);
}

static int
open_client(const char *address)
{
	int fd = net_connect(address);

	net_say(fd, "hello");
	net_hear(fd, "hello");
	return fd;
}

static void
expect_moves(int fd)
{
	net_say(fd, "still here");
	net_hear(fd, "still here");
}

static bool
is_stopping(void *arg)
{
	json_t *status = gateway_status(arg);
	bool is = json_is_integer(json_object_get(status, "stopping_ms"));

	json_decref(status);
	return is;
}

/* It has told its workers. */
static void
expect_stopping(struct gateway *g)
{
	ck_assert(e2e_wait(is_stopping, g, 5000));
}

static bool
is_refused(void *arg)
{
	int fd = net_try_connect(arg);

	if (fd >= 0)
		close(fd);
	return fd == -ECONNREFUSED;
}

static void
expect_refused(char *address)
{
	ck_assert_msg(e2e_wait(is_refused, address, 5000), "%s still listens",
	    address);
}

/* The spread */

struct crowd {
	struct pollfd pfds[CROWD];
	unsigned ended;
	uint64_t first_ms;
	uint64_t last_ms;
};

static void
crowd_open(struct crowd *crowd, const char *address)
{
	*crowd = (struct crowd){.ended = 0};
	for (int i = 0; i < CROWD; i++)
		crowd->pfds[i] = (struct pollfd){
		    .fd = open_client(address), .events = POLLIN};
}

/* Wait until so many have ended. */
static void
crowd_wait(struct crowd *crowd, unsigned count)
{
	uint64_t limit = e2e_now_ms() + NET_TIMEOUT_MS;

	while (crowd->ended < count) {
		ck_assert_msg(e2e_now_ms() < limit, "%u of %u have ended",
		    crowd->ended, count);
		(void)poll(crowd->pfds, CROWD, 100);
		for (int i = 0; i < CROWD; i++) {
			if (crowd->pfds[i].fd < 0 ||
			    crowd->pfds[i].revents == 0)
				continue;
			net_expect_end(crowd->pfds[i].fd, NET_CLOSED);
			close(crowd->pfds[i].fd);
			crowd->pfds[i].fd = -1;
			crowd->last_ms = e2e_now_ms();
			if (crowd->ended++ == 0)
				crowd->first_ms = crowd->last_ms;
		}
	}
}

static void
kill_workers(struct gateway *g)
{
	for (unsigned i = 0; i < g->workers; i++) {
		pid_t pid = gateway_worker(g, i);

		if (pid > 0)
			(void)kill(pid, SIGKILL);
	}
}

static void
expect_stop_lines(const char *path, size_t count)
{
	struct access_log log;

	access_log_read(&log, path, count);
	ck_assert_uint_eq(log.count, count);
	access_log_expect_unique(&log);
	access_log_free(&log);
}

static void
stop_a_crowd(bool with_deaths)
{
	struct gateway g;
	struct crowd crowd;
	char address[ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	uint64_t begun;

	gateway_init(&g);
	g.access = e2e_path(access, "access.log");
	start(&g, "drain_timeout = 400ms\n", address);
	crowd_open(&crowd, address);
	begun = e2e_now_ms();
	gateway_signal(&g, SIGTERM);
	if (with_deaths) {
		crowd_wait(&crowd, CROWD / 4);
		kill_workers(&g);
	}
	crowd_wait(&crowd, CROWD);
	ck_assert_uint_ge(crowd.first_ms - begun, 400);
	ck_assert_uint_lt(crowd.last_ms - begun, 400 + SPREAD + LATE_MS);
	/* By the rule, 48 ids in a row cover more than nine tenths of it. */
	ck_assert_uint_ge(crowd.last_ms - crowd.first_ms, SPREAD / 2);
	gateway_expect_ended(&g, 5000);
	expect_stop_lines(access, CROWD);
}

START_TEST(what_is_left_is_closed_over_a_second)
{
	stop_a_crowd(false);
}
END_TEST

START_TEST(also_by_successors)
{
	stop_a_crowd(true);
}
END_TEST

/* Who is still accepted */

START_TEST(who_is_queued_is_accepted_first)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int clients[20];

	gateway_init(&g);
	g.workers = 1;
	start(&g, "drain_timeout = 20s\nwatchdog = 0\n", address);
	(void)gateway_signal_worker(&g, 0, SIGSTOP);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = net_connect(address);
		net_say(clients[i], "early");
	}
	gateway_signal(&g, SIGTERM);
	expect_stopping(&g);
	(void)gateway_signal_worker(&g, 0, SIGCONT);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		net_hear(clients[i], "early");
	expect_refused(address);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		close(clients[i]);
	gateway_expect_ended(&g, 5000);
}
END_TEST

/* A limit does not turn them away, and a death does not forget them. */
START_TEST(who_is_queued_behind_a_limit_has_a_turn)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int clients[4];

	gateway_init(&g);
	g.workers = 1;
	g.globals = "drain_timeout = 20s\n";
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = 1\n" ECHO);
	gateway_address(&g, "s", 0, address);
	clients[0] = open_client(address);
	for (size_t i = 1; i < ARRAY_LEN(clients); i++) {
		clients[i] = net_connect(address);
		net_say(clients[i], "early");
	}
	gateway_signal(&g, SIGTERM);
	expect_stopping(&g);
	for (size_t i = 1; i < ARRAY_LEN(clients); i++) {
		if (i == 2)
			kill_workers(&g);
		expect_moves(clients[i - 1]);
		close(clients[i - 1]);
		net_hear(clients[i], "early");
	}
	/* Who came now might wait for a turn, too. */
	close(clients[ARRAY_LEN(clients) - 1]);
	gateway_expect_ended(&g, 5000);
}
END_TEST

/* When the time is over they are turned away with the rest. */
START_TEST(a_queue_does_not_prolong_the_stop)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int client;
	int queued;

	gateway_init(&g);
	g.globals = "drain_timeout = 300ms\n";
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	max_connections = 1\n" ECHO);
	gateway_address(&g, "s", 0, address);
	client = open_client(address);
	queued = net_connect(address);
	gateway_signal(&g, SIGTERM);
	net_expect_end(queued, NET_RESET);
	net_expect_end(client, NET_CLOSED);
	gateway_expect_ended(&g, 5000);
	close(queued);
	close(client);
}
END_TEST

static void
configure_second(struct gateway *g, const char *tcp, const char *local)
{
	gateway_init(g);
	(void)e2e_path(g->control, "second.sock");
	(void)e2e_path(g->config, "second.conf");
	(void)e2e_path(g->log, "second.log");
	gateway_configure(g,
	    "service s {\n	listen = {\"%s\", \"unix:%s\"}\n" ECHO, tcp,
	    local);
}

/* The next one serves at the same addresses meanwhile, and keeps its file. */
START_TEST(another_gateway_may_bind)
{
	struct gateway first;
	struct gateway second;
	char tcp[ADDR_TEXT_SIZE];
	char local[E2E_PATH_SIZE];
	char at[E2E_PATH_SIZE + 8];
	int client;
	int other;

	gateway_init(&first);
	first.globals = "drain_timeout = 20s\n";
	gateway_start(&first,
	    "service s {\n	listen = {\"127.0.0.1:0\", \"unix:%s\"}\n" ECHO,
	    e2e_path(local, "in"));
	gateway_address(&first, "s", 0, tcp);
	snprintf(at, sizeof at, "unix:%s", local);
	client = open_client(at);
	gateway_signal(&first, SIGTERM);
	expect_refused(tcp);
	expect_refused(at);
	configure_second(&second, tcp, local);
	gateway_run(&second);
	other = open_client(tcp);
	expect_moves(client);
	close(client);
	gateway_expect_ended(&first, 5000);
	close(open_client(at));
	expect_moves(other);
	close(other);
	gateway_stop(&second);
	ck_assert_int_ne(access(local, F_OK), 0);
}
END_TEST

/* What is asked meanwhile */

START_TEST(it_tells_of_itself_and_reloads_nothing)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int64_t left;
	int client;

	gateway_init(&g);
	start(&g, "drain_timeout = 20s\n", address);
	client = open_client(address);
	ck_assert(!is_stopping(&g));
	gateway_signal(&g, SIGTERM);
	expect_stopping(&g);
	left = gateway_number(&g, "stopping_ms");
	ck_assert_int_gt(left, 1000);
	ck_assert_int_le(left, 20000 + SPREAD);
	reload_expect_refused(&g, "ReloadFailed", "stopping");
	gateway_signal(&g, SIGHUP);
	ck_assert_int_eq(gateway_number(&g, "generation"), 1);
	ck_assert_int_le(gateway_number(&g, "stopping_ms"), left);
	expect_moves(client);
	close(client);
	gateway_expect_ended(&g, 5000);
}
END_TEST

static void
call_stop(const struct gateway *g, const char *parameters)
{
	json_t *reply = gateway_call(g, "Stop", parameters);

	ck_assert_ptr_nonnull(reply);
	ck_assert_ptr_null(json_object_get(reply, "error"));
	json_decref(reply);
}

START_TEST(a_call_has_its_own_time)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	int client;

	gateway_init(&g);
	start(&g, "drain_timeout = 300ms\n", address);
	client = open_client(address);
	g.family_count = proc_descendants(g.pid, g.family, GATEWAY_FAMILY_MAX);
	call_stop(&g, "{\"drain_s\":50}");
	expect_refused(address);
	ck_assert_int_gt(gateway_number(&g, "stopping_ms"), 10000);
	expect_moves(client);
	/* The second one: at once. */
	call_stop(&g, NULL);
	net_expect_end(client, NET_CLOSED);
	gateway_expect_ended(&g, 5000);
	close(client);
}
END_TEST

/* Deaths */

static void
expect_dead(pid_t pid)
{
	uint64_t limit = e2e_now_ms() + 5000;

	while (proc_is_alive(pid)) {
		ck_assert_msg(e2e_now_ms() < limit, "%d still runs", (int)pid);
		e2e_pause(2);
	}
}

/* A gateway of one worker drains, with one client that it returns. */
static int
drain_one(struct gateway *g, const char *globals)
{
	char address[ADDR_TEXT_SIZE];
	int client;

	gateway_init(g);
	g->workers = 1;
	start(g, globals, address);
	client = open_client(address);
	gateway_signal(g, SIGTERM);
	expect_refused(address);
	return client;
}

static void
kill_holder(const struct gateway *g)
{
	pid_t holder = gateway_holder(g, 0);

	ck_assert_int_gt(holder, 1);
	ck_assert_int_eq(kill(holder, SIGKILL), 0);
	expect_dead(holder);
}

START_TEST(a_holder_dies)
{
	for (int with_worker = 0; with_worker < 2; with_worker++) {
		struct gateway g;
		int client;

		client = drain_one(&g, "drain_timeout = 20s\n");
		kill_holder(&g);
		expect_moves(client);
		if (with_worker == 1) {
			kill_workers(&g);
			ck_assert_int_ne(net_end_within(client, 5000),
			    NET_OPEN);
		}
		close(client);
		gateway_expect_ended(&g, 5000);
	}
}
END_TEST

START_TEST(a_worker_hangs_and_is_replaced)
{
	struct gateway g;
	int client;

	client = drain_one(&g, "drain_timeout = 20s\nwatchdog = 2500ms\n");
	(void)gateway_signal_worker(&g, 0, SIGSTOP);
	expect_moves(client);
	close(client);
	gateway_expect_ended(&g, 5000);
}
END_TEST

/* Nobody replaces it, and with its holder dead nobody else could. */
START_TEST(a_worker_hangs_for_ever)
{
	struct gateway g;
	int client;

	client = drain_one(&g, "drain_timeout = 300ms\nwatchdog = 0\n");
	(void)gateway_signal_worker(&g, 0, SIGSTOP);
	kill_holder(&g);
	gateway_expect_ended(&g, 10000);
	ck_assert_int_ne(net_end_within(client, 1000), NET_OPEN);
	close(client);
}
END_TEST

/* Workers know what they were told without their master, and so do those who
 * succeed them. */
START_TEST(the_master_dies)
{
	struct gateway g;
	pid_t worker;
	int client;

	client = drain_one(&g, "drain_timeout = 20s\n");
	worker = gateway_worker(&g, 0);
	ck_assert_int_eq(kill(g.pid, SIGKILL), 0);
	ck_assert_int_eq(proc_wait(g.pid, 5000), 128 + SIGKILL);
	ck_assert_int_eq(kill(worker, SIGKILL), 0);
	expect_dead(worker);
	expect_moves(client);
	close(client);
	for (size_t i = 0; i < g.family_count; i++)
		expect_dead(g.family[i]);
	ck_assert_int_eq(unlink(g.control), 0);
}
END_TEST

E2E_MAIN("drain", what_is_left_is_closed_over_a_second, also_by_successors,
    who_is_queued_is_accepted_first, who_is_queued_behind_a_limit_has_a_turn,
    a_queue_does_not_prolong_the_stop, another_gateway_may_bind,
    it_tells_of_itself_and_reloads_nothing, a_call_has_its_own_time,
    a_holder_dies, a_worker_hangs_and_is_replaced, a_worker_hangs_for_ever,
    the_master_dies)
