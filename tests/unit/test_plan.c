/*
 * test_plan - a sound plan passes plan_check(), and none that was damaged.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/state/plan.h"
#include "tests/unit/unit.h"

/* Everything a plan can hold, once. */
struct sample {
	struct plan plan;
	struct plan_service services[1];
	_Alignas(8) struct plan_listener listeners[2];
	_Alignas(8) struct plan_backend backends[2];
	_Alignas(8) char strings[24];
};

static void
set_addr(struct addr *addr, enum addr_use use, const char *text)
{
	char why[200];

	ck_assert_int_eq(addr_parse(text, use, addr, why, sizeof(why)), 0);
}

static void
set_tables(struct sample *s)
{
	s->plan.services = (struct plan_table){
	    .offset = offsetof(struct sample, services), .count = 1};
	s->plan.listeners = (struct plan_table){
	    .offset = offsetof(struct sample, listeners), .count = 2};
	s->plan.backends = (struct plan_table){
	    .offset = offsetof(struct sample, backends), .count = 2};
	s->plan.strings =
	    (struct plan_table){.offset = offsetof(struct sample, strings),
		.count = sizeof(s->strings)};
}

static void
make_sample(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->strings, "\0name\0/path", 12);
	s->plan.magic = PLAN_MAGIC;
	s->plan.version = PLAN_VERSION;
	s->plan.length = sizeof(*s);
	s->plan.workers = 1;
	s->plan.max_connections = 1;
	s->plan.control.path = 6;
	s->plan.log.messages = (struct plan_target){TARGET_FILE, 6};
	set_tables(s);
	s->services[0] = (struct plan_service){.state = ROW_ACTIVE,
	    .name = 1,
	    .listeners = 2,
	    .backends = 2,
	    .backlog = 1};
	for (int i = 0; i < 2; i++) {
		s->listeners[i].state = ROW_ACTIVE;
		s->listeners[i].next = i == 0 ? 1 : PLAN_END;
		s->backends[i].state = ROW_ACTIVE;
		s->backends[i].next = i == 0 ? 1 : PLAN_END;
		s->listeners[i].text = 1;
		s->listeners[i].backlog = 1;
		s->backends[i].name = 1;
		s->backends[i].text = 1;
	}
	set_addr(&s->listeners[0].addr, ADDR_FOR_LISTEN, "*:80");
	set_addr(&s->listeners[1].addr, ADDR_FOR_LISTEN, "unix:/x");
	set_addr(&s->backends[0].addr, ADDR_FOR_BACKEND, "name:80");
	set_addr(&s->backends[1].addr, ADDR_FOR_BACKEND, "builtin:echo");
}

START_TEST(sound_plan_passes)
{
	struct sample s;
	const char *why = "unset";

	make_sample(&s);
	ck_assert_int_eq(plan_check(&s.plan, sizeof(s), &why), 0);
	ck_assert_ptr_null(why);
	ck_assert_str_eq(plan_string(&s.plan, plan_service(&s.plan, 0)->name),
	    "name");
	ck_assert_ptr_eq(plan_listener(&s.plan, 1), &s.listeners[1]);
	ck_assert_ptr_eq(plan_backend(&s.plan, 1), &s.backends[1]);
}
END_TEST

/* One member set to one value that must not pass. */
struct damage {
	const char *what;
	size_t offset;
	size_t size;
	uint64_t value;
};

#define DAMAGE(member, v)                                          \
	{                                                          \
#member " = " #v, offsetof(struct sample, member), \
		    sizeof(((struct sample *)0)->member), (v)      \
	}

static const struct damage damages[] = {
    DAMAGE(plan.magic, 0),
    DAMAGE(plan.version, PLAN_VERSION + 1),
    DAMAGE(plan.length, 0),
    DAMAGE(plan.length, sizeof(struct sample) + 8),
    DAMAGE(plan.length, UINT32_MAX),
    DAMAGE(plan.workers, 0),
    DAMAGE(plan.workers, PLAN_WORKERS_MAX + 1),
    DAMAGE(plan.max_connections, 0),
    DAMAGE(plan.max_connections, UINT32_MAX),
    DAMAGE(plan.groups_count, PLAN_GROUPS_MAX + 1),
    DAMAGE(plan.local_ports_split, 1),
    DAMAGE(plan.local_ports_split, UINT16_MAX + 1),
    DAMAGE(plan.config_path, 24),
    DAMAGE(plan.user_name, UINT32_MAX),
    DAMAGE(plan.group_name, 24),
    DAMAGE(plan.control.path, 0),
    DAMAGE(plan.control.path, 1),
    DAMAGE(plan.control.path, 1000),
    DAMAGE(plan.control.mode, 01000),
    DAMAGE(plan.control.group.name, 24),
    DAMAGE(plan.log.level, 4),
    DAMAGE(plan.log.messages.target, TARGET_OFF),
    DAMAGE(plan.log.messages.path, 0),
    DAMAGE(plan.log.messages.path, 24),
    DAMAGE(plan.log.access.target, TARGET_OFF + 1),
    DAMAGE(plan.log.access.target, TARGET_FILE),
    DAMAGE(services[0].state, ROW_REMOVED),
    DAMAGE(services[0].state, ROW_REMOVED + 1),
    DAMAGE(services[0].on_remove, ON_REMOVE_CLOSE + 1),
    DAMAGE(listeners[0].state, ROW_EMPTY),
    DAMAGE(listeners[0].state, ROW_REMOVED),
    DAMAGE(listeners[0].next, 0),
    DAMAGE(listeners[1].next, 0),
    DAMAGE(backends[0].state, ROW_REMOVED),
    DAMAGE(backends[0].next, PLAN_END),
    DAMAGE(backends[0].next, 2),
    DAMAGE(backends[1].next, 1),
    DAMAGE(plan.services.count, 0),
    DAMAGE(plan.services.count, 2),
    DAMAGE(plan.services.count, UINT32_MAX),
    DAMAGE(plan.services.offset, 0),
    DAMAGE(plan.services.offset, offsetof(struct sample, services) + 1),
    DAMAGE(plan.services.offset, UINT32_MAX),
    DAMAGE(plan.services.offset, sizeof(struct sample) - 8),
    DAMAGE(plan.listeners.count, 1),
    DAMAGE(plan.listeners.count, PLAN_LISTENERS_MAX + 1),
    DAMAGE(plan.listeners.count, UINT32_MAX),
    DAMAGE(plan.listeners.offset, UINT32_MAX - 7),
    DAMAGE(plan.listeners.offset, offsetof(struct sample, listeners) + 4),
    DAMAGE(plan.backends.count, 1),
    DAMAGE(plan.backends.count, PLAN_BACKENDS_MAX + 1),
    DAMAGE(plan.backends.offset, 8),
    DAMAGE(plan.strings.count, 0),
    DAMAGE(plan.strings.count, 3),
    DAMAGE(plan.strings.count, 25),
    DAMAGE(plan.strings.count, UINT32_MAX),
    DAMAGE(plan.strings.offset, offsetof(struct sample, strings) + 1),
    DAMAGE(plan.strings.offset, UINT32_MAX),
    DAMAGE(services[0].name, 0),
    DAMAGE(services[0].name, 24),
    DAMAGE(services[0].name, UINT32_MAX),
    DAMAGE(services[0].first_listener, 1),
    DAMAGE(services[0].first_listener, UINT32_MAX),
    DAMAGE(services[0].listeners, 0),
    DAMAGE(services[0].listeners, 3),
    DAMAGE(services[0].listeners, UINT32_MAX),
    DAMAGE(services[0].first_backend, 2),
    DAMAGE(services[0].first_backend, UINT32_MAX - 1),
    DAMAGE(services[0].backends, 0),
    DAMAGE(services[0].backends, UINT32_MAX),
    DAMAGE(services[0].balance, 2),
    DAMAGE(services[0].retries, PLAN_RETRIES_MAX + 1),
    DAMAGE(services[0].nodelay, 2),
    DAMAGE(services[0].backlog, 0),
    DAMAGE(services[0].backlog, PLAN_BACKLOG_MAX + 1),
    DAMAGE(services[0].mode, 01000),
    DAMAGE(services[0].owner.name, 24),
    DAMAGE(services[0].group.name, 24),
    DAMAGE(listeners[0].service, 1),
    DAMAGE(listeners[0].text, 24),
    DAMAGE(listeners[0].backlog, 0),
    DAMAGE(listeners[0].mode, UINT32_MAX),
    DAMAGE(listeners[0].nodelay, 255),
    DAMAGE(listeners[0].addr.kind, ADDR_NONE),
    DAMAGE(listeners[0].addr.kind, ADDR_PASSED), /* without a name */
    DAMAGE(listeners[0].passed, 4),
    DAMAGE(listeners[1].passed, 2),
    DAMAGE(backends[1].addr.kind, ADDR_PASSED),
    DAMAGE(listeners[0].addr.kind, ADDR_NAME),
    DAMAGE(listeners[0].addr.kind, ADDR_ECHO),
    DAMAGE(listeners[0].addr.kind, 255),
    DAMAGE(listeners[0].addr.kind, ADDR_UNIX), /* with an empty path */
    DAMAGE(backends[1].service, UINT32_MAX),
    DAMAGE(backends[1].name, 0),
    DAMAGE(backends[1].text, 24),
    DAMAGE(backends[1].weight, PLAN_WEIGHT_MAX + 1),
    DAMAGE(backends[1].backup, 2),
    DAMAGE(backends[1].addr.kind, ADDR_NONE),
    DAMAGE(backends[1].addr.kind, ADDR_ANY),
    DAMAGE(backends[1].addr.kind, ADDR_NAME), /* with an empty name */
    DAMAGE(backends[1].addr.kind, ADDR_DISCARD + 1),
    DAMAGE(strings[0], 'x'),
    DAMAGE(strings[23], 'x'),
};

START_TEST(damaged_plan_is_refused)
{
	const char *why;
	struct sample s;

	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		const struct damage *d = &damages[i];

		make_sample(&s);
		/* Little-endian machines only, as the constants are. */
		memcpy((char *)&s + d->offset, &d->value, d->size);
		ck_assert_msg(plan_check(&s.plan, sizeof(s), &why) == -EINVAL,
		    "passed: %s", d->what);
		ck_assert_ptr_nonnull(why);
	}
}
END_TEST

START_TEST(path_without_end_is_refused)
{
	const char *why;
	struct sample s;

	make_sample(&s);
	memset(s.listeners[1].addr.path, 'x', ADDR_PATH_SIZE);
	ck_assert_int_eq(plan_check(&s.plan, sizeof(s), &why), -EINVAL);
	make_sample(&s);
	memset(s.backends[0].addr.path, 'x', ADDR_PATH_SIZE);
	ck_assert_int_eq(plan_check(&s.plan, sizeof(s), &why), -EINVAL);
}
END_TEST

START_TEST(cut_plan_is_refused)
{
	const char *why;
	struct sample s;

	make_sample(&s);
	for (size_t length = 0; length < sizeof(s); length += 4) {
		ck_assert_int_eq(plan_check(&s.plan, length, &why), -EINVAL);
		s.plan.length = (uint32_t)length;
		if (length >= sizeof(s.plan))
			ck_assert_int_eq(plan_check(&s.plan, length, &why),
			    -EINVAL);
		s.plan.length = sizeof(s);
	}
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

/* Under the sanitizers this finds any read that a check doesn't cover. */
START_TEST(random_damage_never_crashes)
{
	const char *why;
	struct sample sound;
	struct sample s;
	size_t passed = 0;
	uint64_t seed = 1;

	make_sample(&sound);
	for (int i = 0; i < 50000; i++) {
		uint32_t value = next_random(&seed);
		size_t word = next_random(&seed) % (sizeof(s) / sizeof(value));

		s = sound;
		if (i % 2 == 0)
			value = UINT32_MAX >> value % 32;
		memcpy((char *)&s + word * sizeof(value), &value,
		    sizeof(value));
		if (plan_check(&s.plan, sizeof(s), &why) < 0)
			continue;
		passed++;
		for (uint32_t b = 0; b < s.plan.backends.count; b++)
			ck_assert_uint_le(strlen(plan_string(&s.plan,
					      plan_backend(&s.plan, b)->name)),
			    sizeof(s.strings));
	}
	ck_assert_uint_gt(passed, 0);
}
END_TEST

START_TEST(map_refuses_what_is_no_plan)
{
	const struct plan *plan;
	struct sample s;
	int fd = memfd_create("test", MFD_CLOEXEC);

	make_sample(&s);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(plan_map(fd, &plan), -EINVAL);
	ck_assert_ptr_null(plan);
	ck_assert_int_eq(write(fd, &s, sizeof(s)), sizeof(s));
	ck_assert_int_eq(plan_map(fd, &plan), 0);
	ck_assert_uint_eq(plan->length, sizeof(s));
	ck_assert_str_eq(plan_string(plan, 1), "name");
	plan_unmap(plan);
	ck_assert_int_eq(ftruncate(fd, sizeof(s) - 1), 0);
	ck_assert_int_eq(plan_map(fd, &plan), -EINVAL);
	ck_assert_int_eq(ftruncate(fd, (off_t)PLAN_LENGTH_MAX + 1), 0);
	ck_assert_int_eq(plan_map(fd, &plan), -EINVAL);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(plan_map(fd, &plan), -EBADF);
	plan_unmap(NULL);
}
END_TEST

UNIT_MAIN("plan", sound_plan_passes, damaged_plan_is_refused,
    path_without_end_is_refused, cut_plan_is_refused,
    random_damage_never_crashes, map_refuses_what_is_no_plan)
