/*
 * test_pick - which backend a connection is given.
 */
#include "tests/unit/body_kit.h"

static struct kit kit;
static struct slot slot;

static void
begin_turns(void)
{
	free(kit.w.turns);
	kit.w.turns = NULL;
	kit.w.turns = pick_turns(&kit.w, kit.w.plan);
	ck_assert_ptr_nonnull(kit.w.turns);
}

static void
begin(const char *backends, const char *balance)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
	    "user = nobody\nworkers = 2\nmax_connections = 16\n"
	    "service other { listen = 127.0.0.1:1 "
	    "backend x { address = builtin:echo } }\n"
	    "service s {\nlisten = 127.0.0.1:2\nbalance = %s\n%s}\n",
	    balance, backends);
	kit_compile(&kit, text);
	kit_memory(&kit);
	begin_turns();
	memset(&slot, 0, sizeof(slot));
	slot.service = 1;
}

#define BACKEND(name, options) \
	"backend " name " {\naddress = builtin:echo\n" options "\n}\n"

/* The first letter of the name of who is picked, '-' for nobody. */
static char
pick(void)
{
	uint32_t backend = UINT32_MAX;

	if (!pick_backend(&kit.w, &slot, &backend))
		return '-';
	ck_assert_uint_lt(backend, kit.w.plan->backends.count);
	ck_assert_uint_eq(plan_backend(kit.w.plan, backend)->service, 1);
	return plan_string(kit.w.plan,
	    plan_backend(kit.w.plan, backend)->name)[0];
}

/* The same, and dialed in vain. */
static char
try(void)
{
	uint32_t backend = UINT32_MAX;

	if (!pick_backend(&kit.w, &slot, &backend))
		return '-';
	slot.tried[slot.tried_count++] = (uint16_t)backend;
	return plan_string(kit.w.plan,
	    plan_backend(kit.w.plan, backend)->name)[0];
}

static const char *
picks(size_t count)
{
	static char letters[128];

	ck_assert_uint_lt(count, sizeof(letters));
	for (size_t i = 0; i < count; i++)
		letters[i] = pick();
	letters[count] = '\0';
	return letters;
}

START_TEST(roundrobin_is_smooth)
{
	begin(BACKEND("a", "weight = 5") BACKEND("b", "") BACKEND("c", ""),
	    "roundrobin");
	/* Without the head start that each worker gives another backend. */
	memset(kit.w.turns, 0, 4 * sizeof(*kit.w.turns));
	ck_assert_str_eq(picks(21),
	    "aabacaa"
	    "aabacaa"
	    "aabacaa");
}
END_TEST

START_TEST(workers_begin_at_different_places)
{
	begin(BACKEND("a", "") BACKEND("b", "") BACKEND("c", ""), "roundrobin");
	for (uint32_t index = 0; index < 6; index++) {
		kit.w.head->seat = index;
		begin_turns();
		ck_assert_int_eq(pick(), "abc"[index % 3]);
	}
}
END_TEST

START_TEST(roundrobin_keeps_the_weights)
{
	unsigned seen[3] = {0};

	begin(BACKEND("a", "weight = 256") BACKEND("b", "weight = 3")
		  BACKEND("c", "weight = 1"),
	    "roundrobin");
	for (int i = 0; i < 2600; i++)
		seen[pick() - 'a']++;
	ck_assert_uint_eq(seen[0], 2560);
	ck_assert_uint_eq(seen[1], 30);
	ck_assert_uint_eq(seen[2], 10);
}
END_TEST

static void
set_live(struct board_row *row, char name, uint32_t live)
{
	const struct plan_service *service = plan_service(kit.w.plan, 1);

	atomic_store(&row->backends[service->first_backend +
			     (uint32_t)(name - 'a')]
			  .connections,
	    live);
}

START_TEST(leastconn_counts_all_workers_by_weight)
{
	struct board_row *second;

	begin(BACKEND("a", "") BACKEND("b", "weight = 2") BACKEND("c", ""),
	    "leastconn");
	second = board_map_row(kit.board_fd, 1);
	ck_assert_ptr_nonnull(second);
	board_set_live(kit.board_head, 1, true);
	set_live(kit.w.row, 'a', 3);
	set_live(kit.w.row, 'b', 3);
	set_live(kit.w.row, 'c', 0);
	set_live(second, 'a', 0);
	set_live(second, 'b', 3);
	set_live(second, 'c', 4);
	/* 4/1, 7/2, 5/1 with the new one. */
	ck_assert_str_eq(picks(6), "bbbbbb");
	set_live(second, 'b', 6);
	ck_assert_str_eq(picks(6), "aaaaaa");
	set_live(second, 'a', 9);
	set_live(second, 'b', 8);
	ck_assert_str_eq(picks(3), "ccc");
	/* A row that lies counts nothing: 4/1, 4/2, 1/1. */
	set_live(second, 'a', UINT32_MAX);
	set_live(second, 'b', UINT32_MAX);
	set_live(second, 'c', UINT32_MAX);
	ck_assert_int_eq(pick(), 'c');
}
END_TEST

START_TEST(leastconn_takes_turns_among_equals)
{
	unsigned seen[3] = {0};

	begin(BACKEND("a", "") BACKEND("b", "") BACKEND("c", ""), "leastconn");
	for (int i = 0; i < 30; i++)
		seen[pick() - 'a']++;
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(seen[i], 10);
}
END_TEST

static const char *const balances[] = {"roundrobin", "leastconn"};

START_TEST(backups_come_last)
{
	begin(BACKEND("a", "backup = true") BACKEND("b", "") BACKEND("c",
		  "backup = true") BACKEND("d", "") "retries = 7\n",
	    balances[_i]);
	for (int i = 0; i < 20; i++) {
		char letter = pick();

		ck_assert(letter == 'b' || letter == 'd');
	}
	for (int i = 0; i < 4; i++) {
		char letter = try();

		ck_assert(i < 2 ? letter == 'b' || letter == 'd'
				: letter == 'a' || letter == 'c');
	}
	ck_assert_int_eq(pick(), '-');
}
END_TEST

START_TEST(nobody_is_tried_twice)
{
	begin(BACKEND("a", "weight = 200") BACKEND("b", "")
		  BACKEND("c", "") "retries = 7\n",
	    balances[_i]);
	for (int round = 0; round < 10; round++) {
		char letters[3];

		slot.tried_count = 0;
		for (int i = 0; i < 3; i++)
			letters[i] = try();
		ck_assert_int_eq(try(), '-');
		ck_assert_int_eq(letters[0] + letters[1] + letters[2],
		    'a' + 'b' + 'c');
		ck_assert_int_ne(letters[0], letters[1]);
		ck_assert_int_ne(letters[1], letters[2]);
		ck_assert_int_ne(letters[0], letters[2]);
	}
}
END_TEST

START_TEST(weight_0_takes_nothing)
{
	begin(BACKEND("a", "weight = 0") BACKEND("b", "")
		  BACKEND("c", "weight = 0\nbackup = true"),
	    balances[_i]);
	ck_assert_str_eq(picks(10), "bbbbbbbbbb");
	ck_assert_int_eq(try(), 'b');
	ck_assert_int_eq(pick(), '-');
}
END_TEST

START_TEST(retries_are_bounded)
{
	begin(BACKEND("a", "") BACKEND("b", "") BACKEND("c", "")
		  BACKEND("d", "") "retries = 2\n",
	    balances[_i]);
	for (int i = 0; i < 3; i++)
		ck_assert_int_ne(try(), '-');
	ck_assert_int_eq(pick(), '-');
	/* A damaged count, and one at the end of the slot's room. */
	for (unsigned count = 3; count < 256; count++) {
		slot.tried_count = (uint8_t)count;
		ck_assert_int_eq(pick(), '-');
	}
}
END_TEST

int
main(void)
{
	const TTest *const once[] = {roundrobin_is_smooth,
	    workers_begin_at_different_places, roundrobin_keeps_the_weights,
	    leastconn_counts_all_workers_by_weight,
	    leastconn_takes_turns_among_equals};
	const TTest *const each[] = {backups_come_last, nobody_is_tried_twice,
	    weight_0_takes_nothing, retries_are_bounded};
	TCase *tcase = tcase_create("pick");
	Suite *suite = suite_create("pick");
	SRunner *runner = srunner_create(suite);
	int failed;

	for (size_t i = 0; i < ARRAY_LEN(once); i++)
		tcase_add_test(tcase, once[i]);
	for (size_t i = 0; i < ARRAY_LEN(each); i++)
		tcase_add_loop_test(tcase, each[i], 0, ARRAY_LEN(balances));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
