/*
 * test_config_random - which rows names have after a reload: what must hold
 * between any two plans that follow each other, on random configurations.
 */
#include "tests/unit/config_rows.h"

#define SERVICES    8
#define BACKENDS    6
#define ADDRESSES   10
#define GENERATIONS 50

/* A configuration, as it should be found in the plan. */
struct want_service {
	uint32_t number;
	uint32_t timeout;
	uint32_t listeners;
	char listen[ADDRESSES + 2][24];
	uint32_t backends;
	uint32_t backend[BACKENDS];
};

struct want {
	uint32_t count;
	struct want_service services[SERVICES];
};

/* xorshift64: the same numbers everywhere, so that a failure comes again. */
static uint32_t
draw(uint64_t *seed, uint32_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return below <= 1 ? 0 : (uint32_t)(*seed >> 16) % below;
}

/* Some of the numbers below count, in any order; at least one. */
static uint32_t
choose(uint64_t *seed, uint32_t count, uint32_t *chosen)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = draw(seed, n + 1);

		if (draw(seed, 2) == 0 && (n > 0 || i + 1 < count))
			continue;
		chosen[n++] = chosen[at];
		chosen[at] = i;
	}
	return n;
}

static void
add_listen(struct want_service *service, const char *prefix, uint32_t number)
{
	(void)snprintf(service->listen[service->listeners],
	    sizeof(service->listen[0]), "%s%u", prefix, number);
	service->listeners++;
}

static struct want
make_want(uint64_t *seed)
{
	uint32_t numbers[SERVICES] = {0};
	struct want want = {.count = choose(seed, SERVICES, numbers)};

	for (uint32_t i = 0; i < want.count; i++) {
		struct want_service *service = &want.services[i];

		service->number = numbers[i];
		service->timeout = 1 + draw(seed, 99);
		service->backends = choose(seed, BACKENDS, service->backend);
		/* Each has one of its own, or with a port of the kernel's. */
		if (draw(seed, 2) == 0)
			add_listen(service, "127.0.0.1:", 0);
		if (draw(seed, 2) == 0)
			add_listen(service, "127.0.0.1:", 0);
		if (service->listeners == 0)
			add_listen(service, "unix:@own", numbers[i]);
	}
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		if (draw(seed, 2) == 0)
			add_listen(&want.services[draw(seed, want.count)],
			    "unix:@", i);
	}
	return want;
}

static void
write_want(const struct want *want, const char *name)
{
	FILE *file = fopen(path_of(name), "we");

	ck_assert_ptr_nonnull(file);
	(void)fputs("user = root\n", file);
	for (uint32_t i = 0; i < want->count; i++) {
		const struct want_service *service = &want->services[i];

		(void)fprintf(file,
		    "service s%u {\nidle_timeout = %us\nlisten = {",
		    service->number, service->timeout);
		for (uint32_t k = 0; k < service->listeners; k++)
			(void)fprintf(file, "'%s', ", service->listen[k]);
		(void)fputs("}\n", file);
		for (uint32_t k = 0; k < service->backends; k++)
			(void)fprintf(file,
			    "backend b%u { address = 127.0.0.1:%u }\n",
			    service->backend[k], 1 + service->backend[k]);
		(void)fputs("}\n", file);
	}
	ck_assert_int_eq(fclose(file), 0);
}

static uint32_t
backend_state(const struct plan *plan, uint32_t i)
{
	return i < plan->backends.count ? plan_backend(plan, i)->state
					: ROW_EMPTY;
}

/* A backend that was asked for is there, and kept its row. */
static void
check_backend(const struct plan *from, const struct plan *to, uint32_t at,
    uint32_t number)
{
	const struct plan_backend *row = plan_backend(to, at);
	uint32_t old;
	char name[8];

	(void)snprintf(name, sizeof(name), "b%u", number);
	ck_assert_str_eq(plan_string(to, row->name), name);
	ck_assert_uint_eq(row->addr.port, 1 + number);
	old = find_backend(from, row->service, name);
	ck_assert(old == at ||
	    (old == PLAN_END && backend_state(from, at) == ROW_EMPTY));
}

/* In the order of the configuration. */
static void
check_backends(const struct plan *from, const struct plan *to,
    const struct want_service *want, uint32_t service)
{
	uint32_t at = plan_service(to, service)->first_backend;

	for (uint32_t i = 0; i < want->backends; i++) {
		check_backend(from, to, at, want->backend[i]);
		at = plan_backend(to, at)->next;
	}
	ck_assert_uint_eq(at, PLAN_END);
}

static void
check_listeners(const struct plan *to, const struct want_service *want,
    uint32_t service)
{
	uint32_t at = plan_service(to, service)->first_listener;
	const char *text;

	for (uint32_t i = 0; i < want->listeners; i++) {
		text = plan_string(to, plan_listener(to, at)->text);
		ck_assert_int_eq(strcmp(text, want->listen[i]), 0);
		at = plan_listener(to, at)->next;
	}
	ck_assert_uint_eq(at, PLAN_END);
}

static void
check_wanted(const struct plan *from, const struct plan *to,
    const struct want *want)
{
	for (uint32_t i = 0; i < want->count; i++) {
		const struct want_service *service = &want->services[i];
		const struct plan_service *row;
		uint32_t at;
		uint32_t old;
		char name[8];

		(void)snprintf(name, sizeof(name), "s%u", service->number);
		at = find_service(to, name);
		ck_assert_uint_ne(at, PLAN_END);
		row = plan_service(to, at);
		ck_assert_uint_eq(row->state, ROW_ACTIVE);
		ck_assert_uint_eq(row->idle_timeout_ms,
		    1000 * (uint64_t)service->timeout);
		old = find_service(from, name);
		ck_assert(old == at || old == PLAN_END);
		if (old == PLAN_END && at < from->services.count)
			ck_assert_uint_eq(plan_service(from, at)->state,
			    ROW_EMPTY);
		check_backends(from, to, service, at);
		check_listeners(to, service, at);
	}
}

static bool
is_wanted(const struct want *want, const struct plan *plan, uint32_t service,
    uint32_t backend)
{
	const char *name = plan_string(plan, plan_service(plan, service)->name);
	uint32_t number = (uint32_t)strtoul(name + 1, NULL, 10);

	for (uint32_t i = 0; i < want->count; i++) {
		const struct want_service *found = &want->services[i];

		if (found->number != number)
			continue;
		if (backend == PLAN_END)
			return true;
		name = plan_string(plan, plan_backend(plan, backend)->name);
		for (uint32_t k = 0; k < found->backends; k++) {
			if (found->backend[k] == strtoul(name + 1, NULL, 10))
				return true;
		}
	}
	return false;
}

/* What is not wanted any more, or was not before. */
static void
check_removed(const struct plan *from, const struct plan *to,
    const struct want *want, const struct use *use)
{
	bool is_needed[64] = {false};

	for (uint32_t i = 0; i < from->backends.count; i++) {
		const struct plan_backend *old = plan_backend(from, i);
		const struct plan_backend *row = plan_backend(to, i);
		bool stays = old->state == ROW_ACTIVE || uses_backend(use, i);

		if (old->state == ROW_EMPTY ||
		    is_wanted(want, from, old->service, i))
			continue;
		ck_assert_uint_eq(row->state, stays ? ROW_REMOVED : ROW_EMPTY);
		ck_assert(!stays || addr_equal(&row->addr, &old->addr));
		is_needed[old->service] |= stays;
	}
	for (uint32_t i = 0; i < from->services.count; i++) {
		const struct plan_service *old = plan_service(from, i);
		const struct plan_service *row = plan_service(to, i);
		bool stays = old->state == ROW_ACTIVE || is_needed[i] ||
		    uses_service(use, i);

		if (old->state == ROW_EMPTY ||
		    is_wanted(want, from, i, PLAN_END))
			continue;
		ck_assert_uint_eq(row->state, stays ? ROW_REMOVED : ROW_EMPTY);
		ck_assert(!stays ||
		    row->idle_timeout_ms == old->idle_timeout_ms);
		ck_assert_uint_eq(row->backends + row->listeners, 0);
	}
}

/* How many listeners have that address? */
static uint32_t
count_address(const struct plan *plan, const struct addr *addr)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < plan->listeners.count; i++)
		count += plan_listener(plan, i)->state == ROW_ACTIVE &&
		    addr_equal(&plan_listener(plan, i)->addr, addr);
	return count;
}

/* A row is kept as often as an address stands in both. */
static void
check_kept_listeners(const struct plan *from, const struct plan *to)
{
	for (uint32_t i = 0; i < to->listeners.count; i++) {
		const struct plan_listener *row = plan_listener(to, i);
		uint32_t old_count = count_address(from, &row->addr);
		uint32_t count = count_address(to, &row->addr);
		uint32_t kept = 0;

		if (row->state == ROW_EMPTY)
			continue;
		for (uint32_t k = 0; k < from->listeners.count; k++) {
			const struct plan_listener *a = plan_listener(from, k);
			const struct plan_listener *b = plan_listener(to, k);

			kept += a->state == ROW_ACTIVE &&
			    b->state == ROW_ACTIVE && a->born == b->born &&
			    addr_equal(&a->addr, &row->addr);
		}
		ck_assert_uint_eq(kept, old_count < count ? old_count : count);
	}
}

START_TEST(rows_keep_their_meaning_over_random_reloads)
{
	struct config_result old;
	uint64_t seed = 4711;
	struct want want = make_want(&seed);
	const char *why;
	uint32_t freed = 0;

	make_directory();
	write_want(&want, "w.conf");
	old = load("w.conf", true);
	show_errors(&old);
	for (int i = 0; i < GENERATIONS; i++) {
		const struct use use = {
		    (uint64_t)draw(&seed, UINT32_MAX) << 32 |
			draw(&seed, UINT32_MAX),
		    (uint64_t)draw(&seed, UINT32_MAX) << 32 |
			draw(&seed, UINT32_MAX)};
		const struct config_request request = {
		    .path = path_of("w.conf"),
		    .check_only = true,
		    .generation = old.plan->generation + 1,
		    .nofile = 20000,
		    .previous = old.plan,
		    .service_in_use = uses_service,
		    .backend_in_use = uses_backend,
		    .in_use_arg = &use,
		};
		struct config_result result;

		want = make_want(&seed);
		write_want(&want, "w.conf");
		result = load_request(&request);
		show_errors(&result);
		ck_assert_ptr_nonnull(result.plan);
		ck_assert_int_eq(plan_check_succession(old.plan, result.plan,
				     &why),
		    0);
		check_wanted(old.plan, result.plan, &want);
		check_removed(old.plan, result.plan, &want, &use);
		check_kept_listeners(old.plan, result.plan);
		freed += config_frees_rows(old.plan, result.plan);
		config_result_release(&old);
		old = result;
	}
	/* The model has seen rows end, and the tables didn't just grow. */
	ck_assert_uint_gt(freed, 0);
	ck_assert_uint_le(old.plan->services.count, SERVICES);
	config_result_release(&old);
}
END_TEST

UNIT_MAIN("config_random", rows_keep_their_meaning_over_random_reloads)
