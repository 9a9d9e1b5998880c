/*
 * Connections go from worker to worker: fewer workers and more of them, dead
 * holders, crashed workers, uneven ones.  None breaks, nobody is refused.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define WORKERS   4
#define SETTLE_MS 10000
#define IDLE      200
#define KILLS     12
#define FAULTS    4

/* What all of them work with: a target for streams, with a backend of the
 * load's, and one for connections that stay. */
struct fixture {
	struct gateway gateway;
	struct load *load;
	char backend[ADDR_TEXT_SIZE];
	char streams[ADDR_TEXT_SIZE];
	char kept[ADDR_TEXT_SIZE];
	int idle[IDLE];
	unsigned idle_count;
};

static void
configure(struct fixture *f, unsigned workers)
{
	f->gateway.workers = workers;
	gateway_configure(&f->gateway,
	    "service streams {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service kept {\n	listen = {\"127.0.0.1:0\", \"[::1]:0\"}\n"
	    "	backend e { address = builtin:echo }\n}\n",
	    f->backend);
}

static void
fixture_start(struct fixture *f, unsigned workers)
{
	memset(f, 0, sizeof *f);
	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", f->backend);
	gateway_init(&f->gateway);
	configure(f, workers);
	gateway_run(&f->gateway);
	gateway_address(&f->gateway, "streams", 0, f->streams);
	gateway_address(&f->gateway, "kept", 0, f->kept);
}

static void
start_streams(struct fixture *f)
{
	static const struct load_spec bulk = {
	    "bulk", LOAD_BOTH, .up = 300000, .down = 900000};
	static const struct load_spec talk = {"talk", LOAD_PINGPONG,
	    .up = 64ULL * 100, .down = 64ULL * 100, .message = 64};
	static const struct load_spec brief = {
	    "brief", LOAD_PINGPONG, .up = 64, .down = 64, .message = 64};

	load_add(f->load, f->streams, &bulk, 4, 0);
	load_add(f->load, f->streams, &talk, 20, 0);
	/* One question, one answer: most of all connects. */
	load_add(f->load, f->streams, &brief, 4, 0);
}

static void
open_idle(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = net_connect(f->kept);

		net_say(fd, "first");
		net_hear(fd, "first");
		f->idle[f->idle_count++] = fd;
	}
}

static void
check_idle(const struct fixture *f)
{
	for (unsigned i = 0; i < f->idle_count; i++) {
		net_say(f->idle[i], "still there?");
		net_hear(f->idle[i], "still there?");
	}
}

static void
fixture_stop(struct fixture *f)
{
	load_stop_opening(f->load);
	load_finish(f->load, 20000);
	load_expect_exact(f->load);
	check_idle(f);
	gateway_expect_number(&f->gateway, "totals/connections", f->idle_count);
	for (unsigned i = 0; i < f->idle_count; i++)
		close(f->idle[i]);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_stop(&f->gateway);
	load_free(f->load);
}

/* The status has this many workers, and none that hands over. */
static bool
has_settled(const struct gateway *g, size_t workers)
{
	json_t *status = gateway_status(g);
	json_t *list = json_object_get(status, "workers");
	bool settled = json_array_size(list) == workers;
	json_t *worker;
	size_t i;

	json_array_foreach(list, i, worker)
	{
		const char *state =
		    json_string_value(json_object_get(worker, "state"));

		settled = settled && state != NULL &&
		    strcmp(state, "running") == 0 &&
		    json_object_get(worker, "fault") == NULL;
	}
	json_decref(status);
	return settled;
}

/* Traffic goes on meanwhile. */
static void
settle(struct fixture *f, size_t workers)
{
	uint64_t end = e2e_now_ms() + SETTLE_MS;

	while (!has_settled(&f->gateway, workers)) {
		ck_assert_msg(e2e_now_ms() < end,
		    "there are not %zu workers, or some still hand over",
		    workers);
		load_turn(f->load, 10);
	}
}

/* Asked in the background, as traffic goes on. */
static void
reload(struct fixture *f)
{
	uint64_t end = e2e_now_ms() + RELOAD_TIMEOUT_MS;
	struct client client;
	json_t *reply = NULL;

	reload_send(&f->gateway, &client, false);
	while (reply == NULL) {
		load_turn(f->load, 10);
		reply = reload_receive(&client, 0);
		ck_assert_msg(e2e_now_ms() < end, "no answer to a reload");
	}
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

/* Each listening socket that there ever was is accepted on. */
static void
expect_all_accepted(const struct fixture *f)
{
	for (unsigned i = 0; i < 40; i++) {
		int fd = net_connect(f->kept);

		net_say(fd, "hello");
		net_hear(fd, "hello");
		close(fd);
	}
}

START_TEST(fewer_and_more_workers)
{
	static const unsigned counts[] = {1, 3, 2, 4, 1, 2};
	struct fixture f;

	fixture_start(&f, WORKERS);
	open_idle(&f, IDLE);
	start_streams(&f);
	load_run(f.load, 300);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		configure(&f, counts[i]);
		reload(&f);
		settle(&f, counts[i]);
		load_run(f.load, 200);
		load_expect_exact(f.load);
		check_idle(&f);
		expect_all_accepted(&f);
	}
	/* Master, and a holder and a worker each. */
	ck_assert_uint_eq(proc_descendants(f.gateway.pid, f.gateway.family,
			      GATEWAY_FAMILY_MAX),
	    4);
	fixture_stop(&f);
}
END_TEST

/* What a removed listener's other sockets held is refused, and its address is
 * free. */
START_TEST(a_listener_is_removed_with_sockets_of_other_seats)
{
	struct fixture f;

	fixture_start(&f, WORKERS);
	configure(&f, 1);
	reload(&f);
	settle(&f, 1);
	f.gateway.workers = 1;
	gateway_configure(&f.gateway,
	    "service other {\n	listen = {\"127.0.0.3:0\"}\n"
	    "	backend e { address = builtin:echo }\n}\n");
	reload_expect_done(&f.gateway);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(net_try_connect(f.kept), -ECONNREFUSED);
		ck_assert_int_eq(net_try_connect(f.streams), -ECONNREFUSED);
	}
	gateway_stop(&f.gateway);
	load_free(f.load);
}
END_TEST

/* The sum over what the status has of a seat. */
static int64_t
sum_of(const struct gateway *g, const char *key)
{
	json_t *status = gateway_status(g);
	int64_t sum = 0;
	json_t *worker;
	size_t i;

	json_array_foreach(json_object_get(status, "workers"), i, worker) sum +=
	    json_integer_value(json_object_get(worker, key));
	json_decref(status);
	return sum;
}

START_TEST(holders_killed_under_traffic)
{
	struct fixture f;

	fixture_start(&f, 2);
	open_idle(&f, IDLE);
	start_streams(&f);
	load_run(f.load, 300);
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t holder = gateway_holder(&f.gateway, i % 2);
		int64_t accepted = sum_of(&f.gateway, "accepted");

		ck_assert_int_gt(holder, 1);
		ck_assert_int_eq(kill(holder, SIGKILL), 0);
		while (gateway_holder(&f.gateway, i % 2) == holder)
			load_turn(f.load, 10);
		settle(&f, 2);
		ck_assert_int_ne(gateway_holder(&f.gateway, i % 2), holder);
		ck_assert_int_ge(sum_of(&f.gateway, "accepted"), accepted);
		load_run(f.load, 50);
		load_expect_exact(f.load);
	}
	/* None of their workers died. */
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/deaths"), 0);
	fixture_stop(&f);
}
END_TEST

START_TEST(a_crashed_worker_gets_a_fresh_body)
{
	struct fixture f;

	fixture_start(&f, 2);
	open_idle(&f, IDLE);
	start_streams(&f);
	load_run(f.load, 1200);
	for (unsigned i = 0; i < FAULTS; i++) {
		pid_t holder = gateway_holder(&f.gateway, i % 2);
		uint64_t end = e2e_now_ms() + SETTLE_MS;

		(void)gateway_signal_worker(&f.gateway, i % 2, SIGSEGV);
		while (gateway_holder(&f.gateway, i % 2) == holder) {
			ck_assert_msg(e2e_now_ms() < end,
			    "it stays in its body");
			load_turn(f.load, 10);
		}
		settle(&f, 2);
		load_run(f.load, 600);
		check_idle(&f);
		ck_assert_int_eq(gateway_number(&f.gateway, "totals/deaths"),
		    i + 1);
	}
	/* A culprit each, at most: it was being worked on. */
	ck_assert_uint_le(load_counts(f.load)->lost, FAULTS);
	ck_assert_uint_eq(load_counts(f.load)->wrong, 0);
	load_stop_opening(f.load);
	load_finish(f.load, 20000);
	check_idle(&f);
	gateway_stop(&f.gateway);
	load_free(f.load);
}
END_TEST

static int64_t
rebalance(const struct gateway *g)
{
	json_t *reply = gateway_call(g, "Rebalance", NULL);
	json_t *moved =
	    json_object_get(json_object_get(reply, "parameters"), "moved");
	int64_t count = json_integer_value(moved);

	ck_assert_msg(json_is_integer(moved), "no good answer to Rebalance");
	json_decref(reply);
	return count;
}

START_TEST(rebalance_evens_out)
{
	struct fixture f;
	int64_t least = IDLE;
	int64_t most = 0;

	fixture_start(&f, 1);
	open_idle(&f, IDLE);
	ck_assert_int_eq(rebalance(&f.gateway), 0);
	configure(&f, WORKERS);
	reload_expect_done(&f.gateway);
	ck_assert_int_eq(gateway_number(&f.gateway, "workers/0/connections"),
	    IDLE);
	ck_assert_int_eq(rebalance(&f.gateway), IDLE - IDLE / WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		char path[40];
		int64_t count;

		snprintf(path, sizeof path, "workers/%u/connections", i);
		count = gateway_number(&f.gateway, path);
		least = count < least ? count : least;
		most = count > most ? count : most;
	}
	ck_assert_int_eq(least, IDLE / WORKERS);
	ck_assert_int_eq(most, IDLE / WORKERS);
	ck_assert_int_eq(rebalance(&f.gateway), 0);
	check_idle(&f);
	/* With traffic: as even as it can be, and nothing breaks. */
	start_streams(&f);
	load_run(f.load, 200);
	(void)rebalance(&f.gateway);
	load_run(f.load, 200);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("handover", fewer_and_more_workers,
    a_listener_is_removed_with_sockets_of_other_seats,
    holders_killed_under_traffic, a_crashed_worker_gets_a_fresh_body,
    rebalance_evens_out)
