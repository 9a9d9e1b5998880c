/*
 * test_plan_follow - which plans may take the place of another: all pairs of
 * states of a row, and plans that lie.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/state/plan.h"
#include "tests/unit/unit.h"

/* Offsets of strings. */
#define NAME  1
#define OTHER 6
#define PATH  12

/* Service 0 is always there; row 1 of each table is what a test is about. */
struct sample {
	struct plan plan;
	struct plan_service services[2];
	_Alignas(8) struct plan_listener listeners[2];
	_Alignas(8) struct plan_backend backends[3];
	_Alignas(8) char strings[16];
};

static void
set_addr(struct addr *addr, enum addr_use use, const char *text)
{
	char why[200];

	ck_assert_int_eq(addr_parse(text, use, addr, why, sizeof(why)), 0);
}

static void
set_listener(struct sample *s, uint32_t i, uint32_t service, uint64_t born)
{
	s->listeners[i] = (struct plan_listener){
	    .state = ROW_ACTIVE,
	    .next = PLAN_END,
	    .service = service,
	    .born = born,
	    .text = NAME,
	    .backlog = 1,
	};
	set_addr(&s->listeners[i].addr, ADDR_FOR_LISTEN,
	    i == 0 ? "*:80" : "*:81");
	s->services[service].first_listener = i;
	s->services[service].listeners = 1;
}

static void
set_backend(struct sample *s, uint32_t i, uint32_t service, uint32_t state)
{
	s->backends[i] = (struct plan_backend){
	    .state = state,
	    .next = PLAN_END,
	    .service = service,
	    .name = NAME,
	    .text = NAME,
	};
	set_addr(&s->backends[i].addr, ADDR_FOR_BACKEND, "builtin:echo");
	if (state == ROW_ACTIVE) {
		s->backends[i].next = s->services[service].first_backend;
		s->services[service].first_backend = i;
		s->services[service].backends++;
	}
}

static void
set_service(struct sample *s, uint32_t i, uint32_t state)
{
	s->services[i] = (struct plan_service){
	    .state = state,
	    .name = NAME,
	    .first_listener = PLAN_END,
	    .first_backend = PLAN_END,
	    .backlog = 1,
	};
	if (state == ROW_ACTIVE) {
		set_listener(s, i, i, s->plan.generation);
		set_backend(s, i, i, ROW_ACTIVE);
	}
}

static void
set_tables(struct sample *s)
{
	s->plan.services = (struct plan_table){
	    .offset = offsetof(struct sample, services), .count = 2};
	s->plan.listeners = (struct plan_table){
	    .offset = offsetof(struct sample, listeners), .count = 2};
	s->plan.backends = (struct plan_table){
	    .offset = offsetof(struct sample, backends), .count = 3};
	s->plan.strings =
	    (struct plan_table){.offset = offsetof(struct sample, strings),
		.count = sizeof(s->strings)};
}

/* A plan whose first service has been there since generation 1. */
static void
make_sample(struct sample *s, uint64_t generation)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->strings, "\0name\0other\0/p\0", 16);
	s->plan.magic = PLAN_MAGIC;
	s->plan.version = PLAN_VERSION;
	s->plan.length = sizeof(*s);
	s->plan.generation = generation;
	s->plan.workers = 1;
	s->plan.max_connections = 1;
	s->plan.control.path = PATH;
	s->plan.log.access.target = TARGET_OFF;
	set_tables(s);
	set_service(s, 0, ROW_ACTIVE);
	s->listeners[0].born = 1;
}

static void
ensure_sound(const struct sample *s)
{
	const char *why = NULL;

	if (plan_check(&s->plan, sizeof(*s), &why) < 0)
		ck_abort_msg("not sound: %s", why);
}

static bool
follows(const struct sample *from, const struct sample *to)
{
	const char *why = "unset";
	int error;

	ensure_sound(from);
	ensure_sound(to);
	error = plan_check_succession(&from->plan, &to->plan, &why);
	ck_assert(error == 0 || error == -EINVAL);
	ck_assert_int_eq(why == NULL, error == 0);
	return error == 0;
}

/* By state before and after: with the same name, and with another one. */
struct step {
	bool same;
	bool other;
};

static const struct step steps[3][3] = {
    [ROW_EMPTY] =
	{
	    [ROW_EMPTY] = {true, true},
	    [ROW_ACTIVE] = {true, true},
	    [ROW_REMOVED] = {false, false},
	},
    [ROW_ACTIVE] =
	{
	    [ROW_EMPTY] = {false, false},
	    [ROW_ACTIVE] = {true, false},
	    [ROW_REMOVED] = {true, false},
	},
    [ROW_REMOVED] =
	{
	    [ROW_EMPTY] = {true, true},
	    [ROW_ACTIVE] = {true, false},
	    [ROW_REMOVED] = {true, false},
	},
};

/* Service 1, with what belongs to it so that nothing else is wrong. */
static void
make_service_pair(struct sample *from, struct sample *to, uint32_t before,
    uint32_t after)
{
	make_sample(from, 1);
	make_sample(to, 2);
	if (before != ROW_EMPTY)
		set_service(from, 1, before);
	if (after != ROW_EMPTY)
		set_service(to, 1, after);
	if (before == ROW_ACTIVE && after == ROW_ACTIVE)
		to->listeners[1].born = 1;
	if (before == ROW_ACTIVE && after == ROW_REMOVED)
		set_backend(to, 1, 1, ROW_REMOVED);
	if (before == ROW_REMOVED && after == ROW_ACTIVE)
		set_backend(from, 1, 1, ROW_REMOVED);
}

START_TEST(services_states_in_all_pairs)
{
	struct sample from;
	struct sample to;

	for (uint32_t a = ROW_EMPTY; a <= ROW_REMOVED; a++) {
		for (uint32_t b = ROW_EMPTY; b <= ROW_REMOVED; b++) {
			make_service_pair(&from, &to, a, b);
			ck_assert_msg(follows(&from, &to) == steps[a][b].same,
			    "service from %u to %u", a, b);
			if (b != ROW_EMPTY)
				to.services[1].name = OTHER;
			ck_assert_msg(follows(&from, &to) == steps[a][b].other,
			    "service from %u to %u, renamed", a, b);
		}
	}
}
END_TEST

static void
set_spare_backend(struct sample *s, uint32_t state)
{
	if (state != ROW_EMPTY)
		set_backend(s, 2, 0, state);
}

START_TEST(backends_states_in_all_pairs)
{
	struct sample from;
	struct sample to;

	for (uint32_t a = ROW_EMPTY; a <= ROW_REMOVED; a++) {
		for (uint32_t b = ROW_EMPTY; b <= ROW_REMOVED; b++) {
			make_sample(&from, 1);
			make_sample(&to, 2);
			set_spare_backend(&from, a);
			set_spare_backend(&to, b);
			ck_assert_msg(follows(&from, &to) == steps[a][b].same,
			    "backend from %u to %u", a, b);
			if (b != ROW_EMPTY)
				to.backends[2].name = OTHER;
			ck_assert_msg(follows(&from, &to) == steps[a][b].other,
			    "backend from %u to %u, renamed", a, b);
		}
	}
}
END_TEST

START_TEST(backend_stays_with_its_service)
{
	struct sample from;
	struct sample to;

	make_service_pair(&from, &to, ROW_REMOVED, ROW_REMOVED);
	set_backend(&from, 2, 0, ROW_REMOVED);
	set_backend(&to, 2, 0, ROW_REMOVED);
	ck_assert(follows(&from, &to));
	to.backends[2].service = 1;
	ck_assert(!follows(&from, &to));
}
END_TEST

START_TEST(listeners_keep_sockets_and_address)
{
	struct sample from;
	struct sample to;

	/* Removed, and made anew in the generation after. */
	make_service_pair(&from, &to, ROW_ACTIVE, ROW_REMOVED);
	set_backend(&to, 1, 1, ROW_REMOVED);
	ck_assert(follows(&from, &to));
	/* In its place at once: those sockets are bound to something else. */
	make_service_pair(&from, &to, ROW_ACTIVE, ROW_ACTIVE);
	to.listeners[1].born = 2;
	ck_assert(!follows(&from, &to));
	make_service_pair(&from, &to, ROW_ACTIVE, ROW_ACTIVE);
	set_addr(&to.listeners[1].addr, ADDR_FOR_LISTEN, "*:82");
	ck_assert(!follows(&from, &to));
	/* The same address, as it can be written too. */
	make_service_pair(&from, &to, ROW_ACTIVE, ROW_ACTIVE);
	to.listeners[1].text = OTHER;
	ck_assert(follows(&from, &to));
	/* New, but as if it had sockets already. */
	make_service_pair(&from, &to, ROW_REMOVED, ROW_ACTIVE);
	to.listeners[1].born = 1;
	ck_assert(!follows(&from, &to));
	from.plan.listeners.count = 1;
	ck_assert(!follows(&from, &to));
	to.listeners[1].born = 2;
	ck_assert(follows(&from, &to));
}
END_TEST

START_TEST(listener_may_change_its_service)
{
	struct sample from;
	struct sample to;

	make_service_pair(&from, &to, ROW_ACTIVE, ROW_ACTIVE);
	to.listeners[0].service = 1;
	to.listeners[1].service = 0;
	to.services[0].first_listener = 1;
	to.services[1].first_listener = 0;
	ck_assert(follows(&from, &to));
}
END_TEST

START_TEST(tables_never_shrink)
{
	struct sample from;
	struct sample to;

	make_sample(&from, 1);
	make_sample(&to, 2);
	to.plan.services.count = 1;
	ck_assert(!follows(&from, &to));
	to.plan.services.count = 2;
	to.plan.listeners.count = 1;
	ck_assert(!follows(&from, &to));
	to.plan.listeners.count = 2;
	to.plan.backends.count = 1;
	ck_assert(!follows(&from, &to));
}
END_TEST

START_TEST(generations_rise)
{
	struct sample from;
	struct sample to;

	make_sample(&from, 7);
	make_sample(&to, 8);
	ck_assert(follows(&from, &to));
	make_sample(&to, 7);
	ck_assert(!follows(&from, &to));
	make_sample(&to, 6);
	ck_assert(!follows(&from, &to));
}
END_TEST

/* Beyond the old tables nothing can have been removed. */
START_TEST(rows_are_not_born_removed)
{
	struct sample from;
	struct sample to;

	make_sample(&from, 1);
	make_sample(&to, 2);
	from.plan.backends.count = 2;
	set_backend(&to, 2, 0, ROW_REMOVED);
	ck_assert(!follows(&from, &to));
	set_backend(&to, 2, 0, ROW_ACTIVE);
	ck_assert(follows(&from, &to));
	make_service_pair(&from, &to, ROW_EMPTY, ROW_REMOVED);
	from.plan.services.count = 1;
	ck_assert(!follows(&from, &to));
	make_service_pair(&from, &to, ROW_EMPTY, ROW_ACTIVE);
	from.plan.services.count = 1;
	ck_assert(follows(&from, &to));
}
END_TEST

static bool
refuses(const struct sample *s)
{
	const char *why;

	return plan_check(&s->plan, sizeof(*s), &why) == -EINVAL;
}

/* A name out of bounds in a row that is nobody's was once read. */
START_TEST(empty_rows_are_blank)
{
	struct sample s;

	make_sample(&s, 1);
	ensure_sound(&s);
	s.services[1].name = UINT32_MAX;
	ck_assert(refuses(&s));
	make_sample(&s, 1);
	s.listeners[1].text = UINT32_MAX;
	ck_assert(refuses(&s));
	make_sample(&s, 1);
	s.backends[1].service = UINT32_MAX;
	ck_assert(refuses(&s));
	make_sample(&s, 1);
	s.backends[2].addr.path[ADDR_PATH_SIZE - 1] = 'x';
	ck_assert(refuses(&s));
}
END_TEST

START_TEST(lists_hold_all_active_rows)
{
	struct sample s;

	make_sample(&s, 1);
	set_backend(&s, 2, 0, ROW_ACTIVE);
	ensure_sound(&s);
	/* Active, but left out. */
	s.services[0].first_backend = 0;
	s.services[0].backends = 1;
	ck_assert(refuses(&s));
	make_sample(&s, 1);
	set_listener(&s, 1, 1, 1);
	ck_assert(refuses(&s));
	/* A ring of one, as long as can be: checked without walking it. */
	make_sample(&s, 1);
	s.services[0].backends = UINT32_MAX;
	s.backends[0].next = 0;
	ck_assert(refuses(&s));
	/* Sockets of a time to come. */
	make_sample(&s, 1);
	s.listeners[0].born = 2;
	ck_assert(refuses(&s));
}
END_TEST

/* xorshift64: the same numbers everywhere, so that a failure comes again. */
static uint32_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 16);
}

static void
damage(struct sample *s, uint64_t *seed)
{
	uint32_t value = next_random(seed);
	size_t first = offsetof(struct sample, services) / sizeof(value);
	size_t words = sizeof(*s) / sizeof(value);

	if (next_random(seed) % 4 != 0)
		value %= 4;
	memcpy((char *)s +
		(first + next_random(seed) % (words - first)) * sizeof(value),
	    &value, sizeof(value));
}

/* Under the sanitizers this finds any read that the checks don't cover. */
START_TEST(lies_never_crash_nor_rename)
{
	struct sample from;
	struct sample sound;
	struct sample to;
	const char *why;
	uint64_t seed = 3;
	size_t passed = 0;
	size_t stopped = 0;

	make_service_pair(&from, &sound, ROW_ACTIVE, ROW_ACTIVE);
	set_backend(&from, 2, 1, ROW_REMOVED);
	set_backend(&sound, 2, 1, ROW_REMOVED);
	for (int i = 0; i < 100000; i++) {
		to = sound;
		for (uint32_t n = next_random(&seed) % 3; n < 3; n++)
			damage(&to, &seed);
		if (plan_check(&to.plan, sizeof(to), &why) < 0)
			continue;
		if (plan_check_succession(&from.plan, &to.plan, &why) < 0) {
			stopped++;
			continue;
		}
		passed++;
		ck_assert_str_eq(plan_string(&to.plan, to.services[1].name),
		    plan_string(&from.plan, from.services[1].name));
		ck_assert_uint_eq(to.backends[1].service, 1);
		ck_assert_uint_eq(to.backends[1].state == ROW_EMPTY, 0);
		ck_assert_uint_eq(to.listeners[1].addr.port, 81);
	}
	ck_assert_uint_gt(passed, 0);
	ck_assert_uint_gt(stopped, 0);
}
END_TEST

UNIT_MAIN("plan_follow", services_states_in_all_pairs,
    backends_states_in_all_pairs, backend_stays_with_its_service,
    listeners_keep_sockets_and_address, listener_may_change_its_service,
    tables_never_shrink, generations_rise, rows_are_not_born_removed,
    empty_rows_are_blank, lists_hold_all_active_rows,
    lies_never_crash_nor_rename)
