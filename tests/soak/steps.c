/*
 * steps - what happens to a gateway in a long run, one random step after the
 * other; see soak.h.
 */
#include "soak.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "proc.h"
#include "reloads.h"

#define STOPPED_MS 250
/* What NEXT_PROGRAM calls itself. */
#define NEXT_VERSION "9.9.9"

typedef void step_fn(struct soak *s);

/* In the midst of what streams ask of it just now. */
static pid_t
kill_at_work(struct soak *s, unsigned worker)
{
	pid_t pid = soak_aim(s, worker);

	for (unsigned turns = soak_choose(s, 20); turns > 0; turns--)
		load_turn(s->load, 0);
	soak_shoot(s, pid, 1000);
	return pid;
}

static void
kill_worker(struct soak *s)
{
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t old = kill_at_work(s, worker);

	load_run(s->load, (int)soak_choose(s, 4));
	gateway_expect_successor(&s->gateway, worker, old);
}

/* The successor too, wherever it is in its sweep. */
static void
kill_twice(struct soak *s)
{
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t holder = gateway_holder(&s->gateway, worker);
	pid_t old = kill_at_work(s, worker);
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	pid_t next = old;

	while (e2e_now_ms() < end && (next == old || next == 0)) {
		if (proc_children(holder, &next, 1) == 0)
			next = 0;
	}
	ck_assert_int_gt(next, 1);
	soak_shoot(s, next, 2000);
	gateway_expect_successor(&s->gateway, worker, next);
}

/* All shorter than the watchdog's time: it would have a culprit closed. */

static void
stop_worker(struct soak *s)
{
	pid_t pid = gateway_signal_worker(&s->gateway,
	    soak_choose(s, s->gateway.workers), SIGSTOP);

	load_run(s->load, (int)soak_choose(s, STOPPED_MS));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
}

/* A worker that dies meanwhile is succeeded when its holder goes on. */
static void
stop_holder(struct soak *s)
{
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t old = 0;
	pid_t holder;

	ck_assert(gateway_settles(&s->gateway));
	holder = gateway_holder(&s->gateway, worker);
	ck_assert_int_gt(holder, 1);
	/* It may just be retiring. */
	if (kill(holder, SIGSTOP) != 0)
		return;
	load_run(s->load, (int)soak_choose(s, STOPPED_MS / 2));
	if (soak_choose(s, 2) == 0)
		old = gateway_signal_worker(&s->gateway, worker, SIGKILL);
	load_run(s->load, (int)soak_choose(s, STOPPED_MS / 2));
	(void)kill(holder, SIGCONT);
	if (old != 0)
		gateway_expect_successor(&s->gateway, worker, old);
}

/* Nobody needs it: streams are opened and end, and a worker that dies meanwhile
 * is succeeded. */
static void
stop_master(struct soak *s)
{
	const struct load_counts *counts = load_counts(s->load);
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	unsigned worker = soak_choose(s, s->gateway.workers);
	pid_t pid = gateway_worker(&s->gateway, worker);
	bool kills = soak_choose(s, 2) == 0 && pid > 0;
	unsigned done = counts->done;

	ck_assert_int_eq(kill(s->gateway.pid, SIGSTOP), 0);
	kills = kills && kill(pid, SIGKILL) == 0;
	/* More than were there. */
	done += counts->running + 1;
	while (counts->done < done && e2e_now_ms() < end)
		load_turn(s->load, 10);
	ck_assert_int_eq(kill(s->gateway.pid, SIGCONT), 0);
	ck_assert_msg(counts->done >= done,
	    "without the master streams don't go on");
	if (kills)
		gateway_expect_successor(&s->gateway, worker, pid);
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
	s->is_next = false;
}

static void
expect_no_error(json_t *reply)
{
	ck_assert_msg(reply != NULL, "no answer");
	gateway_expect_success(reply);
	json_decref(reply);
}

/* To the other program and back, or to the same; only root may name one. */
static void
upgrade(struct soak *s)
{
	char parameters[PATH_MAX + 32];
	bool changes = geteuid() == 0 && soak_choose(s, 3) > 0;
	json_t *status;

	s->is_next = s->is_next != changes;
	snprintf(parameters, sizeof parameters, "{\"program\":\"%s\"}",
	    s->is_next ? NEXT_PROGRAM : gateway_program());
	/* Refused while a worker retires. */
	ck_assert(gateway_settles(&s->gateway));
	expect_no_error(gateway_call(&s->gateway, "Upgrade",
	    geteuid() == 0 ? parameters : NULL));
	status = gateway_status(&s->gateway);
	ck_assert_int_eq(strcmp(json_string_value(gateway_find(status,
				    "version")),
			     NEXT_VERSION) == 0,
	    s->is_next);
	json_decref(status);
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
	pid_t worker = soak_aim(s, soak_choose(s, s->gateway.workers));
	struct client client;
	json_t *reply;

	s->has_extra = !s->has_extra;
	soak_configure(s);
	reload_send(&s->gateway, &client, false);
	soak_shoot(s, worker, 60000);
	reply = reload_receive(&client, 2 * NET_TIMEOUT_MS);
	ck_assert_ptr_nonnull(reply);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

static void
reload_refused(struct soak *s)
{
	static const char nonsense[] = "service nonsense { listen = {} }\n";
	int64_t generation = gateway_number(&s->gateway, "generation");
	json_t *reply;

	gateway_write(s->gateway.config, nonsense, sizeof nonsense - 1);
	reply = reload_ask(&s->gateway, false);
	ck_assert_pstr_eq(json_string_value(json_object_get(reply, "error")),
	    "io.srvd.Control.ConfigInvalid");
	json_decref(reply);
	ck_assert_int_eq(gateway_number(&s->gateway, "generation"), generation);
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
close_some(struct soak *s)
{
	soak_close(s, soak_choose(s, SOAK_FAMILIES), false);
}

static void
close_while_killed(struct soak *s)
{
	soak_close(s, soak_choose(s, SOAK_FAMILIES), true);
}

static const struct {
	step_fn *run;
	unsigned weight; /* how often, beside the others */
	bool kills;
} steps[] = {
    {kill_worker, 36, true},
    {kill_twice, 8, true},
    {stop_worker, 6, false},
    {stop_holder, 6, false},
    {stop_master, 5, false},
    {kill_holder, 6, true},
    {kill_master, 6, true},
    {upgrade, 7, false},
    {grow_or_shrink, 5, false},
    {rebalance, 3, false},
    {reload_with_changes, 5, false},
    {reload_while_killed, 5, true},
    {reload_refused, 2, false},
    {dry_run, 3, false},
    {close_some, 3, false},
    {close_while_killed, 3, true},
};

void
soak_take_step(struct soak *s)
{
	unsigned all = 0;
	unsigned number;
	size_t i = 0;

	for (size_t k = 0; k < ARRAY_LEN(steps); k++)
		all += steps[k].weight;
	number = soak_choose(s, all);
	while (number >= steps[i].weight) {
		number -= steps[i].weight;
		i++;
	}
	steps[i].run(s);
	s->kills += steps[i].kills;
	s->steps++;
}
