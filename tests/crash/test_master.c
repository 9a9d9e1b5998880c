/*
 * The master killed at each of its system calls: in a reload, while workers
 * hand connections over because there are fewer or for a rebalance, while it is
 * replaced by a program, while it writes the access log, and while it takes over
 * what the last one left.  The next one takes over what there is, and nobody has
 * noticed anything.  So it is when a worker is killed at each of its
 * system calls from the master's death, or from the upgrade's beginning, until
 * it has handed over; or the fresh one that it hands over to.
 */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brood.h"
#include "client.h"
#include "harness.h"
#include "killer.h"
#include "net.h"
#include "points.h"
#include "reloads.h"

/* A run takes a start of the gateway more than others. */
#define QUICK_POINTS 10U
#define READY_MS     20000
/* Half of them are more than a batch of a hand-over takes
 * (server/worker/give.h). */
#define CROWD 60U

struct scenario {
	struct points *p;
	const char *method; /* what the master is asked to do, */
	unsigned workers;   /* with so many in the configuration, */
	const char *more;   /* and these services */
};

/* Connections that are handed over. */
static int crowd[CROWD];

static const char extra[] = "service extra {\n"
			    "	listen = {\"127.0.0.1:0\", \"[::1]:0\"}\n"
			    "	backend b { address = builtin:echo }\n}\n";

static void
begin_again(struct points *p)
{
	p->gateway.pid = -1; /* the killer has reaped it */
	points_come_and_go(p);
	gateway_run(&p->gateway);
}

static void
reload_with(struct points *p, unsigned workers, const char *more)
{
	json_t *reply;

	p->gateway.workers = workers;
	points_configure(p, more);
	reply = reload_ask(&p->gateway, false);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	ck_assert(gateway_settles(&p->gateway));
}

/* Everything is as before the run, the configuration too. */
static void
restore(struct points *p)
{
	reload_with(p, 1, "");
	points_expect_sound(p);
}

/* The reply, or NULL: it may die before it answers. */
static json_t *
ask(const struct gateway *g, const char *method)
{
	struct client client;
	json_t *reply = NULL;

	if (client_open(&client, g->control) < 0)
		return NULL;
	if (client_call(&client, method, NULL, false) == 0)
		reply = client_hear(&client, RELOAD_TIMEOUT_MS);
	client_close(&client);
	return reply;
}

/* It was done, or who was to do it has died. */
static void
expect_answer(json_t *reply, bool has_killed)
{
	ck_assert_msg(reply != NULL || has_killed, "no answer");
	gateway_expect_success(reply);
	json_decref(reply);
}

static struct killer_trial
kill_while_asked(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	struct killer_trial trial;
	struct killer killer;
	json_t *reply;

	killer_arm(&killer, p->gateway.pid, point);
	p->gateway.workers = s->workers;
	points_configure(p, s->more);
	reply = ask(&p->gateway, s->method);
	points_come_and_go(p);
	trial = killer_disarm(&killer);
	expect_answer(reply, trial.has_killed);
	if (trial.has_killed)
		begin_again(p);
	restore(p);
	return trial;
}

/* Connections that move */

static void
crowd_speaks(void)
{
	for (unsigned i = 0; i < CROWD; i++) {
		net_say(crowd[i], "still there?");
		net_hear(crowd[i], "still there?");
	}
}

/* All to the one worker that there is. */
static void
crowd_comes(struct points *p)
{
	for (unsigned i = 0; i < CROWD; i++)
		crowd[i] = points_connect(p, POINTS_ECHO);
	crowd_speaks();
	p->most = POINTS_MOST(CROWD + 1);
}

static void
crowd_goes(void)
{
	crowd_speaks();
	for (unsigned i = 0; i < CROWD; i++)
		close(crowd[i]);
}

/* Nobody is left to hand over.  The master is not asked: that would be more
 * stops, and each time others. */
static void
await_end_of(pid_t holder, const struct killer *killer)
{
	uint64_t end_ms = e2e_now_ms() + READY_MS;

	while (kill(holder, 0) == 0 && !atomic_load(&killer->has_killed)) {
		ck_assert_msg(e2e_now_ms() < end_ms, "holder %d remains",
		    (int)holder);
		e2e_pause(2);
	}
}

/* What came of a kill while connections were moving. */
static struct killer_trial
end_of_move(struct points *p, struct killer *killer, json_t *reply)
{
	struct killer_trial trial;

	points_come_and_go(p);
	trial = killer_disarm(killer);
	expect_answer(reply, trial.has_killed);
	if (trial.has_killed)
		begin_again(p);
	crowd_goes();
	restore(p);
	return trial;
}

/* Half of all have been given to the second worker. */
static void
expect_evened_out(json_t *reply)
{
	ck_assert_int_eq(json_integer_value(gateway_find(reply,
			     "parameters/moved")),
	    (CROWD + POINTS_RESIDENTS) / 2);
	json_decref(reply);
}

/* The second worker has some, and is no more. */
static struct killer_trial
kill_with_fewer_workers(void *arg, unsigned point)
{
	struct points *p = ((const struct scenario *)arg)->p;
	struct killer killer;
	json_t *reply;
	pid_t holder;

	crowd_comes(p);
	reload_with(p, 2, "");
	expect_evened_out(ask(&p->gateway, "Rebalance"));
	holder = gateway_holder(&p->gateway, 1);
	killer_arm(&killer, p->gateway.pid, point);
	p->gateway.workers = 1;
	points_configure(p, "");
	reply = ask(&p->gateway, "Reload");
	await_end_of(holder, &killer);
	return end_of_move(p, &killer, reply);
}

/* The first worker has them all, and gives half of them away. */
static struct killer_trial
kill_in_rebalance(void *arg, unsigned point)
{
	struct points *p = ((const struct scenario *)arg)->p;
	struct killer killer;
	json_t *reply;

	crowd_comes(p);
	reload_with(p, 2, "");
	killer_arm(&killer, p->gateway.pid, point);
	reply = ask(&p->gateway, "Rebalance");
	if (reply != NULL)
		expect_evened_out(json_incref(reply));
	return end_of_move(p, &killer, reply);
}

/* Lines, takeover, workers */

/* It has written lines, and had time to note that. */
static void
let_lines_be_written(const struct points *p, const struct killer *killer)
{
	struct stat before;
	struct stat st;

	ck_assert_int_eq(stat(p->access, &before), 0);
	do {
		e2e_pause(5);
		ck_assert_int_eq(stat(p->access, &st), 0);
	} while (st.st_size == before.st_size &&
	    !atomic_load(&killer->has_killed));
	e2e_pause(5);
}

/* The next one writes what this one did not, and that alone. */
static struct killer_trial
kill_while_logging(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	struct killer_trial trial;
	struct killer killer;

	killer_arm(&killer, p->gateway.pid, point);
	points_come_and_go(p);
	points_come_and_go(p);
	let_lines_be_written(p, &killer);
	trial = killer_disarm(&killer);
	if (trial.has_killed)
		begin_again(p);
	restore(p);
	return trial;
}

static struct killer_trial
kill_while_taking_over(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	struct killer_trial trial;
	struct killer killer;

	gateway_kill(&p->gateway);
	points_come_and_go(p);
	gateway_begin(&p->gateway);
	killer_arm(&killer, p->gateway.pid, point);
	while (!atomic_load(&killer.has_killed) &&
	    !gateway_is_ready(&p->gateway))
		e2e_pause(5);
	trial = killer_disarm(&killer);
	if (trial.has_killed)
		begin_again(p);
	points_come_and_go(p);
	restore(p);
	return trial;
}

static struct killer_trial
kill_worker_meanwhile(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	struct killer_trial trial;
	struct killer killer;

	killer_arm(&killer, gateway_worker(&p->gateway, 0), point);
	gateway_kill(&p->gateway);
	points_come_and_go(p);
	gateway_run(&p->gateway);
	trial = killer_disarm(&killer);
	points_come_and_go(p);
	restore(p);
	return trial;
}

/* It is done all the same. */
static struct killer_trial
kill_worker_in_upgrade(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	struct killer_trial trial;
	struct killer killer;

	killer_arm(&killer, gateway_worker(&p->gateway, 0), point);
	expect_answer(ask(&p->gateway, "Upgrade"), false);
	trial = killer_disarm(&killer);
	points_come_and_go(p);
	restore(p);
	return trial;
}

static bool
is_ready(void *arg)
{
	return gateway_is_ready(arg);
}

/* The first worker of a master that takes over, which is given all. */
static struct killer_trial
kill_fresh_worker(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	struct killer_trial trial;
	struct brood brood;

	gateway_kill(&p->gateway);
	gateway_begin(&p->gateway);
	brood_arm(&brood, p->gateway.pid, BROOD_OF_MASTER, point);
	/* Who waits for the master itself would take what is the tracer's. */
	ck_assert(e2e_wait(is_ready, &p->gateway, READY_MS));
	points_come_and_go(p);
	trial = brood_disarm(&brood);
	restore(p);
	return trial;
}

static void
try(const char *name, points_try_fn *run, struct scenario s)
{
	struct points p;

	if (!killer_can_trace())
		return;
	points_start(&p);
	s.p = &p;
	if (s.workers > 1) {
		/* The worker that stays keeps the sockets of those that go. */
		reload_with(&p, s.workers, "");
		reload_with(&p, 1, "");
		points_learn(&p);
	}
	points_try_all(name, run, &s, QUICK_POINTS, 0);
	points_stop(&p);
}

START_TEST(a_reload)
{
	try("master, reload", kill_while_asked,
	    (struct scenario){.method = "Reload", .workers = 1, .more = extra});
}
END_TEST

START_TEST(more_workers)
{
	try("master, another worker", kill_while_asked,
	    (struct scenario){.method = "Reload", .workers = 2, .more = ""});
}
END_TEST

START_TEST(fewer_workers)
{
	try("master, fewer workers", kill_with_fewer_workers,
	    (struct scenario){.workers = 2});
}
END_TEST

START_TEST(a_rebalance)
{
	try("master, rebalance", kill_in_rebalance,
	    (struct scenario){.workers = 2});
}
END_TEST

START_TEST(an_upgrade)
{
	try("master, upgrade", kill_while_asked,
	    (struct scenario){.method = "Upgrade", .workers = 1, .more = ""});
}
END_TEST

START_TEST(a_takeover)
{
	try("master, takeover", kill_while_taking_over,
	    (struct scenario){.workers = 1});
}
END_TEST

START_TEST(the_access_log)
{
	try("master, access log", kill_while_logging,
	    (struct scenario){.workers = 1});
}
END_TEST

START_TEST(a_worker_that_is_taken_over)
{
	try("worker, takeover", kill_worker_meanwhile,
	    (struct scenario){.workers = 1});
}
END_TEST

START_TEST(a_worker_in_an_upgrade)
{
	try("worker, upgrade", kill_worker_in_upgrade,
	    (struct scenario){.workers = 1});
}
END_TEST

START_TEST(a_fresh_worker)
{
	try("fresh worker, takeover", kill_fresh_worker,
	    (struct scenario){.workers = 1});
}
END_TEST

E2E_MAIN("crash.master", a_reload, more_workers, fewer_workers, a_rebalance,
    an_upgrade, a_takeover, the_access_log, a_worker_that_is_taken_over,
    a_worker_in_an_upgrade, a_fresh_worker)
