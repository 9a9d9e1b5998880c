/*
 * test_levels - which lines a worker finds worth sending.
 */
#include "server/state/channel.h"
#include "server/worker/levels.h"
#include "tests/unit/plan_kit.h"

static void
begin(void)
{
	plans_compile("");
	kit_memory(&kit);
	kit.w.head->log_level = LEVEL_INFO;
	levels_init(&kit.w);
}

/* The most talkative level that is wanted. */
static int
most(uint32_t service)
{
	int level = LEVEL_DEBUG;

	while (level >= 0 &&
	    !levels_want(&kit.w, service, (enum log_level)level))
		level--;
	return level;
}

START_TEST(a_service_may_say_more_or_less)
{
	begin();
	ck_assert_int_eq(most(KIT_OLD), LEVEL_INFO);
	levels_set(&kit.w, KIT_OLD, LEVEL_DEBUG);
	levels_set(&kit.w, KIT_NEW, LEVEL_ERROR);
	ck_assert_int_eq(most(KIT_OLD), LEVEL_DEBUG);
	ck_assert_int_eq(most(KIT_NEW), LEVEL_ERROR);
	ck_assert_int_eq(most(KIT_PARK), LEVEL_INFO);
	ck_assert_int_eq(most(LEVELS_GENERAL), LEVEL_INFO);
	/* The log itself lets pass what anyone wants. */
	ck_assert(log_wants(LEVEL_DEBUG));
	levels_set(&kit.w, KIT_OLD, LEVEL_WARN);
	ck_assert(!log_wants(LEVEL_DEBUG) && log_wants(LEVEL_INFO));
}
END_TEST

START_TEST(one_for_all_ends_the_single_ones)
{
	begin();
	levels_set(&kit.w, KIT_OLD, LEVEL_DEBUG);
	levels_set(&kit.w, CHANNEL_ALL, LEVEL_WARN);
	ck_assert_int_eq(most(KIT_OLD), LEVEL_WARN);
	ck_assert_int_eq(most(LEVELS_GENERAL), LEVEL_WARN);
	ck_assert(!log_wants(LEVEL_INFO));
	/* A successor begins with it. */
	ck_assert_uint_eq(kit.w.head->log_level, LEVEL_WARN);
}
END_TEST

START_TEST(nonsense_changes_nothing)
{
	begin();
	levels_set(&kit.w, CHANNEL_ALL, LEVEL_DEBUG + 1);
	levels_set(&kit.w, KIT_OLD, UINT32_MAX);
	levels_set(&kit.w, PLAN_SERVICES_MAX, LEVEL_DEBUG);
	levels_set(&kit.w, UINT32_MAX - 1, LEVEL_DEBUG);
	for (uint32_t i = 0; i <= KIT_PARK; i++)
		ck_assert_int_eq(most(i), LEVEL_INFO);
	ck_assert_int_eq(most(LEVELS_GENERAL), LEVEL_INFO);
	ck_assert(!log_wants(LEVEL_DEBUG));
}
END_TEST

/* The row of a service that is forgotten may be another's next. */
static void
follows(void *arg)
{
	int master;

	(void)arg;
	(void)plans_begin(&master);
	levels_set(&kit.w, CHANNEL_ALL, LEVEL_INFO);
	levels_set(&kit.w, KIT_OLD, LEVEL_DEBUG);
	send_plan(2, PLAN_NEITHER);
	commit(2);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(most(KIT_OLD) == LEVEL_DEBUG);
	send_plan(3, PLAN_NEW_ALONE);
	commit(3);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(most(KIT_OLD) == LEVEL_INFO);
	CHILD_CHECK(!log_wants(LEVEL_DEBUG));
}

START_TEST(a_level_goes_with_its_service)
{
	plans_compile("");
	child_passes(follows, NULL);
}
END_TEST

UNIT_MAIN("levels", a_service_may_say_more_or_less,
    one_for_all_ends_the_single_ones, nonsense_changes_nothing,
    a_level_goes_with_its_service)
