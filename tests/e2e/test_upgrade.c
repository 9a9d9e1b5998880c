/*
 * Upgrades between two versions of the program whose bodies have another
 * layout: nobody outside notices, and nothing of before is left.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "common/version.h"
#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
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

static void
expect_echo(int fd)
{
	net_say(fd, "hello");
	net_hear(fd, "hello");
}

/* Under traffic */

struct fixture {
	struct gateway gateway;
	struct load *load;
	char backend[ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
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
	g->access = e2e_path(f->access, "access");
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

/* Every connection has a line in the access log, and each one. */
static void
fixture_stop(struct fixture *f)
{
	struct access_log log;
	int64_t accepted;

	load_stop_opening(f->load);
	load_finish_labelled(f->load, brief.label, 20000);
	ck_assert_uint_eq(load_counts(f->load)->lost, 0);
	for (size_t i = 0; i < IDLE; i++)
		close(f->idle[i]);
	load_free(f->load);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	accepted = gateway_number(&f->gateway, "totals/accepted");
	gateway_stop(&f->gateway);
	access_log_read(&log, f->gateway.access, (size_t)accepted);
	ck_assert_uint_eq(log.count, accepted);
	access_log_expect_unique(&log);
	access_log_free(&log);
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
		fixture_upgrade(&f, upgrade_this_program(), NEXT, SRVD_VERSION);
		upgrade_expect_program(&f.gateway, upgrade_this_program());
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
		    strcmp(to, NEXT) == 0 ? NEXT_PROGRAM
					  : upgrade_this_program());
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
	    strcmp(to, NEXT) == 0 ? NEXT_PROGRAM : upgrade_this_program(), from,
	    to);
	deaths = gateway_number(&f.gateway, "totals/deaths");
	ck_assert_int_gt(deaths, 0);
	fixture_upgrade(&f,
	    strcmp(from, NEXT) == 0 ? NEXT_PROGRAM : upgrade_this_program(), to,
	    from);
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

E2E_MAIN("upgrade", nobody_notices_five_upgrades_and_back,
    workers_that_are_killed_meanwhile_cost_nothing,
    masters_that_are_killed_meanwhile_are_succeeded)
