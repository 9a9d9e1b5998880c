/*
 * Connections handed over to another worker, with the giver or the taker killed
 * at each system call: each connection has one owner at every instant, so none
 * is lost, and no byte, count or line of any.
 *
 * There are two workers, then one by a reload, and two again for the next run.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access_log.h"
#include "backend.h"
#include "brood.h"
#include "gateway.h"
#include "harness.h"
#include "killer.h"
#include "load.h"
#include "net.h"
#include "pair.h"
#include "points.h"
#include "proc.h"
#include "reloads.h"

#define QUICK_STOPS  30U
#define QUICK_SWEEPS 6U
#define DEATHS       4U /* that a sweep follows upon */
#define SETTLE_MS    20000

/* More than the socket buffers on the way take while nobody reads. */
#define FULL_BYTES  (8U << 20)
#define SOME_BYTES  100000U
#define STREAMS     6U
#define STREAM_SIZE 300000U

/* What a connection is doing while it is handed over. */
struct moved {
	const struct behaviour *does;
	struct pair pair;
	enum pair_side client;
	enum pair_side backend;
	uint64_t seed;
	size_t sent;
};

struct behaviour {
	const char *name;
	void (*before)(struct moved *moved);
	void (*after)(struct moved *moved);
	bool is_echo;
};

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

/* Behaviours */

/* Send as much as goes, until nothing has for a moment. */
static void
fill(struct moved *moved, size_t max)
{
	static char data[65536];
	struct pollfd pfd = {.fd = moved->pair.client, .events = POLLOUT};

	while (moved->sent < max && poll(&pfd, 1, 20) == 1) {
		size_t length = max - moved->sent < sizeof data
		    ? max - moved->sent
		    : sizeof data;
		ssize_t n;

		e2e_bytes(moved->seed, moved->sent, data, length);
		n = send(pfd.fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s",
		    strerror(errno));
		moved->sent += n > 0 ? (size_t)n : 0;
	}
}

static void
expect_all(const struct moved *moved, int fd)
{
	enum net_end end;
	size_t received = pair_drain(fd, moved->seed, &end);

	ck_assert_msg(received == moved->sent && end == NET_CLOSED,
	    "%s: %zu bytes of %zu, then %s", moved->does->name, received,
	    moved->sent, net_end_word(end));
}

static void
finish(struct moved *moved)
{
	close(moved->pair.server);
	net_expect_end(moved->pair.client, NET_CLOSED);
	close(moved->pair.client);
}

static void
be_idle(struct moved *moved)
{
	backend_check_pair(moved->pair.client, moved->pair.server);
}

static void
after_idle(struct moved *moved)
{
	backend_check_pair(moved->pair.client, moved->pair.server);
	finish(moved);
}

static void
end_up(struct moved *moved)
{
	net_say(moved->pair.client, "question");
	shutdown(moved->pair.client, SHUT_WR);
	net_hear(moved->pair.server, "question");
	net_expect_end(moved->pair.server, NET_CLOSED);
}

static void
answer_late(struct moved *moved)
{
	net_say(moved->pair.server, "late answer");
	net_hear(moved->pair.client, "late answer");
	finish(moved);
}

static void
end_down(struct moved *moved)
{
	net_say(moved->pair.server, "welcome");
	shutdown(moved->pair.server, SHUT_WR);
	net_hear(moved->pair.client, "welcome");
	net_expect_end(moved->pair.client, NET_CLOSED);
}

static void
ask_late(struct moved *moved)
{
	net_say(moved->pair.client, "late question");
	net_hear(moved->pair.server, "late question");
	shutdown(moved->pair.client, SHUT_WR);
	net_expect_end(moved->pair.server, NET_CLOSED);
	close(moved->pair.server);
	close(moved->pair.client);
}

static void
fill_up(struct moved *moved)
{
	fill(moved, FULL_BYTES);
}

static void
drain_up(struct moved *moved)
{
	shutdown(moved->pair.client, SHUT_WR);
	expect_all(moved, moved->pair.server);
	finish(moved);
}

static void
fill_and_end(struct moved *moved)
{
	fill(moved, FULL_BYTES);
	shutdown(moved->pair.client, SHUT_WR);
}

static void
fill_and_reset(struct moved *moved)
{
	fill(moved, FULL_BYTES);
	net_reset(moved->pair.client);
}

/* What was not received before the reset is lost with it. */
static void
expect_reset(struct moved *moved)
{
	enum net_end end;
	size_t received = pair_drain(moved->pair.server, moved->seed, &end);

	ck_assert_uint_gt(received, 0);
	ck_assert_int_ne(end, NET_OPEN);
	if (moved->client == SIDE_TCP && moved->backend == SIDE_TCP)
		ck_assert_int_eq(end, NET_RESET);
	close(moved->pair.server);
}

static void
send_urgent(int fd, bool is_tcp)
{
	net_say(fd, "before");
	ck_assert_int_eq(send(fd, "!", 1, is_tcp ? MSG_OOB : 0), 1);
	net_say(fd, "after");
}

static void
be_urgent(struct moved *moved)
{
	send_urgent(moved->pair.client, moved->client == SIDE_TCP);
}

static void
after_urgent(struct moved *moved)
{
	net_hear(moved->pair.server, "before!after");
	send_urgent(moved->pair.client, moved->client == SIDE_TCP);
	net_hear(moved->pair.server, "before!after");
	finish(moved);
}

static void
fill_echo(struct moved *moved)
{
	fill(moved, FULL_BYTES);
}

static void
drain_echo(struct moved *moved)
{
	shutdown(moved->pair.client, SHUT_WR);
	expect_all(moved, moved->pair.client);
	close(moved->pair.client);
}

static const struct behaviour behaviours[] = {
    {"idle", be_idle, after_idle, false},
    {"ended upwards", end_up, answer_late, false},
    {"ended downwards", end_down, ask_late, false},
    {"full", fill_up, drain_up, false},
    {"full, and ended", fill_and_end, drain_up, false},
    {"full, and reset", fill_and_reset, expect_reset, false},
    {"urgent", be_urgent, after_urgent, false},
    {"full echo", fill_echo, drain_echo, true},
};

/* Each by four pairs of sides. */
#define KINDS ARRAY_LEN(behaviours)
#define ALL   (4 * KINDS)

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
}

static void
stop(struct stage *s)
{
	gateway_stop(&s->gateway);
	load_free(s->load);
	close(s->listen_fd[SIDE_TCP]);
	close(s->listen_fd[SIDE_UNIX]);
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
		    .does = &behaviours[i / 4],
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

static void
expect_sound(struct stage *s)
{
	struct access_log log;
	int sockets;

	load_expect_exact(s->load);
	gateway_expect_number(&s->gateway, "totals/connections", 0);
	ck_assert_uint_eq((size_t)gateway_number(&s->gateway,
			      "totals/accepted"),
	    s->made);
	sockets = proc_fds_named(gateway_holder(&s->gateway, 0), "socket:");
	if (s->sockets == 0)
		s->sockets = sockets;
	ck_assert_int_eq(sockets, s->sockets);
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
	for (size_t i = 0; i < ALL; i++)
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
	unsigned stops;
	char text[96];

	if (!killer_can_trace())
		return;
	begin(&stage);
	stops = hand_over(&stage, KILLER_NEVER).seen;
	for (unsigned i = 1; i <= DEATHS; i++) {
		stage.first = stops * i / (DEATHS + 1);
		snprintf(text, sizeof text, "%s, sweep after stop %u", name,
		    stage.first);
		(void)points_try_all(text, try_sweep, &stage, QUICK_SWEEPS, i);
	}
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
