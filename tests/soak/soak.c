/*
 * soak - what happens to a gateway in a long run; see soak.h.
 */
#include "soak.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "proc.h"
#include "reloads.h"

#define STOPPED_MS 250

const char *const soak_families[SOAK_FAMILIES] = {"tcp4", "tcp6", "unix"};

/* splitmix64 */
unsigned
soak_choose(struct soak *s, unsigned below)
{
	uint64_t z = (s->state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ (z >> 31)) % below);
}

void
soak_configure(const struct soak *s)
{
	const char *d = e2e_dir();
	const char *extra = s->has_extra
	    ? "service extra {\n	listen = {\"127.0.0.1:0\"}\n"
	      "	on_remove = close\n	backend b { address = builtin:echo }\n}\n"
	    : "";
	char services[SOAK_FAMILIES][512];

	for (unsigned i = 0; i < SOAK_FAMILIES; i++)
		snprintf(services[i], sizeof services[i],
		    "service to_%s {\n"
		    "	listen = {\"127.0.0.1:0\", \"[::1]:0\", "
		    "\"unix:%s/in_%s\"}\n"
		    "	idle_timeout = %dm\n"
		    "	backend b { address = \"%s\" }\n}\n",
		    soak_families[i], d, soak_families[i], s->has_extra ? 5 : 6,
		    s->backend[i]);
	gateway_configure(&s->gateway,
	    "%s%s%s"
	    "service echo {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service rude {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n%s",
	    services[0], services[1], services[2], extra);
}

typedef void step_fn(struct soak *s);

static void
kill_worker(struct soak *s)
{
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t old = gateway_signal_worker(&s->gateway, worker, SIGKILL);

	gateway_expect_successor(&s->gateway, worker, old);
}

/* The successor too, wherever it is in its sweep. */
static void
kill_twice(struct soak *s)
{
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t old = gateway_signal_worker(&s->gateway, worker, SIGKILL);
	pid_t holder = gateway_holder(&s->gateway, worker);
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	pid_t next = old;

	while (e2e_now_ms() < end && (next == old || next == 0)) {
		if (proc_children(holder, &next, 1) == 0)
			next = 0;
	}
	ck_assert_int_gt(next, 1);
	for (unsigned spin = soak_choose(s, 2000); spin > 0; spin--)
		(void)getppid();
	(void)kill(next, SIGKILL);
	gateway_expect_successor(&s->gateway, worker, next);
}

/* The watchdog's time is longer: it would have a culprit closed. */
static void
stop_and_continue(struct soak *s)
{
	pid_t pid = gateway_signal_worker(&s->gateway,
	    soak_choose(s, s->gateway.workers), SIGSTOP);

	load_run(s->load, (int)soak_choose(s, STOPPED_MS));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
}

void
soak_change_workers(struct soak *s, unsigned workers)
{
	json_t *reply;

	s->gateway.workers = workers;
	soak_configure(s);
	reply = reload_ask(&s->gateway, false);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

static void
grow_or_shrink(struct soak *s)
{
	soak_change_workers(s, 1 + soak_choose(s, SOAK_WORKERS_MAX));
}

static void
kill_holder(struct soak *s)
{
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t holder = gateway_holder(&s->gateway, worker);

	/* One that retires has had its worker's all. */
	ck_assert(gateway_settles(&s->gateway));
	if (gateway_holder(&s->gateway, worker) != holder)
		return;
	ck_assert_int_eq(kill(holder, SIGKILL), 0);
	/* Killed is not dead yet where the machine is busy. */
	while (gateway_holder(&s->gateway, worker) == holder)
		load_run(s->load, 10);
	ck_assert(gateway_settles(&s->gateway));
}

static void
kill_master(struct soak *s)
{
	gateway_kill(&s->gateway);
	load_run(s->load, (int)soak_choose(s, 100));
	gateway_run(&s->gateway);
}

static void
expect_no_error(json_t *reply)
{
	char *text;

	ck_assert_msg(reply != NULL, "no answer");
	text = json_dumps(reply, JSON_COMPACT);
	ck_assert_msg(json_object_get(reply, "error") == NULL, "%s", text);
	free(text);
	json_decref(reply);
}

static void
upgrade(struct soak *s)
{
	/* Refused while a worker retires. */
	ck_assert(gateway_settles(&s->gateway));
	expect_no_error(gateway_call(&s->gateway, "Upgrade", NULL));
}

static void
rebalance(struct soak *s)
{
	ck_assert(gateway_settles(&s->gateway));
	expect_no_error(gateway_call(&s->gateway, "Rebalance", NULL));
}

static void
reload_with_changes(struct soak *s)
{
	s->has_extra = !s->has_extra;
	soak_configure(s);
	reload_expect_done(&s->gateway);
}

static void
reload_while_killed(struct soak *s)
{
	struct client client;
	json_t *reply;

	s->has_extra = !s->has_extra;
	soak_configure(s);
	reload_send(&s->gateway, &client, false);
	for (unsigned spin = soak_choose(s, 20000); spin > 0; spin--)
		(void)getppid();
	(void)gateway_signal_worker(&s->gateway,
	    soak_choose(s, s->gateway.workers), SIGKILL);
	reply = reload_receive(&client, 2 * NET_TIMEOUT_MS);
	ck_assert_ptr_nonnull(reply);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

static void
reload_refused(struct soak *s)
{
	static const char nonsense[] = "service nonsense { listen = {} }\n";

	gateway_write(s->gateway.config, nonsense, sizeof nonsense - 1);
	reload_expect_refused(&s->gateway, "ConfigInvalid", "");
	soak_configure(s);
}

static void
dry_run(struct soak *s)
{
	json_t *reply;

	s->has_extra = !s->has_extra;
	soak_configure(s);
	reply = reload_ask(&s->gateway, true);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	s->has_extra = !s->has_extra;
	soak_configure(s);
}

static void
reset_by_client(struct soak *s)
{
	int fd = net_connect(s->rude);

	net_say(fd, "x");
	if (soak_choose(s, 2) == 0)
		net_hear(fd, "x");
	net_reset(fd);
}

static void
say_urgent(struct soak *s)
{
	int fd = net_connect(s->rude);

	net_say(fd, "before");
	ck_assert_int_eq(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
	net_say(fd, "behind");
	net_hear(fd, "before!behind");
	close(fd);
}

static void
close_by_call(struct soak *s)
{
	int fd = net_connect(s->rude);
	json_t *reply;

	net_say(fd, "x");
	net_hear(fd, "x");
	reply = gateway_call(&s->gateway, "CloseConnections",
	    "{\"filter\":{\"service\":\"rude\"}}");
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	net_expect_end(fd, NET_CLOSED);
	close(fd);
}

/* How often of a hundred. */
static const struct {
	step_fn *run;
	unsigned weight;
	bool kills;
} steps[] = {
    {kill_worker, 30, true},
    {kill_twice, 8, true},
    {stop_and_continue, 8, false},
    {kill_holder, 6, true},
    {kill_master, 6, true},
    {upgrade, 6, false},
    {grow_or_shrink, 5, false},
    {rebalance, 3, false},
    {reload_with_changes, 5, false},
    {reload_while_killed, 5, true},
    {reload_refused, 2, false},
    {dry_run, 3, false},
    {reset_by_client, 5, false},
    {say_urgent, 4, false},
    {close_by_call, 4, false},
};

void
soak_take_step(struct soak *s)
{
	unsigned number = soak_choose(s, 100);
	size_t i = 0;

	while (number >= steps[i].weight) {
		number -= steps[i].weight;
		i++;
	}
	steps[i].run(s);
	s->kills += steps[i].kills;
	s->steps++;
}
