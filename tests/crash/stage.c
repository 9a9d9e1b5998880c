/*
 * stage - connections that are handed over; see stage.h.
 */
#include "stage.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "census.h"
#include "client.h"
#include "counts.h"
#include "harness.h"
#include "net.h"
#include "reloads.h"

#define SETTLE_MS   20000
#define STREAM_SIZE 300000U
/* Slots that were ever used: one is just being freed. */
#define MOST (STAGE_ALL + 1U)

static const char *const service_names[STAGE_SERVICES] = {
    [STAGE_TCP] = "tcp",
    [STAGE_UNIX] = "unix",
    [STAGE_STREAM] = "streams",
    [STAGE_ECHO] = "echo",
};

/* Begin and stop */

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
learn_addresses(struct stage *s)
{
	for (unsigned client = 0; client < 2; client++) {
		gateway_address(&s->gateway, "tcp", client,
		    s->address[client][SIDE_TCP]);
		gateway_address(&s->gateway, "unix", client,
		    s->address[client][SIDE_UNIX]);
		gateway_address(&s->gateway, "echo", client, s->echo[client]);
	}
	gateway_address(&s->gateway, "streams", 0, s->streams);
}

void
stage_begin(struct stage *s)
{
	char path[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];

	memset(s, 0, sizeof *s);
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
	learn_addresses(s);
	stage_set_workers(s, 1);
	census_learn(&s->census, &s->gateway);
	stage_set_workers(s, 2);
}

/* More come and go than there ever were at once, without a death: a slot that
 * was forgotten would show. */
static void
expect_room(struct stage *s)
{
	for (unsigned i = 0; i < MOST; i++) {
		net_visit_echo(s->echo[0]);
		s->made_of[STAGE_ECHO]++;
	}
	stage_expect_sound(s);
}

void
stage_stop(struct stage *s)
{
	stage_set_workers(s, 1);
	expect_room(s);
	gateway_stop(&s->gateway);
	load_free(s->load);
	close(s->listen_fd[SIDE_TCP]);
	close(s->listen_fd[SIDE_UNIX]);
	census_forget(&s->census);
}

/* Connections */

static void
open_moved(struct stage *s, unsigned i)
{
	struct moved *moved = &s->moved[i];

	*moved = (struct moved){
	    .does = &moved_behaviours[i / 4],
	    .client = (enum pair_side)(i % 2),
	    .backend = (enum pair_side)(i / 2 % 2),
	    .seed = i + 1,
	    .pair.server = -1,
	};
	if (moved->does->is_echo) {
		moved->pair.client = net_connect(s->echo[moved->client]);
		s->made_of[STAGE_ECHO]++;
	} else {
		moved->pair.client =
		    net_connect(s->address[moved->client][moved->backend]);
		moved->pair.server = net_accept(s->listen_fd[moved->backend]);
		s->made_of[moved->backend]++;
	}
	moved->does->before(moved);
}

static void
say_and_hear(int fd)
{
	net_say(fd, "still there?");
	net_hear(fd, "still there?");
}

static void
open_idle(struct stage *s)
{
	for (unsigned i = 0; i < STAGE_IDLE; i++) {
		s->idle[i] = net_connect(s->echo[i % 2]);
		say_and_hear(s->idle[i]);
	}
	s->made_of[STAGE_ECHO] += STAGE_IDLE;
	/* The kernel spreads them as it likes. */
	json_decref(gateway_call(&s->gateway, "Rebalance", NULL));
	for (unsigned i = 0; i < s->gateway.workers; i++) {
		char path[48];

		snprintf(path, sizeof path, "workers/%u/connections", i);
		ck_assert_int_eq(gateway_number(&s->gateway, path),
		    STAGE_IDLE / s->gateway.workers);
	}
}

void
stage_open(struct stage *s)
{
	static const struct load_spec spec = {
	    .label = "stream",
	    .shape = LOAD_BOTH,
	    .up = STREAM_SIZE,
	    .down = STREAM_SIZE,
	    .hold = true,
	};

	renew_load(s);
	open_idle(s);
	for (unsigned i = 0; i < STAGE_MOVED; i++)
		open_moved(s, i);
	load_add(s->load, s->streams, &spec, STAGE_STREAMS, STAGE_STREAMS);
	load_run_bytes(s->load, 1);
	s->made_of[STAGE_STREAM] += STAGE_STREAMS;
}

void
stage_end_all(struct stage *s)
{
	if (load_counts(s->load)->running > 0)
		load_finish(s->load, SETTLE_MS);
	load_expect_exact(s->load);
	for (unsigned i = 0; i < STAGE_MOVED; i++)
		s->moved[i].does->after(&s->moved[i]);
	for (unsigned i = 0; i < STAGE_IDLE; i++) {
		say_and_hear(s->idle[i]);
		close(s->idle[i]);
	}
	gateway_expect_number(&s->gateway, "totals/connections", 0);
}

/* Workers */

/* Streams go on as long. */
static void
expect_workers(struct stage *s)
{
	uint64_t end_ms = e2e_now_ms() + SETTLE_MS;

	while (!gateway_is_ready(&s->gateway)) {
		ck_assert_msg(e2e_now_ms() < end_ms, "there are not %u workers",
		    s->gateway.workers);
		load_turn(s->load, 2);
	}
}

json_t *
stage_call(struct stage *s, const char *method)
{
	uint64_t end_ms = e2e_now_ms() + SETTLE_MS;
	struct client client;
	json_t *reply;

	ck_assert_int_eq(client_open(&client, s->gateway.control), 0);
	ck_assert_int_eq(client_call(&client, method, NULL, false), 0);
	do {
		load_turn(s->load, 5);
		reply = client_hear(&client, 0);
		ck_assert_msg(e2e_now_ms() < end_ms, "no answer to %s", method);
	} while (reply == NULL);
	client_close(&client);
	return reply;
}

void
stage_set_workers(struct stage *s, unsigned workers)
{
	json_t *reply;

	configure(s, workers);
	reply = stage_call(s, "Reload");
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	expect_workers(s);
}

/* What must be so */

static void
expect_counts(const struct stage *s)
{
	struct counts counts = {.count = 0};
	int64_t made = 0;

	for (size_t i = 0; i < STAGE_SERVICES; i++) {
		struct counts_of of = {.accepted = s->made_of[i]};

		counts_add_service(&counts, service_names[i], of);
		counts_add_backend(&counts, service_names[i], "b", of);
		made += of.accepted;
	}
	counts_add(&counts, 0, "totals/connections");
	counts_add(&counts, made, "totals/accepted");
	counts_add(&counts, 0, "totals/refused");
	counts_add(&counts, 0, "totals/failed_dials");
	counts_expect(&counts, &s->gateway);
}

static void
expect_log(const struct stage *s)
{
	struct access_log log;
	size_t made = 0;

	for (size_t i = 0; i < STAGE_SERVICES; i++)
		made += (size_t)s->made_of[i];
	access_log_read(&log, s->access, made);
	ck_assert_uint_eq(log.count, made);
	access_log_expect_unique(&log);
	for (size_t i = 0; i < log.count; i++) {
		if (strcmp(log.entries[i].service, "streams") != 0)
			continue;
		ck_assert_uint_eq(log.entries[i].up, STREAM_SIZE);
		ck_assert_uint_eq(log.entries[i].down, STREAM_SIZE);
	}
	access_log_free(&log);
}

void
stage_expect_empty(const struct stage *s, unsigned index)
{
	census_expect_body(gateway_holder(&s->gateway, index), 0, MOST);
}

void
stage_expect_sound(struct stage *s)
{
	expect_counts(s);
	stage_expect_empty(s, 0);
	census_expect(&s->census, &s->gateway);
	expect_log(s);
}
