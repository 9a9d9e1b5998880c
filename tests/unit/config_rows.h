/*
 * config_rows - what the tests of a reload's rows share: finding them by name,
 * and connections that use some.
 */
#ifndef SRVD_TESTS_CONFIG_ROWS_H
#define SRVD_TESTS_CONFIG_ROWS_H

#include "tests/unit/config_file.h"

/* Which rows connections use. */
struct use {
	uint64_t services;
	uint64_t backends;
};

static inline bool
uses_service(const void *arg, uint32_t i)
{
	const struct use *use = arg;

	return use->services >> i % 64 & 1;
}

static inline bool
uses_backend(const void *arg, uint32_t i)
{
	const struct use *use = arg;

	return use->backends >> i % 64 & 1;
}

/* The row of a name, whatever became of it, or PLAN_END. */
static inline uint32_t
find_service(const struct plan *plan, const char *name)
{
	uint32_t found = PLAN_END;

	for (uint32_t i = 0; i < plan->services.count; i++) {
		const struct plan_service *row = plan_service(plan, i);

		if (row->state == ROW_EMPTY ||
		    strcmp(plan_string(plan, row->name), name) != 0)
			continue;
		ck_assert_uint_eq(found, PLAN_END);
		found = i;
	}
	return found;
}

static inline uint32_t
find_backend(const struct plan *plan, uint32_t service, const char *name)
{
	uint32_t found = PLAN_END;

	for (uint32_t i = 0; i < plan->backends.count; i++) {
		const struct plan_backend *row = plan_backend(plan, i);

		if (row->state == ROW_EMPTY || row->service != service ||
		    strcmp(plan_string(plan, row->name), name) != 0)
			continue;
		ck_assert_uint_eq(found, PLAN_END);
		found = i;
	}
	return found;
}

#endif
