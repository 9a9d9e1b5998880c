/*
 * Workers die at every moment of a reload, or hang: it is done or refused,
 * whole, and all of them work by one plan in the end.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define WORKERS   2
#define KILLS     200
#define LISTENERS 60
#define HELD      4 /* connections that are open all the time */
#define PROBES    6 /* new ones a reload: all workers are asked, most likely */

#define ECHO "	backend e { address = builtin:echo }\n}\n"

/* Two configurations; in the second there is one service more, and another
 * backend. */
struct fixture {
	struct gateway gateway;
	struct backend b[2];
	bool second;        /* in force */
	int64_t generation; /* in force */
	unsigned reloads;   /* that were done */
	int client[HELD];
	int server[HELD];
	char extra[ADDR_TEXT_SIZE]; /* where the second service listened last */
};

/* With many listeners a reload is longer where it can be hit. */
static void
configure(const struct fixture *f, bool second)
{
	char more[LISTENERS * 16 + 256] = "";
	size_t at = 0;

	if (second) {
		at += (size_t)snprintf(more, sizeof more,
		    "service extra {\n	listen = {\"127.0.0.1:0\", "
		    "\"unix:%s/extra\"",
		    e2e_dir());
		for (int i = 0; i < LISTENERS; i++)
			at += (size_t)snprintf(more + at, sizeof more - at,
			    ", \"127.0.0.1:0\"");
		snprintf(more + at, sizeof more - at, "}\n" ECHO);
	}
	gateway_configure(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend %s { address = \"%s\" }\n}\n%s",
	    second ? "b" : "a", f->b[second].address, more);
}

/* More of the configuration that was just written. */
static void append(const struct fixture *f, const char *format, ...)
    printf_like(2, 3);

static void
append(const struct fixture *f, const char *format, ...)
{
	FILE *out = fopen(f->gateway.config, "ae");
	va_list args;

	ck_assert_ptr_nonnull(out);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	ck_assert_int_eq(fclose(out), 0);
}

static void
fixture_start(struct fixture *f)
{
	size_t which;

	memset(f, 0, sizeof *f);
	backend_open(&f->b[0]);
	backend_open(&f->b[1]);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	f->gateway.globals = "watchdog = 20s\n";
	f->generation = 1;
	configure(f, false);
	gateway_run(&f->gateway);
	for (int i = 0; i < HELD; i++) {
		f->client[i] = backend_connect_service(&f->gateway);
		f->server[i] = backend_accept_any(f->b, 1, &which);
	}
}

static void
fixture_stop(struct fixture *f)
{
	for (int i = 0; i < HELD; i++) {
		backend_check_pair(f->client[i], f->server[i]);
		close(f->client[i]);
		close(f->server[i]);
	}
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_stop(&f->gateway);
	backend_close_all(f->b, ARRAY_LEN(f->b));
}

static void
check_extra(struct fixture *f)
{
	char path[E2E_PATH_SIZE];
	int fd;

	ck_assert_int_eq(access(e2e_path(path, "extra"), F_OK) == 0, f->second);
	if (f->second) {
		gateway_address(&f->gateway, "extra", 0, f->extra);
		fd = net_connect(f->extra);
		net_say(fd, "hello");
		net_hear(fd, "hello");
		close(fd);
	} else if (f->extra[0] != '\0') {
		ck_assert_int_eq(net_try_connect(f->extra), -ECONNREFUSED);
	}
}

/* The gateway is wholly in one of the two configurations. */
static void
check_whole(struct fixture *f)
{
	size_t which;

	ck_assert_int_eq(gateway_number(&f->gateway, "generation"),
	    f->generation);
	check_extra(f);
	for (int i = 0; i < PROBES; i++) {
		int client = backend_connect_service(&f->gateway);
		int server = backend_accept_any(f->b, ARRAY_LEN(f->b), &which);

		ck_assert_msg(which == f->second,
		    "probe %d: a worker works by another plan than generation "
		    "%lld",
		    i, (long long)f->generation);
		close(client);
		close(server);
	}
	for (int i = 0; i < HELD; i++)
		backend_check_pair(f->client[i], f->server[i]);
}

/* Take the answer to a reload to the other configuration. */
static bool
take_answer(struct fixture *f, struct client *client)
{
	json_t *reply = reload_receive(client, RELOAD_TIMEOUT_MS);
	bool done;

	ck_assert_msg(reply != NULL, "no answer to Reload");
	done = reload_is_done(reply);
	if (done) {
		f->second = !f->second;
		f->generation = json_integer_value(gateway_find(reply,
		    "parameters/generation"));
		f->reloads++;
	}
	json_decref(reply);
	return done;
}

static void
pause_us(uint64_t us)
{
	const struct timespec pause = {.tv_sec = (time_t)(us / 1000000),
	    .tv_nsec = (long)(us % 1000000) * 1000};

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* The longest of a few reloads, and some more, in microseconds. */
static uint64_t
time_reload(struct fixture *f)
{
	struct client client;
	uint64_t longest_ms = 1;

	for (int i = 0; i < 4; i++) {
		uint64_t start_ms = e2e_now_ms();

		configure(f, !f->second);
		reload_send(&f->gateway, &client, false);
		ck_assert(take_answer(f, &client));
		if (e2e_now_ms() - start_ms > longest_ms)
			longest_ms = e2e_now_ms() - start_ms;
		check_whole(f);
	}
	return longest_ms * 1250;
}

/* Kill number i of a reload's span; every tenth time all workers at once. */
static void
kill_in_reload(struct fixture *f, unsigned i, uint64_t span_us)
{
	struct client client;
	pid_t pids[WORKERS];

	for (unsigned w = 0; w < WORKERS; w++)
		pids[w] = gateway_worker(&f->gateway, w);
	configure(f, !f->second);
	reload_send(&f->gateway, &client, false);
	pause_us(i * span_us / KILLS);
	for (unsigned w = 0; w < WORKERS; w++) {
		if (i % 10 == 9 || w == i % WORKERS)
			ck_assert_int_eq(kill(pids[w], SIGKILL), 0);
	}
	(void)take_answer(f, &client);
	for (unsigned w = 0; w < WORKERS; w++) {
		if (i % 10 == 9 || w == i % WORKERS)
			gateway_expect_successor(&f->gateway, w, pids[w]);
	}
	check_whole(f);
}

START_TEST(killed_at_every_moment)
{
	struct fixture f;
	uint64_t span_us;

	fixture_start(&f);
	span_us = time_reload(&f);
	f.reloads = 0;
	for (unsigned i = 0; i < KILLS; i++)
		kill_in_reload(&f, i, span_us);
	printf("%u of %d reloads of up to %llu us were done\n", f.reloads,
	    KILLS, (unsigned long long)span_us);
	ck_assert_uint_gt(f.reloads, KILLS / 2);
	fixture_stop(&f);
}
END_TEST

/* Whoever works now dies, again and again for a while: successors, too, that
 * have just been told of the reload. */
START_TEST(killed_again_and_again)
{
	struct fixture f;
	struct client client;

	fixture_start(&f);
	for (unsigned i = 0; i < 15; i++) {
		uint64_t end_ms = e2e_now_ms() + 40 + i * UINT64_C(10);

		configure(&f, !f.second);
		reload_send(&f.gateway, &client, false);
		for (unsigned w = 0; e2e_now_ms() < end_ms; w++)
			(void)gateway_signal_worker(&f.gateway, w % WORKERS,
			    SIGKILL);
		(void)take_answer(&f, &client);
		check_whole(&f);
	}
	printf("%u of 15 reloads were done\n", f.reloads);
	fixture_stop(&f);
}
END_TEST

struct preparation {
	const struct fixture *fixture;
	int memfds; /* of the worker's body before */
	int sockets;
};

static int
count_fds(const struct fixture *f, const char *prefix)
{
	return proc_fds_named(gateway_holder(&f->gateway, 0), prefix);
}

/* It has the plan and, which come in several messages, its sockets, and waits
 * for more: so it has answered. */
static bool
worker_is_prepared(void *arg)
{
	const struct preparation *p = arg;
	const struct fixture *f = p->fixture;

	return count_fds(f, "/memfd:") > p->memfds &&
	    count_fds(f, "socket:") >= p->sockets + LISTENERS + 2 &&
	    proc_state(gateway_worker(&f->gateway, 0)) == 'S';
}

/* One that was ready and then hangs is replaced, and its successor follows;
 * nothing is undone. */
START_TEST(hangs_after_it_was_ready)
{
	struct fixture f;
	struct preparation before = {.fixture = &f};
	struct client client;
	uint64_t start_ms;
	pid_t old;

	if (getuid() != 0) {
		e2e_skip("only root sees what a worker has been sent");
		return;
	}
	fixture_start(&f);
	configure(&f, true);
	before.memfds = count_fds(&f, "/memfd:");
	before.sockets = count_fds(&f, "socket:");
	(void)gateway_signal_worker(&f.gateway, 1, SIGSTOP);
	reload_send(&f.gateway, &client, false);
	ck_assert(e2e_wait(worker_is_prepared, &before, 1500));
	old = gateway_signal_worker(&f.gateway, 0, SIGSTOP);
	start_ms = e2e_now_ms();
	(void)gateway_signal_worker(&f.gateway, 1, SIGCONT);
	ck_assert(take_answer(&f, &client));
	ck_assert_uint_lt(e2e_now_ms() - start_ms, 12000);
	gateway_expect_successor(&f.gateway, 0, old);
	check_whole(&f);
	fixture_stop(&f);
}
END_TEST

/* Dead ones in a dry run: it goes on with the successor, or is refused. */
START_TEST(killed_in_dry_runs)
{
	struct fixture f;
	struct client client;
	char *picture;
	json_t *reply;

	fixture_start(&f);
	configure(&f, true);
	for (unsigned i = 0; i < 20; i++) {
		pid_t old = gateway_worker(&f.gateway, i % WORKERS);

		reload_send(&f.gateway, &client, true);
		pause_us(i * UINT64_C(1000));
		ck_assert_int_eq(kill(old, SIGKILL), 0);
		reply = reload_receive(&client, RELOAD_TIMEOUT_MS);
		ck_assert_ptr_nonnull(reply);
		(void)reload_is_done(reply);
		json_decref(reply);
		gateway_expect_successor(&f.gateway, i % WORKERS, old);
		check_whole(&f);
	}
	/* Nothing of all these is left behind. */
	picture = reload_picture(&f.gateway);
	reply = reload_ask(&f.gateway, true);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	reload_expect_picture(&f.gateway, picture);
	fixture_stop(&f);
}
END_TEST

/* A worker without a holder has no successor, and takes part all the same. */
START_TEST(holder_is_gone)
{
	struct fixture f;
	struct client client;

	fixture_start(&f);
	ck_assert_int_eq(kill(gateway_holder(&f.gateway, 0), SIGKILL), 0);
	for (int i = 0; i < 4; i++) {
		configure(&f, !f.second);
		reload_send(&f.gateway, &client, false);
		ck_assert(take_answer(&f, &client));
		check_whole(&f);
	}
	fixture_stop(&f);
}
END_TEST

#define REMOVED 80

/* Echoes of a service that is to be removed. */
static void
open_removed(struct fixture *f, int fds[REMOVED])
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(&f->gateway, "gone", 0, address);
	for (int i = 0; i < REMOVED; i++) {
		fds[i] = net_connect(address);
		net_say(fds[i], "x");
		net_hear(fds[i], "x");
	}
}

/* Connections that a reload closes are all closed, whoever dies over it, and
 * those of other services are not. */
START_TEST(killed_while_closing_what_was_removed)
{
	static const char *const policies[] = {"close", "drain"};
	struct fixture f;
	struct client client;
	int fds[REMOVED];

	fixture_start(&f);
	for (unsigned i = 0; i < 24; i++) {
		pid_t old;

		f.second = false;
		configure(&f, false);
		append(&f,
		    "service gone {\n	listen = {\"127.0.0.1:0\"}\n"
		    "	on_remove = %s\n" ECHO,
		    policies[i % 8 == 0]);
		reload_expect_done(&f.gateway);
		open_removed(&f, fds);
		configure(&f, false);
		old = gateway_worker(&f.gateway, i % WORKERS);
		reload_send(&f.gateway, &client, false);
		pause_us(i * UINT64_C(400));
		ck_assert_int_eq(kill(old, SIGKILL), 0);
		ck_assert(take_answer(&f, &client));
		f.second = false;
		for (int n = 0; n < REMOVED; n++) {
			ck_assert_int_ne(net_end_within(fds[n], 8000),
			    NET_OPEN);
			close(fds[n]);
		}
		gateway_expect_successor(&f.gateway, i % WORKERS, old);
		gateway_expect_number(&f.gateway, "totals/connections", HELD);
		check_whole(&f);
	}
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("reload_deaths", killed_at_every_moment, killed_again_and_again,
    hangs_after_it_was_ready, killed_in_dry_runs, holder_is_gone,
    killed_while_closing_what_was_removed)
