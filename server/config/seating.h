/*
 * seating - which row is whose in a table that follows another.
 *
 * Runs in: the configuration's child.
 *
 * Invariants
 *  S1  A row that was anybody's in the previous plan is given to nobody else,
 *      not even if it becomes empty now.
 */
#ifndef SRVD_CONFIG_SEATING_H
#define SRVD_CONFIG_SEATING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/attr.h"

#define SEAT_NONE UINT32_MAX

/* One table: where the build's rows go. */
struct seating {
	uint32_t *index; /* of each row of the build: its new one, or none */
	uint32_t *heir;  /* of each row of before: the build's, or none */
	bool *taken;     /* rows of before that were not empty */
	uint32_t fresh;  /* rows of the build */
	uint32_t before; /* rows of the previous plan */
	uint32_t count;  /* rows of the new table */
	uint32_t max;
};

/* A row under its name; that of a backend is its service's own. */
struct named {
	uint32_t service; /* index in the previous plan; of a service 0 */
	const char *name;
	uint32_t row;
};

/* A row under its address. */
struct bound {
	const struct addr *addr;
	uint32_t service; /* index in both plans */
	uint32_t order;   /* in the configuration */
	uint32_t row;
};

/* Rows of zeros, with one more at the end. */
must_check void *seating_blank(uint32_t count, size_t size);

/* Whoever calls says of the rows of before which are taken. */
void seating_init(struct seating *seating, uint32_t fresh, uint32_t before,
    uint32_t max);
void seating_release(struct seating *seating);

/* For sorting with qsort(). */
int named_by_name(const void *left, const void *right);
int bound_by_address(const void *left, const void *right);

/* Seat a row of the build with the row of before of that name, if any; those
 * of before are sorted. */
void seating_seat_named(struct seating *seating, const struct named *sorted,
    size_t count, const struct named *fresh);

/*
 * Seat rows of the build with those of before that have the same address and,
 * if that matters, service.  Both lists are sorted and end with a blank row.
 * There can be several of one address only with port 0: they are taken in
 * order.
 */
void seating_seat_bound(struct seating *seating, const struct bound *old,
    const struct bound *fresh, bool any_service);

/*
 * Seat the rest where nobody was (S1).  Returns the first row of the build
 * that finds no place, or SEAT_NONE.
 */
must_check uint32_t seating_seat_rest(struct seating *seating);

/* Rows of before that are taken and have no heir. */
uint32_t seating_count_kept(const struct seating *seating);

/* Where a reference to a row of the build, or PLAN_END, points now. */
uint32_t seating_of(const struct seating *seating, uint32_t fresh);

#endif
