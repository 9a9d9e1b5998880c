/*
 * points - a scenario with a death at each of its stops; see points.h.
 */
#include "points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brood.h"
#include "harness.h"
#include "killer.h"
#include "net.h"

#define QUICK_POINTS 40U
#define QUICK_DEATHS 6U /* with their sweeps */
#define QUICK_SWEEPS 6U

const char *const points_service_names[POINTS_SERVICES] = {
    [POINTS_TCP] = "tcp",
    [POINTS_UNIX] = "unix",
    [POINTS_ECHO] = "echo",
    [POINTS_RETRY] = "retry",
    [POINTS_SHUT] = "shut",
};

/* Start and stop */

void
points_configure(const struct points *p, const char *more)
{
	gateway_configure(&p->gateway,
	    "service tcp {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in-tcp\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service unix {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in-unix\"}\n"
	    "	backend b { address = \"%s\" }\n}\n"
	    "service echo {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service retry {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend none { address = \"%s\" }\n"
	    "	backend gone { address = \"unix:%s/gone\" }\n"
	    "	backend b { address = \"%s\"   backup = true }\n}\n"
	    "service shut {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend none { address = \"%s\" }\n}\n%s",
	    e2e_dir(), p->bound[SIDE_TCP], e2e_dir(), p->bound[SIDE_UNIX],
	    p->refuses, e2e_dir(), p->bound[SIDE_TCP], p->refuses, more);
}

static void
learn_addresses(struct points *p)
{
	for (unsigned client = 0; client < 2; client++) {
		for (unsigned backend = 0; backend < 2; backend++)
			gateway_address(&p->gateway,
			    points_service_names[backend], client,
			    p->address[client][backend]);
	}
	for (unsigned i = POINTS_ECHO; i < POINTS_SERVICES; i++)
		gateway_address(&p->gateway, points_service_names[i], 0,
		    p->single[i]);
}

static void
add_residents(struct points *p)
{
	for (int i = 0; i < POINTS_RESIDENTS - 1; i++)
		p->residents[i] = points_open(p, (enum pair_side)(i / 2),
		    (enum pair_side)(i % 2));
	p->residents[POINTS_RESIDENTS - 1] = (struct pair){
	    .client = points_connect(p, POINTS_ECHO), .server = -1};
}

void
points_start(struct points *p)
{
	char path[E2E_PATH_SIZE];
	char address[ADDR_TEXT_SIZE];

	memset(p, 0, sizeof *p);
	p->listen_fd[SIDE_TCP] =
	    net_listen("127.0.0.1:0", 64, p->bound[SIDE_TCP]);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	p->listen_fd[SIDE_UNIX] = net_listen(address, 64, p->bound[SIDE_UNIX]);
	p->refuses_fd = net_bind("127.0.0.1:0", p->refuses);
	gateway_init(&p->gateway);
	p->gateway.workers = 1;
	p->gateway.globals = "watchdog = 0";
	p->gateway.access = e2e_path(p->access, "access.log");
	points_configure(p, "");
	gateway_run(&p->gateway);
	learn_addresses(p);
	add_residents(p);
	p->most = POINTS_MOST(1);
	points_learn(p);
}

void
points_stop(struct points *p)
{
	points_expect_room(p);
	for (int i = 0; i < POINTS_RESIDENTS; i++) {
		close(p->residents[i].client);
		if (p->residents[i].server >= 0)
			close(p->residents[i].server);
	}
	gateway_stop(&p->gateway);
	close(p->listen_fd[SIDE_TCP]);
	close(p->listen_fd[SIDE_UNIX]);
	close(p->refuses_fd);
	census_forget(&p->census);
}

void
points_count(struct points *p, enum points_service service)
{
	p->made++;
	p->made_of[service]++;
}

int
points_connect(struct points *p, enum points_service service)
{
	points_count(p, service);
	return net_connect(p->single[service]);
}

struct pair
points_open(struct points *p, enum pair_side client, enum pair_side backend)
{
	struct pair pair;

	points_count(p, (enum points_service)backend);
	pair.client = net_connect(p->address[client][backend]);
	pair.server = net_accept(p->listen_fd[backend]);
	return pair;
}

/* Runs */

static bool
wants_all(void)
{
	const char *points = getenv("CRASH_POINTS");

	return points != NULL && strcmp(points, "all") == 0;
}

/* What a failure is to be looked for at. */
static void
say_point(const char *name, unsigned point)
{
	char path[E2E_PATH_SIZE];
	char text[160];
	int length = snprintf(text, sizeof text, "%s: stop %u\n", name, point);

	gateway_write(e2e_path(path, "point.log"), text, (size_t)length);
}

/* With a death at each of so many stops, or about quick of them. */
static unsigned
try_stops(const char *name, points_try_fn *try, void *arg, unsigned stops,
    unsigned first, unsigned step)
{
	struct killer_trial trial;
	unsigned killed = 0;

	/* A run has a few stops more or less than another; past the last one
	 * nothing is killed any more. */
	for (unsigned point = first;; point += step) {
		say_point(name, point);
		trial = try(arg, point);
		killed += trial.has_killed;
		if (!trial.has_killed && point > stops)
			return killed;
	}
}

/* From one of so many stops to the next. */
static unsigned
step_of(unsigned stops, unsigned quick)
{
	return wants_all() || stops <= quick ? 1 : (stops + quick - 1) / quick;
}

unsigned
points_try_any(const char *name, points_try_fn *try, void *arg, unsigned quick,
    unsigned offset)
{
	unsigned killed;
	unsigned stops;
	unsigned step;

	say_point(name, KILLER_NEVER);
	stops = try(arg, KILLER_NEVER).seen;
	if (stops == 0)
		return 0;
	step = step_of(stops, quick);
	killed = try_stops(name, try, arg, stops, 1 + offset % step, step);
	fprintf(stderr, "%s: %u stops, killed at %u of them\n", name, stops,
	    killed);
	return killed;
}

unsigned
points_try_all(const char *name, points_try_fn *try, void *arg, unsigned quick,
    unsigned offset)
{
	unsigned killed = points_try_any(name, try, arg, quick, offset);

	ck_assert_uint_gt(killed, 0);
	return killed;
}

struct scenario {
	struct points *p;
	points_play_fn *play;
	enum pair_side client;
	enum pair_side backend;
	const char *name;
	unsigned point; /* of the first death, where there are two */
};

static void
name_scenario(const struct scenario *s, char text[96])
{
	snprintf(text, 96, "%s, %s to %s", s->name,
	    points_service_names[s->client], points_service_names[s->backend]);
}

static struct killer_trial
try_scenario(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	struct points *p = s->p;
	pid_t worker = gateway_worker(&p->gateway, 0);
	struct killer_trial trial;
	struct killer killer;

	killer_arm(&killer, worker, point);
	s->play(p, s->client, s->backend);
	trial = killer_disarm(&killer);
	if (trial.has_killed)
		gateway_expect_successor(&p->gateway, 0, worker);
	points_expect_sound(p);
	return trial;
}

void
points_enumerate(struct points *p, const char *name, points_play_fn *play,
    enum pair_side client, enum pair_side backend)
{
	struct scenario s = {p, play, client, backend, name, 0};
	char text[96];

	p->bytes.are_known = false;
	name_scenario(&s, text);
	p->tried +=
	    points_try_all(text, try_scenario, &s, QUICK_POINTS, p->tried);
}

/* The worker dies at s->point, its successor at a stop of its sweep. */
static struct killer_trial
try_sweep(void *arg, unsigned point)
{
	const struct scenario *s = arg;
	pid_t holder = gateway_holder(&s->p->gateway, 0);
	struct killer_trial trial;
	struct brood brood;

	brood_arm(&brood, holder, BROOD_OF_HOLDER, point);
	(void)try_scenario(arg, s->point);
	trial = brood_disarm(&brood);
	return trial;
}

void
points_test(const char *name, points_play_fn *play)
{
	struct points p;

	if (!killer_can_trace())
		return;
	points_start(&p);
	points_enumerate(&p, name, play, SIDE_TCP, SIDE_TCP);
	points_stop(&p);
}

/* Returns how many successors were killed. */
static unsigned
try_sweeps(struct scenario *s)
{
	unsigned before = s->p->tried;
	unsigned step;
	unsigned seen;
	char text[96];
	char name[128];

	name_scenario(s, text);
	snprintf(name, sizeof name, "%s, sweep after stop %u", text, s->point);
	say_point(name, KILLER_NEVER);
	seen = try_sweep(s, KILLER_NEVER).seen;
	/* A run may be over before the first death. */
	if (seen == 0)
		return 0;
	step = step_of(seen, QUICK_SWEEPS);
	s->p->tried +=
	    try_stops(name, try_sweep, s, seen, 1 + before % step, step);
	return s->p->tried - before;
}

void
points_enumerate_sweeps(struct points *p, const char *name,
    points_play_fn *play, enum pair_side client, enum pair_side backend)
{
	struct scenario s = {p, play, client, backend, name, 0};
	unsigned killed = 0;
	unsigned stops;
	unsigned step;

	p->bytes.are_known = false;
	stops = try_scenario(&s, KILLER_NEVER).seen;
	step = step_of(stops, QUICK_DEATHS);
	for (s.point = 1 + p->tried % step; s.point <= stops; s.point += step)
		killed += try_sweeps(&s);
	ck_assert_uint_gt(killed, 0);
	fprintf(stderr, "%s, %s to %s: %u stops, %u deaths in sweeps\n", name,
	    points_service_names[client], points_service_names[backend], stops,
	    killed);
}
