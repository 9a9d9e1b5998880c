/*
 * Upgrades between two versions of the program whose bodies have another
 * layout: nobody outside notices, and nothing of before is left.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/version.h"
#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "upgrades.h"

#define NEXT    "9.9.9"
#define ROUNDS  5
#define IDLE    50
#define FOREVER ((uint64_t)1 << 40)
#define ECHO    "	backend e { address = builtin:echo }\n}\n"
#define ONE     "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO
#define MORE    ONE "service t {\n	listen = {\"127.0.0.1:0\"}\n" ECHO
#define RELAYING                                     \
	"service s {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend b { address = \"%s\" }\n}\n"       \
	"service e {\n	listen = {\"127.0.0.1:0\", \"unix:%s\"}\n" ECHO

static const char *
this_program(void)
{
	static char path[PATH_MAX];

	ck_assert_ptr_nonnull(realpath(gateway_program(), path));
	return path;
}

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

static void
upgrade(const struct gateway *g, const char *program, const char *from,
    const char *to)
{
	struct client client;

	upgrade_send(g, &client, program);
	upgrade_expect_reply(upgrade_receive(&client), from, to);
}

/* Under traffic */

struct fixture {
	struct gateway gateway;
	struct load *load;
	char backend[ADDR_TEXT_SIZE];
	char listener[E2E_PATH_SIZE]; /* of the Unix domain */
	int idle[IDLE];
};

static const struct load_spec specs[] = {
    {.label = "bulk", .shape = LOAD_BOTH, .up = FOREVER, .down = FOREVER},
    {.label = "slow",
	.shape = LOAD_BOTH,
	.up = FOREVER,
	.down = FOREVER,
	.read_max = 4096,
	.read_pause_ms = 1},
    {.label = "talk",
	.shape = LOAD_PINGPONG,
	.up = FOREVER,
	.down = FOREVER,
	.message = 512},
    /* The backend has ended its direction, the client goes on. */
    {.label = "half", .shape = LOAD_DOWN_FIRST, .up = FOREVER, .down = 50000},
};
static const struct load_spec brief = {.label = "brief",
    .shape = LOAD_BOTH,
    .up = 3000,
    .down = 3000};

static void
fixture_start(struct fixture *f)
{
	char address[ADDR_TEXT_SIZE];
	struct gateway *g = &f->gateway;

	gateway_init(g);
	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", f->backend);
	gateway_start(g, RELAYING, f->backend,
	    e2e_path(f->listener, "listener"));
	gateway_address(g, "s", 0, address);
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		load_add(f->load, address, &specs[i], 2, 2);
	load_add(f->load, address, &brief, 4, 0);
	gateway_address(g, "e", 0, address);
	for (size_t i = 0; i < IDLE; i++) {
		f->idle[i] = i % 2 == 0 ? net_connect(address)
					: net_connect(gateway_address(g, "e", 1,
					      (char[ADDR_TEXT_SIZE]){""}));
		expect_echo(f->idle[i]);
	}
	load_run_bytes(f->load, 1000000);
}

static void
fixture_upgrade(struct fixture *f, const char *program, const char *from,
    const char *to)
{
	const struct load_counts *counts = load_counts(f->load);
	uint64_t end_ms = e2e_now_ms() + UPGRADE_TIMEOUT_MS;
	unsigned done = counts->done;
	struct client client;
	json_t *reply;

	upgrade_send(&f->gateway, &client, program);
	while ((reply = client_hear(&client, 1)) == NULL) {
		ck_assert_msg(e2e_now_ms() < end_ms, "no answer");
		load_turn(f->load, 1);
	}
	client_close(&client);
	upgrade_expect_reply(reply, from, to);
	load_run_bytes(f->load, counts->bytes + 1000000);
	while (counts->done < done + 10)
		load_turn(f->load, 1);
	ck_assert_msg(counts->lost == 0 && counts->wrong == 0, "%s",
	    counts->errors);
}

static void
fixture_stop(struct fixture *f)
{
	load_stop_opening(f->load);
	load_finish_labelled(f->load, brief.label, 20000);
	ck_assert_uint_eq(load_counts(f->load)->lost, 0);
	for (size_t i = 0; i < IDLE; i++)
		close(f->idle[i]);
	load_free(f->load);
	gateway_stop(&f->gateway);
}

/* The numbers of the first count connections that are idle, as they were. */
static json_t *
idle_ids(const struct gateway *g)
{
	struct client client;
	json_t *ids = json_object();
	bool more = true;

	ck_assert_int_eq(client_open(&client, g->control), 0);
	ck_assert_int_eq(client_call(&client, "ListConnections",
			     "{\"filter\":{\"service\":\"e\"}}", true),
	    0);
	while (more) {
		json_t *reply = client_hear(&client, 5000);
		json_t *row;
		size_t i;

		ck_assert_ptr_nonnull(reply);
		json_array_foreach(json_object_get(json_object_get(reply,
						       "parameters"),
				       "connections"),
		    i, row)
		{
			char key[ADDR_TEXT_SIZE + 32];

			(void)snprintf(key, sizeof key, "%lld %s",
			    json_integer_value(json_object_get(row, "id")),
			    json_string_value(json_object_get(row, "client")));
			(void)json_object_set(ids, key,
			    json_object_get(row, "bytes_up"));
		}
		more = json_is_true(json_object_get(reply, "continues"));
		json_decref(reply);
	}
	client_close(&client);
	return ids;
}

static void
expect_same_ids(const struct fixture *f, json_t *before)
{
	json_t *now = idle_ids(&f->gateway);

	ck_assert_uint_eq(json_object_size(now), IDLE);
	ck_assert_msg(json_equal(before, now),
	    "the idle connections have other numbers or counts");
	json_decref(before);
	json_decref(now);
}

/* Those that only grow, and those that traffic does not touch. */
static void
expect_same_counts(const struct fixture *f, int64_t accepted[2])
{
	const struct gateway *g = &f->gateway;

	ck_assert_int_ge(gateway_number(g, "totals/accepted"), accepted[0]);
	accepted[0] = gateway_number(g, "totals/accepted");
	ck_assert_int_eq(gateway_number(g, "services/e/accepted"), IDLE);
	ck_assert_int_eq(gateway_number(g, "services/e/connections"), IDLE);
	ck_assert_int_eq(gateway_number(g, "totals/deaths"), 0);
	ck_assert_int_ge(gateway_number(g, "totals/bytes_up"), accepted[1]);
	accepted[1] = gateway_number(g, "totals/bytes_up");
}

START_TEST(nobody_notices_five_upgrades_and_back)
{
	struct fixture f;
	pid_t pid;
	int64_t counts[2];

	fixture_start(&f);
	pid = f.gateway.pid;
	counts[0] = gateway_number(&f.gateway, "totals/accepted");
	counts[1] = gateway_number(&f.gateway, "totals/bytes_up");
	for (unsigned i = 0; i < ROUNDS; i++) {
		json_t *ids = idle_ids(&f.gateway);

		fixture_upgrade(&f, NEXT_PROGRAM, SRVD_VERSION, NEXT);
		upgrade_expect_program(&f.gateway, NEXT_PROGRAM);
		expect_same_counts(&f, counts);
		expect_same_ids(&f, ids);
		fixture_upgrade(&f, this_program(), NEXT, SRVD_VERSION);
		upgrade_expect_program(&f.gateway, this_program());
		expect_same_counts(&f, counts);
		ck_assert_int_eq(gateway_number(&f.gateway, "pid"), pid);
	}
	for (size_t i = 0; i < IDLE; i++)
		expect_echo(f.idle[i]);
	fixture_stop(&f);
}
END_TEST

/* Turn until ms have gone, or it was answered; the reply, or NULL. */
static json_t *
turn(struct fixture *f, struct client *client, int ms)
{
	uint64_t end_ms = e2e_now_ms() + (uint64_t)ms;
	json_t *reply = NULL;

	while (reply == NULL && e2e_now_ms() < end_ms) {
		load_turn(f->load, 1);
		reply = client_hear(client, 1);
	}
	return reply;
}

/* Kill one of the workers, of before or those that come. */
static void
kill_worker(const struct gateway *g, unsigned n)
{
	pid_t family[GATEWAY_FAMILY_MAX];
	size_t count = proc_descendants(g->pid, family, GATEWAY_FAMILY_MAX);
	char name[32];

	for (size_t i = 0; i < count; i++) {
		pid_t pid = family[(i + n) % count];

		proc_comm(pid, name, sizeof name);
		if (strncmp(name, "srvd: worker", 12) == 0 &&
		    kill(pid, SIGKILL) == 0)
			return;
	}
}

START_TEST(workers_that_are_killed_meanwhile_cost_nothing)
{
	struct fixture f;
	const char *to = NEXT;
	const char *from = SRVD_VERSION;
	int64_t deaths;

	fixture_start(&f);
	for (int ms = 0; ms < 40; ms += 3) {
		const char *before = from;
		struct client client;
		json_t *reply;

		upgrade_send(&f.gateway, &client,
		    strcmp(to, NEXT) == 0 ? NEXT_PROGRAM : this_program());
		reply = turn(&f, &client, ms);
		kill_worker(&f.gateway, (unsigned)ms);
		if (reply == NULL)
			reply = turn(&f, &client, UPGRADE_TIMEOUT_MS);
		client_close(&client);
		upgrade_expect_reply(reply, from, to);
		from = to;
		to = before;
	}
	/* They are counted when their bodies have ended, and stay so. */
	fixture_upgrade(&f,
	    strcmp(to, NEXT) == 0 ? NEXT_PROGRAM : this_program(), from, to);
	deaths = gateway_number(&f.gateway, "totals/deaths");
	ck_assert_int_gt(deaths, 0);
	fixture_upgrade(&f,
	    strcmp(from, NEXT) == 0 ? NEXT_PROGRAM : this_program(), to, from);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/deaths"), deaths);
	for (size_t i = 0; i < IDLE; i++)
		expect_echo(f.idle[i]);
	fixture_stop(&f);
}
END_TEST

/* At any moment of it: the next one finds what there is, of both programs. */
START_TEST(masters_that_are_killed_meanwhile_are_succeeded)
{
	struct fixture f;

	fixture_start(&f);
	for (int ms = 0; ms < 40; ms += 4) {
		struct client client;

		upgrade_send(&f.gateway, &client, NEXT_PROGRAM);
		json_decref(turn(&f, &client, ms));
		ck_assert_int_eq(kill(f.gateway.pid, SIGKILL), 0);
		client_close(&client);
		ck_assert_int_eq(proc_wait(f.gateway.pid, GATEWAY_TIMEOUT_MS),
		    128 + SIGKILL);
		gateway_run(&f.gateway);
		load_run_bytes(f.load, load_counts(f.load)->bytes + 1000000);
	}
	ck_assert_msg(load_counts(f.load)->lost == 0, "%s",
	    load_counts(f.load)->errors);
	for (size_t i = 0; i < IDLE; i++)
		expect_echo(f.idle[i]);
	fixture_stop(&f);
}
END_TEST

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
	upgrade(&g, NULL, SRVD_VERSION, NEXT);
	upgrade_expect_program(&g, path);
	expect_serving(client, address);
	/* And the one that came knows its place, too. */
	upgrade(&g, NULL, NEXT, NEXT);
	expect_serving(client, address);
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
	upgrade(&g, NEXT_PROGRAM, SRVD_VERSION, NEXT);
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
	upgrade(&g, NEXT_PROGRAM, SRVD_VERSION, NEXT);
	expect_serving(client, bound);
	upgrade(&g, this_program(), NEXT, SRVD_VERSION);
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
is_this_version(void *arg)
{
	const struct gateway *g = arg;
	json_t *reply = gateway_call(g, "GetStatus", NULL);
	const char *version =
	    json_string_value(json_object_get(json_object_get(reply,
						  "parameters"),
		"version"));
	bool is = version != NULL && strcmp(version, SRVD_VERSION) == 0;

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
	    SRVD_VERSION, NEXT);
	ck_assert_int_eq(client_call(&client, "GetStatus", NULL, false), 0);
	reply = client_hear(&client, 5000);
	ck_assert_str_eq(json_string_value(json_object_get(
			     json_object_get(reply, "parameters"), "version")),
	    NEXT);
	json_decref(reply);
	ck_assert_int_eq(client_send(&client, two, sizeof two), 0);
	upgrade_expect_reply(client_hear(&client, UPGRADE_TIMEOUT_MS), NEXT,
	    NEXT);
	ck_assert(client_has_ended(&client, 5000));
	client_close(&client);
	/* Who has gone is not waited for. */
	upgrade_send(&g, &client, this_program());
	client_close(&client);
	ck_assert(e2e_wait(is_this_version, &g, UPGRADE_TIMEOUT_MS));
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
	upgrade(&g, NEXT_PROGRAM, SRVD_VERSION, NEXT);
	expect_said(manager, "STATUS=Upgrading to " NEXT);
	expect_said(manager, "READY=1");
	expect_said(manager, "WATCHDOG=1");
	upgrade(&g, this_program(), NEXT, SRVD_VERSION);
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
	upgrade(&g, NEXT_PROGRAM, SRVD_VERSION, NEXT);
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

E2E_MAIN("upgrade", nobody_notices_five_upgrades_and_back,
    workers_that_are_killed_meanwhile_cost_nothing,
    masters_that_are_killed_meanwhile_are_succeeded, the_file_may_be_replaced,
    the_configuration_may_have_changed, passed_sockets_stay,
    who_asked_stays_a_client, the_service_manager_is_told,
    one_that_lies_costs_nothing_but_the_master, a_stop_at_any_moment_is_a_stop)
