/*
 * points - a scenario run again and again, its worker killed at another stop
 * each time, until all stops it has were tried.
 *
 * The gateway has one worker, so that it carries whatever the scenario does,
 * and no watchdog.  Beside the scenario's own, connections of every kind stay
 * open throughout (the residents).  After each run
 *
 *  - the scenario has seen what it would have seen without a death;
 *  - every resident moves;
 *  - every other connection has left its slot, for others to use, and the
 *    gateway counts as many accepted, refused and failed, of each service and
 *    backend, as were made;
 *  - the body and the master have open what they had before, and nothing of the
 *    body is unclaimed;
 *  - the access log has one line for each connection that has ended, and the
 *    scenario's has the bytes that it has without a death.
 *
 * CRASH_POINTS=all in the environment has every stop tried (./dev crash);
 * without it some, evenly spread and others with each scenario.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_POINTS_H
#define SRVD_TESTS_POINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "census.h"
#include "gateway.h"
#include "killer.h"
#include "pair.h"

#define POINTS_RESIDENTS 5
/* Slots that so many connections at once take: one is just being freed. */
#define POINTS_MOST(n) (POINTS_RESIDENTS + (n) + 1U)

/* The first two by the backend's side. */
enum points_service {
	POINTS_TCP = SIDE_TCP,
	POINTS_UNIX = SIDE_UNIX,
	POINTS_ECHO,
	POINTS_RETRY, /* two backends can't be reached, a third can */
	POINTS_SHUT,  /* no backend can be reached */
	POINTS_SERVICES
};

struct points {
	struct gateway gateway;
	char access[E2E_PATH_SIZE];
	int listen_fd[2];              /* of the backends, by side */
	char bound[2][ADDR_TEXT_SIZE]; /* where they are */
	char refuses[ADDR_TEXT_SIZE];  /* nobody listens there */
	int refuses_fd;
	char address[2][2][ADDR_TEXT_SIZE]; /* [client's][backend's side] */
	char single[POINTS_SERVICES]
		   [ADDR_TEXT_SIZE];             /* of the other services */
	struct pair residents[POINTS_RESIDENTS]; /* the last is of builtin:echo,
						  * without a server */
	int64_t made; /* connections, residents included */
	int64_t made_of[POINTS_SERVICES];
	unsigned most; /* connections at once, and some to spare */
	struct {
		bool are_known;
		uint64_t up;
		uint64_t down;
	} bytes;       /* of the scenario's connection, if it makes one */
	size_t logged; /* lines, after the last run */
	struct census census; /* when only residents are there */
	unsigned tried;       /* stops that a worker was killed at */
};

/* Plays the scenario from connect to end and checks all that can be seen of it
 * from outside. */
typedef void points_play_fn(struct points *p, enum pair_side client,
    enum pair_side backend);

void points_start(struct points *p);
void points_stop(struct points *p);
/* What body and master have open now is what they have without the scenario. */
void points_learn(struct points *p);
/* The configuration, with more services; takes effect by a reload. */
void points_configure(const struct points *p, const char *more);

extern const char *const points_service_names[POINTS_SERVICES];

/* What must be so after each run, as said above. */
void points_expect_sound(struct points *p);
/* So it is still when more have come and gone than ever were there at once,
 * without a death: that would find what its worker has forgotten. */
void points_expect_room(struct points *p);

/* Runs something with a death at that stop (KILLER_NEVER: without one). */
typedef struct killer_trial points_try_fn(void *arg, unsigned point);

/* Run it without a death, then with one at each stop, or about quick of them,
 * and say how many.  An offset makes those others than of the last call.
 * Returns how many were killed at. */
unsigned points_try_all(const char *name, points_try_fn *try, void *arg,
    unsigned quick, unsigned offset);
/* The same where there may be no stop at all: after a death that a run may not
 * get to. */
unsigned points_try_any(const char *name, points_try_fn *try, void *arg,
    unsigned quick, unsigned offset);

/* Play it without a death, then with one at each stop (or some). */
void points_enumerate(struct points *p, const char *name, points_play_fn *play,
    enum pair_side client, enum pair_side backend);
/* A test of that alone, with TCP on both sides. */
void points_test(const char *name, points_play_fn *play);
/* points_enumerate(), and the successor is killed in its sweep: at each stop of each
 * stop's (or some). */
void points_enumerate_sweeps(struct points *p, const char *name,
    points_play_fn *play, enum pair_side client, enum pair_side backend);

/* Connect through the gateway and accept at the backend. */
struct pair points_open(struct points *p, enum pair_side client,
    enum pair_side backend);
/* Connect to one of the other services. */
int points_connect(struct points *p, enum points_service service);
/* One to echo, from connect to end. */
void points_come_and_go(struct points *p);
/* A connection was made in another way. */
void points_count(struct points *p, enum points_service service);

#endif
