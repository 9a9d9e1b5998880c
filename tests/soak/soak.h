/*
 * soak - what happens to a gateway in a long run; one random step after the
 * other.
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

extern const char *const soak_families[SOAK_FAMILIES];

struct soak {
	struct gateway gateway;
	struct load *load;
	char backend[SOAK_FAMILIES][ADDR_TEXT_SIZE];
	char access[E2E_PATH_SIZE];
	char rude[ADDR_TEXT_SIZE]; /* a service for those who reset */
	bool has_extra;            /* the configuration's other half */
	uint64_t state;            /* of the random numbers */
	uint64_t steps;
	uint64_t kills;
	int fds[SOAK_WORKERS]; /* of the bodies without traffic, but pipes */
	int64_t pss_kib;       /* of all processes then */
};

/* A random number below that. */
unsigned soak_choose(struct soak *s, unsigned below);

void soak_configure(const struct soak *s);
/* The configuration as it is now, with so many workers. */
void soak_change_workers(struct soak *s, unsigned workers);

/* Kill, reload, upgrade, … something. */
void soak_take_step(struct soak *s);

#endif
