/*
 * counts - numbers of GetStatus that must be so, compared all at once.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_COUNTS_H
#define SRVD_TESTS_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "gateway.h"

#define COUNTS_MAX 64

struct counts {
	struct {
		char path[64]; /* as of gateway_find() */
		int64_t value;
	} rows[COUNTS_MAX];
	size_t count;
};

/* Another one, at this path. */
void counts_add(struct counts *counts, int64_t value, const char *format, ...)
    printf_like(3, 4);

/* What a service is to have, and what a backend: a death adds to none of it and
 * takes nothing away. */
struct counts_of {
	int64_t connections;
	int64_t accepted;
	int64_t missed; /* refused by a service, failed of a backend */
};
void counts_add_service(struct counts *counts, const char *service,
    struct counts_of of);
void counts_add_backend(struct counts *counts, const char *service,
    const char *backend, struct counts_of of);

/* Wait until all are so. */
void counts_expect(const struct counts *counts, const struct gateway *g);

#endif
