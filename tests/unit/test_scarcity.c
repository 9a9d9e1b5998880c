/*
 * test_scarcity - what a worker is short of is told once, and stands on the
 * board until it is over.
 */
#include <errno.h>

#include "server/worker/levels.h"
#include "server/worker/scarcity.h"
#include "tests/unit/plan_kit.h"

#define OVER_MS UINT64_C(5000) /* as in scarcity.c */

static void
begin(void)
{
	plans_compile("");
	kit_memory(&kit);
	kit_lines = 0;
}

static uint32_t
shown(void)
{
	return atomic_load(&kit.w.row->shortages);
}

static void
pass(uint64_t ms)
{
	kit.w.now_ms += ms;
	scarcity_check(&kit.w);
}

START_TEST(a_shortage_is_told_once)
{
	begin();
	for (int i = 0; i < 50; i++) {
		scarcity_met(&kit.w, i % 2 == 0 ? EMFILE : ENFILE);
		ck_assert_uint_eq(shown(), 1u << SHORT_DESCRIPTORS);
		pass(OVER_MS / 2);
	}
	ck_assert_uint_eq(kit_lines, 1);
	ck_assert_ptr_nonnull(strstr(kit_line, "LimitNOFILE"));
	pass(OVER_MS / 2);
	ck_assert_uint_eq(shown(), 0);
	scarcity_met(&kit.w, EMFILE);
	ck_assert_uint_eq(kit_lines, 2);
}
END_TEST

START_TEST(each_is_told_for_itself)
{
	begin();
	scarcity_met(&kit.w, EMFILE);
	scarcity_met(&kit.w, ENOMEM);
	scarcity_met(&kit.w, ENOBUFS);
	scarcity_met_pipes(&kit.w);
	ck_assert_uint_eq(kit_lines, 3);
	ck_assert_uint_eq(shown(),
	    1u << SHORT_DESCRIPTORS | 1u << SHORT_MEMORY | 1u << SHORT_PIPES);
	pass(OVER_MS - 1);
	scarcity_met(&kit.w, ENOSPC);
	pass(1);
	ck_assert_uint_eq(shown(), 1u << SHORT_MEMORY);
	ck_assert(scarcity_has(&kit.w, SHORT_MEMORY));
	ck_assert_uint_eq(kit_lines, 3);
}
END_TEST

/* Who waits for a pipe is not heard of meanwhile. */
START_TEST(pipes_are_short_while_somebody_waits)
{
	begin();
	scarcity_met_pipes(&kit.w);
	kit.w.starved.count = 1;
	pass(2 * OVER_MS);
	ck_assert_uint_eq(shown(), 1u << SHORT_PIPES);
	kit.w.starved.count = 0;
	pass(OVER_MS);
	ck_assert_uint_eq(shown(), 0);
}
END_TEST

START_TEST(each_limit_is_told_once)
{
	begin();
	for (int i = 0; i < 10; i++) {
		scarcity_met_limit(&kit.w, KIT_OLD);
		pass(OVER_MS / 2);
		scarcity_met_limit(&kit.w, KIT_NEW);
		scarcity_met_limit(&kit.w, LEVELS_GENERAL);
	}
	ck_assert_uint_eq(kit_lines, 3);
	ck_assert_uint_eq(shown(), 1u << SHORT_CONNECTIONS);
	/* The others' go on: only this one begins anew. */
	pass(OVER_MS / 2);
	scarcity_met_limit(&kit.w, KIT_NEW);
	pass(OVER_MS / 2);
	scarcity_met_limit(&kit.w, KIT_OLD);
	scarcity_met_limit(&kit.w, KIT_NEW);
	ck_assert_uint_eq(kit_lines, 4);
}
END_TEST

/* A successor takes over what the board says, and nothing else that may stand
 * there. */
START_TEST(a_death_ends_no_shortage)
{
	begin();
	scarcity_met(&kit.w, EMFILE);
	atomic_fetch_or(&kit.w.row->shortages, 1u << SHORTAGES | 1u << 31);
	kit.w.shortages = 0;
	kit.w.now_ms += OVER_MS;
	scarcity_recover(&kit.w);
	scarcity_met(&kit.w, EMFILE);
	ck_assert_uint_eq(kit_lines, 1);
	ck_assert_uint_eq(kit.w.shortages, 1u << SHORT_DESCRIPTORS);
	pass(OVER_MS);
	ck_assert_uint_eq(shown(), 0);
}
END_TEST

START_TEST(words_are_found_again)
{
	for (unsigned i = 0; i < SHORTAGES; i++)
		ck_assert_uint_eq(shortage_find(shortage_word((enum shortage)
					  i)),
		    i);
	ck_assert_uint_eq(shortage_find(""), SHORTAGES);
	ck_assert_uint_eq(shortage_find("later"), SHORTAGES);
}
END_TEST

UNIT_MAIN("scarcity", a_shortage_is_told_once, each_is_told_for_itself,
    pipes_are_short_while_somebody_waits, each_limit_is_told_once,
    a_death_ends_no_shortage, words_are_found_again)
