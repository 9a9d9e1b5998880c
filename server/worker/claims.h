/*
 * claims - which descriptor numbers of a body belong to something.
 *
 * Runs in: worker, during the sweep.
 */
#ifndef SRVD_WORKER_CLAIMS_H
#define SRVD_WORKER_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* More than any kernel's fs.nr_open is likely to be set to. */
#define CLAIMS_MAX (1 << 24)

struct claims {
	uint64_t *words; /* a bit a number; pages are touched as used */
	int highest;
};

must_check int claims_init(struct claims *claims);
void claims_release(struct claims *claims);

/* False if number is out of range, fixed, or claimed already. */
bool claims_add(struct claims *claims, int number);

/* Take a claim back. */
void claims_remove(struct claims *claims, int number);

/* The lowest number that is not claimed. */
int claims_first_gap(const struct claims *claims);

/* Close every number that is not claimed. */
void claims_close_gaps(const struct claims *claims);

#endif
