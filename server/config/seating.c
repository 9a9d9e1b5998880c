/*
 * seating - which row is whose in a table that follows another; see seating.h.
 */
#include <stdlib.h>
#include <string.h>

#include "server/config/memory.h"
#include "server/config/seating.h"
#include "server/state/plan.h"

void *
seating_blank(uint32_t count, size_t size)
{
	void *rows = memory_resize(NULL, (count + (size_t)1) * size);

	memset(rows, 0, (count + (size_t)1) * size);
	return rows;
}

void
seating_init(struct seating *seating, uint32_t fresh, uint32_t before,
    uint32_t max)
{
	seating->fresh = fresh;
	seating->before = before;
	seating->count = before;
	seating->max = max;
	seating->index = seating_blank(fresh, sizeof(*seating->index));
	seating->heir = seating_blank(before, sizeof(*seating->heir));
	seating->taken = seating_blank(before, sizeof(*seating->taken));
	for (uint32_t i = 0; i < fresh; i++)
		seating->index[i] = SEAT_NONE;
	for (uint32_t i = 0; i < before; i++)
		seating->heir[i] = SEAT_NONE;
}

void
seating_release(struct seating *seating)
{
	memory_free(seating->index);
	memory_free(seating->heir);
	memory_free(seating->taken);
}

static void
inherit(struct seating *seating, uint32_t fresh, uint32_t row)
{
	seating->index[fresh] = row;
	seating->heir[row] = fresh;
}

uint32_t
seating_seat_rest(struct seating *seating)
{
	uint32_t row = 0;

	for (uint32_t i = 0; i < seating->fresh; i++) {
		if (seating->index[i] != SEAT_NONE)
			continue;
		while (row < seating->before && seating->taken[row])
			row++;
		if (row == seating->max)
			return i;
		seating->index[i] = row++;
		if (row > seating->count)
			seating->count = row;
	}
	return SEAT_NONE;
}

uint32_t
seating_count_kept(const struct seating *seating)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < seating->before; i++)
		count += seating->taken[i] && seating->heir[i] == SEAT_NONE;
	return count;
}

int
named_by_name(const void *left, const void *right)
{
	const struct named *a = left;
	const struct named *b = right;

	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	return strcmp(a->name, b->name);
}

void
seating_seat_named(struct seating *seating, const struct named *sorted,
    size_t count, const struct named *fresh)
{
	const struct named *found =
	    bsearch(fresh, sorted, count, sizeof(*sorted), named_by_name);

	/* Two of one name are none of ours, but must not cost us more. */
	if (found != NULL && seating->heir[found->row] == SEAT_NONE)
		inherit(seating, fresh->row, found->row);
}

int
bound_by_address(const void *left, const void *right)
{
	const struct bound *a = left;
	const struct bound *b = right;
	int order = addr_compare(a->addr, b->addr);

	if (order != 0)
		return order;
	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Of one address, and, if that matters, of one service? */
static int
compare_bound(const struct bound *a, const struct bound *b, bool any_service)
{
	int order = addr_compare(a->addr, b->addr);

	if (order != 0 || any_service || a->service == b->service)
		return order;
	return a->service < b->service ? -1 : 1;
}

void
seating_seat_bound(struct seating *seating, const struct bound *old,
    const struct bound *fresh, bool any_service)
{
	uint32_t i = 0;
	uint32_t k = 0;

	while (old[i].addr != NULL && fresh[k].addr != NULL) {
		int order = compare_bound(&old[i], &fresh[k], any_service);

		/* Who is seated is passed over. */
		if (seating->heir[old[i].row] != SEAT_NONE)
			order = -1;
		else if (seating->index[fresh[k].row] != SEAT_NONE)
			order = 1;
		else if (order == 0)
			inherit(seating, fresh[k].row, old[i].row);
		i += order <= 0;
		k += order >= 0;
	}
}

uint32_t
seating_of(const struct seating *seating, uint32_t fresh)
{
	return fresh == PLAN_END ? PLAN_END : seating->index[fresh];
}
