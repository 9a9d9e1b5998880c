/*
 * moved - connections that are at something when they are handed over: idle,
 * half closed, full, reset; and what must come of it.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_MOVED_H
#define SRVD_TESTS_MOVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pair.h"

struct behaviour;

/* What a connection is doing while it is handed over. */
struct moved {
	const struct behaviour *does;
	struct pair pair;
	enum pair_side client;
	enum pair_side backend;
	uint64_t seed;
	size_t sent;
};

struct behaviour {
	const char *name;
	void (*before)(struct moved *moved);
	void (*after)(struct moved *moved); /* ends it, too */
	bool is_echo;
};

#define MOVED_BEHAVIOURS 8
extern const struct behaviour moved_behaviours[MOVED_BEHAVIOURS];

#endif
