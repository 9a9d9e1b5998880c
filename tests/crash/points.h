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
 *  - every other connection has left its slot, and the gateway says that it
 *    has accepted as many as were made;
 *  - the body holds the sockets of the residents and the listeners, and no
 *    other;
 *  - the access log has one line for each connection that has ended.
 *
 * CRASH_POINTS=all in the environment has every stop tried (./dev crash);
 * without it some, evenly spread and others with each scenario.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_POINTS_H
#define SRVD_TESTS_POINTS_H

#include <stdint.h>

#include "backend.h"
#include "gateway.h"
#include "pair.h"

#define POINTS_RESIDENTS 5

struct points {
	struct gateway gateway;
	char access[E2E_PATH_SIZE];
	int listen_fd[2];              /* of the backends, by side */
	char bound[2][ADDR_TEXT_SIZE]; /* where they are */
	char refuses[ADDR_TEXT_SIZE];  /* nobody listens there */
	int refuses_fd;
	char address[2][2][ADDR_TEXT_SIZE]; /* [client's][backend's side] */
	char echo[ADDR_TEXT_SIZE];
	char retry[ADDR_TEXT_SIZE];
	char shut[ADDR_TEXT_SIZE];
	struct pair residents[POINTS_RESIDENTS]; /* the last is of builtin:echo,
						  * without a server */
	int64_t made;   /* connections, residents included */
	int sockets;    /* of the body when only they are there */
	unsigned tried; /* stops that a worker was killed at */
};

/* Plays the scenario from connect to end and checks all that can be seen of it
 * from outside.  Returns how many connections it has made. */
typedef unsigned points_play_fn(struct points *p, enum pair_side client,
    enum pair_side backend);

void points_start(struct points *p);
void points_stop(struct points *p);
/* What the body has now is what it has without the scenario. */
void points_learn_sockets(struct points *p);
/* The configuration, with more services; takes effect by a reload. */
void points_configure(const struct points *p, const char *more);

/* What must be so after each run, as said above. */
void points_expect_sound(struct points *p);

/* What came of killing at a stop. */
struct points_trial {
	unsigned seen; /* so many stops there were, up to that one */
	bool has_killed;
};

/* Runs something with a death at that stop (KILLER_NEVER: without one). */
typedef struct points_trial points_try_fn(void *arg, unsigned point);

/* Run it without a death, then with one at each stop, or about quick of them,
 * and say how many.  An offset makes those others than of the last call.
 * Returns how many were killed at. */
unsigned points_try_all(const char *name, points_try_fn *try, void *arg,
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

#endif
