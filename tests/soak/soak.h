/*
 * soak - a gateway under random traffic, and what happens to it in a long run.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_SOAK_H
#define SRVD_TESTS_SOAK_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"

#define SOAK_WORKERS     2 /* at the start and in the end */
#define SOAK_WORKERS_MAX 4
#define SOAK_FAMILIES    3
/* Of a process.  A body has half as many slots: few enough to use up. */
#define SOAK_DESCRIPTORS 1024
#define SOAK_CONNECTIONS 200 /* max_connections */

extern const char *const soak_families[SOAK_FAMILIES];
/* Services whose streams the gateway is told to close, by backend's family. */
extern const char *const soak_cut[SOAK_FAMILIES];

/* What there is while no connection is. */
struct soak_remains {
	int master_fds;
	int body_fds[SOAK_WORKERS]; /* pipes, which are kept, aside */
	int processes;
	int files;
	int64_t pss_kib; /* of all processes */
};

struct soak {
	struct gateway gateway;
	struct load *load;
	char backend[SOAK_FAMILIES][ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	char echo[ADDR_TEXT_SIZE];
	bool has_extra; /* the configuration's other half */
	bool is_next;   /* the other program runs */
	uint64_t state; /* of the random numbers */
	uint64_t steps;
	uint64_t kills;
	struct soak_remains at_start;
};

/* soak.c */

/* A random number below that. */
unsigned soak_choose(struct soak *s, unsigned below);
/* The process of a worker, which is there and what its name says. */
pid_t soak_aim(const struct soak *s, unsigned worker);
/* Kill it after so many system calls at most. */
void soak_shoot(struct soak *s, pid_t pid, unsigned most);
void soak_configure(const struct soak *s);
/* The configuration as it is now, with so many workers. */
void soak_change_workers(struct soak *s, unsigned workers);
/* To the most and back to what it is at the start. */
void soak_grow_and_shrink(struct soak *s);
/* Streams to all listeners, from now on. */
void soak_add_traffic(struct soak *s);
/* Have the gateway close all streams of that one of soak_cut; kills_worker: a
 * worker dies meanwhile. */
void soak_close(struct soak *s, unsigned which, bool kills_worker);
/* No stream is opened any more, and all have ended. */
void soak_quiet(struct soak *s);

/* steps.c: kill, reload, upgrade, … something. */
void soak_take_step(struct soak *s);

/* kinds.c: what a stream is to be; arg is the soak. */
load_draw_fn soak_draw;

/* remains.c: both while no connection is. */
void soak_note_remains(const struct soak *s, struct soak_remains *remains);
/* As many connections at once as there may be, then more in turn than there are
 * slots: one that was not given back would be missed. */
void soak_use_all(const struct soak *s);
/* All that is there was there at the start, and everything can be used. */
void soak_expect_nothing_left(struct soak *s);

#endif
