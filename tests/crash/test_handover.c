/*
 * Connections handed over to another worker, with the giver or the taker killed
 * at each system call: each connection has one owner at every instant, so none
 * is lost, and no byte, count or line of any.
 *
 * There are two workers, then one by a reload, and two again for the next run.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "brood.h"
#include "gateway.h"
#include "harness.h"
#include "killer.h"
#include "load.h"
#include "moved.h"
#include "net.h"
#include "pair.h"
#include "points.h"
#include "proc.h"
#include "reloads.h"

#define QUICK_STOPS  20U
#define QUICK_SWEEPS 4U
#define DEATHS       3U /* that a sweep follows upon */
#define SETTLE_MS    20000

#define STREAMS     6U
#define STREAM_SIZE 300000U

struct stage {
	struct gateway gateway;
	struct load *load;
	char access[E2E_PATH_SIZE];
	char address[2][2][ADDR_TEXT_SIZE]; /* [client's][backend's side] */
	char streams[ADDR_TEXT_SIZE];
	char bound[3][ADDR_TEXT_SIZE];
	char echo[2][ADDR_TEXT_SIZE];
	int listen_fd[2];
	unsigned victim; /* seat of the worker that is killed */
	unsigned first;  /* stop of its death, where its successor dies too */
	int sockets;     /* of the body that remains, when nobody is there */
	size_t made;
};

/* Each by four pairs of sides. */
#define ALL (4U * MOVED_BEHAVIOURS)

static struct moved all[ALL];

/* The stage */

static void
configure(struct stage *s, unsigned workers)
{
	s->gateway.workers = workers;
	gateway_configure(&s->gateway,
	    "service tcp {\n	listen = {\"127.0.0.1:0\", \"unix:%s/in-tcp\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service unix {\n	listen = {\"127.0.0.1:0\", \"unix:%s/in-unix\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service streams {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service echo {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in-echo\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    e2e_dir(), s->bound[SIDE_TCP], e2e_dir(), s->bound[SIDE_UNIX],
	    s->bound[2], e2e_dir());
}

/* A load keeps what was ever added to it: each run has one of its own. */
static void
renew_load(struct stage *s)
{
	char path[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];

	if (s->load != NULL)
		load_free(s->load);
	s->load = load_new();
	(void)unlink(e2e_path(path, "streams"));
	snprintf(address, sizeof address, "unix:%s", path);
	load_listen(s->load, address, s->bound[2]);
}

static void
open_all(struct stage *s)
{
	static const struct load_spec spec = {
	    .label = "stream",
	    .shape = LOAD_BOTH,
	    .up = STREAM_SIZE,
	    .down = STREAM_SIZE,
	};

	for (unsigned i = 0; i < ALL; i++) {
		struct moved *moved = &all[i];

		*moved = (struct moved){
		    .does = &moved_behaviours[i / 4],
		    .client = (enum pair_side)(i % 2),
		    .backend = (enum pair_side)(i / 2 % 2),
		    .seed = i + 1,
		    .pair.server = -1,
		};
		moved->pair.client = net_connect(moved->does->is_echo
			? s->echo[moved->client]
			: s->address[moved->client][moved->backend]);
		if (!moved->does->is_echo)
			moved->pair.server =
			    net_accept(s->listen_fd[moved->backend]);
		moved->does->before(moved);
	}
	load_add(s->load, s->streams, &spec, STREAMS, STREAMS);
	load_run_bytes(s->load, 1);
	s->made += ALL + STREAMS;
}

static bool
has_workers(void *arg)
{
	const struct stage *s = arg;
	json_t *status = gateway_status(&s->gateway);
	size_t count = json_array_size(json_object_get(status, "workers"));

	json_decref(status);
	return count == s->gateway.workers;
}

/* The streams go on meanwhile. */
static void
change_workers(struct stage *s, unsigned workers)
{
	struct client client;
	json_t *reply;

	configure(s, workers);
	reload_send(&s->gateway, &client, false);
	do {
		load_turn(s->load, 5);
		reply = reload_receive(&client, 0);
	} while (reply == NULL);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	if (load_counts(s->load)->running > 0)
		load_finish(s->load, SETTLE_MS);
	ck_assert_msg(e2e_wait(has_workers, s, SETTLE_MS),
	    "there are not %u workers", workers);
}

static int
body_sockets(const struct stage *s)
{
	return proc_fds_named(gateway_holder(&s->gateway, 0), "socket:");
}

static void
begin(struct stage *s)
{
	char path[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];

	renew_load(s);
	s->listen_fd[SIDE_TCP] =
	    net_listen("127.0.0.1:0", 64, s->bound[SIDE_TCP]);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	s->listen_fd[SIDE_UNIX] = net_listen(address, 64, s->bound[SIDE_UNIX]);
	gateway_init(&s->gateway);
	s->gateway.globals = "watchdog = 0\n";
	s->gateway.access = e2e_path(s->access, "access.log");
	configure(s, 2);
	gateway_run(&s->gateway);
	for (unsigned client = 0; client < 2; client++) {
		gateway_address(&s->gateway, "tcp", client,
		    s->address[client][SIDE_TCP]);
		gateway_address(&s->gateway, "unix", client,
		    s->address[client][SIDE_UNIX]);
		gateway_address(&s->gateway, "echo", client, s->echo[client]);
	}
	gateway_address(&s->gateway, "streams", 0, s->streams);
	change_workers(s, 1);
	s->sockets = body_sockets(s);
	change_workers(s, 2);
}

static void
stop(struct stage *s)
{
	gateway_stop(&s->gateway);
	load_free(s->load);
	close(s->listen_fd[SIDE_TCP]);
	close(s->listen_fd[SIDE_UNIX]);
}

/* A connection is no longer counted a moment before it is closed. */
static bool
has_no_more_sockets(void *arg)
{
	const struct stage *s = arg;

	return body_sockets(s) == s->sockets;
}

static void
expect_sound(struct stage *s)
{
	struct access_log log;

	load_expect_exact(s->load);
	gateway_expect_number(&s->gateway, "totals/connections", 0);
	ck_assert_uint_eq((size_t)gateway_number(&s->gateway,
			      "totals/accepted"),
	    s->made);
	ck_assert_msg(e2e_wait(has_no_more_sockets, s, SETTLE_MS),
	    "the body has %d sockets, %d without connections", body_sockets(s),
	    s->sockets);
	access_log_read(&log, s->access, s->made);
	ck_assert_uint_eq(log.count, s->made);
	access_log_expect_unique(&log);
	access_log_free(&log);
}

static struct points_trial
hand_over(struct stage *s, unsigned point)
{
	struct points_trial trial;
	struct killer killer;
	pid_t remains;

	gateway_expect_successor(&s->gateway, 1, 0);
	renew_load(s);
	open_all(s);
	ck_assert_int_gt(gateway_number(&s->gateway, "workers/1/connections"),
	    0);
	remains = gateway_worker(&s->gateway, 0);
	killer_arm(&killer, gateway_worker(&s->gateway, s->victim), point);
	change_workers(s, 1);
	trial.has_killed = killer_disarm(&killer);
	trial.seen = killer.seen;
	if (trial.has_killed && s->victim == 0)
		gateway_expect_successor(&s->gateway, 0, remains);
	for (unsigned i = 0; i < ALL; i++)
		all[i].does->after(&all[i]);
	expect_sound(s);
	change_workers(s, 2);
	return trial;
}

static struct points_trial
try_handover(void *arg, unsigned point)
{
	return hand_over(arg, point);
}

/* The successor is killed before its sweep is over. */
static struct points_trial
try_sweep(void *arg, unsigned point)
{
	struct stage *s = arg;
	struct points_trial trial;
	struct brood brood;

	brood_arm(&brood, gateway_holder(&s->gateway, s->victim),
	    BROOD_OF_HOLDER, point);
	(void)hand_over(s, s->first);
	trial.has_killed = brood_disarm(&brood);
	trial.seen = brood.seen;
	return trial;
}

static void
enumerate(const char *name, unsigned victim)
{
	struct stage stage = {.victim = victim};

	if (!killer_can_trace())
		return;
	begin(&stage);
	(void)points_try_all(name, try_handover, &stage, QUICK_STOPS, 0);
	stop(&stage);
}

static void
enumerate_sweeps(const char *name, unsigned victim)
{
	struct stage stage = {.victim = victim};
	unsigned killed = 0;
	unsigned stops;
	char text[96];

	if (!killer_can_trace())
		return;
	begin(&stage);
	stops = hand_over(&stage, KILLER_NEVER).seen;
	for (unsigned i = 1; i <= DEATHS; i++) {
		stage.first = stops * i / (DEATHS + 2);
		/* A run may be over before the first death. */
		if (try_sweep(&stage, KILLER_NEVER).seen == 0)
			continue;
		snprintf(text, sizeof text, "%s, sweep after stop %u", name,
		    stage.first);
		killed +=
		    points_try_all(text, try_sweep, &stage, QUICK_SWEEPS, i);
	}
	ck_assert_uint_gt(killed, 0);
	stop(&stage);
}

START_TEST(giver)
{
	enumerate("hand-over, giver", 1);
}
END_TEST

START_TEST(taker)
{
	enumerate("hand-over, taker", 0);
}
END_TEST

START_TEST(giver_twice)
{
	enumerate_sweeps("hand-over, giver", 1);
}
END_TEST

START_TEST(taker_twice)
{
	enumerate_sweeps("hand-over, taker", 0);
}
END_TEST

E2E_MAIN("crash.handover", giver, taker, giver_twice, taker_twice)
