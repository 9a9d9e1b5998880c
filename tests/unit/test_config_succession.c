/*
 * test_config_succession - which rows names have after a reload: the cases
 * worth a name.
 */
#include "tests/unit/config_rows.h"

static struct config_result
reload(const char *text, const struct plan *previous)
{
	struct config_result result;

	write_text("r.conf", text);
	result = previous == NULL ? load("r.conf", true)
				  : load_after("r.conf", previous);
	show_errors(&result);
	return result;
}

/* A copy of a plan in which nothing is configured any more. */
static struct plan *
remove_all(const struct plan *plan)
{
	struct plan *copy = malloc(plan->length);
	const char *why;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, plan, plan->length);
	for (uint32_t i = 0; i < copy->services.count; i++) {
		struct plan_service *row =
		    (struct plan_service *)plan_service(copy, i);

		row->state = ROW_REMOVED;
		row->first_listener = PLAN_END;
		row->first_backend = PLAN_END;
		row->listeners = 0;
		row->backends = 0;
	}
	for (uint32_t i = 0; i < copy->backends.count; i++)
		((struct plan_backend *)plan_backend(copy, i))->state =
		    ROW_REMOVED;
	memset((char *)copy + copy->listeners.offset, 0,
	    copy->listeners.count * sizeof(struct plan_listener));
	ck_assert_int_eq(plan_check(copy, copy->length, &why), 0);
	return copy;
}

#define ONE(name, port)                               \
	"service " name " { listen = 127.0.0.1:" port \
	" backend x { address = builtin:echo } "      \
	"backend y { address = builtin:discard } }\n"

START_TEST(plan_of_removed_rows_alone_is_followed)
{
	struct config_result first;
	struct config_result next;
	struct plan *gone;
	const char *why;

	make_directory();
	first = reload("user = root\n" ONE("a", "1") ONE("b", "2"), NULL);
	gone = remove_all(first.plan);
	next = reload("user = root\n" ONE("c", "2") ONE("b", "3"), gone);
	ck_assert_ptr_nonnull(next.plan);
	ck_assert_int_eq(plan_check_succession(gone, next.plan, &why), 0);
	ck_assert_uint_eq(find_service(next.plan, "a"), PLAN_END);
	ck_assert_uint_eq(find_service(next.plan, "b"), 1);
	/* Not the row of a, which nobody uses: it was not empty before. */
	ck_assert_uint_eq(plan_service(next.plan, 0)->state, ROW_EMPTY);
	ck_assert_uint_eq(find_service(next.plan, "c"), 2);
	ck_assert_uint_eq(find_backend(next.plan, 1, "y"), 3);
	ck_assert_uint_eq(find_backend(next.plan, 2, "x"), 4);
	ck_assert_uint_eq(next.plan->listeners.count, 2);
	free(gone);
	config_result_release(&first);
	config_result_release(&next);
}
END_TEST

/* A connection to a removed backend of a removed service. */
START_TEST(backend_in_use_keeps_its_service)
{
	struct config_result first;
	struct config_result next;
	struct plan *gone;
	const struct use use = {.backends = 1};
	struct config_request request = {
	    .check_only = true,
	    .generation = 2,
	    .backend_in_use = uses_backend,
	    .in_use_arg = &use,
	};

	make_directory();
	first = reload("user = root\n" ONE("a", "1"), NULL);
	gone = remove_all(first.plan);
	write_text("r.conf", "user = root\n" ONE("b", "1"));
	request.path = path_of("r.conf");
	request.previous = gone;
	next = load_request(&request);
	ck_assert_ptr_nonnull(next.plan);
	ck_assert_uint_eq(plan_service(next.plan, 0)->state, ROW_REMOVED);
	ck_assert_str_eq(plan_string(next.plan,
			     plan_service(next.plan, 0)->name),
	    "a");
	ck_assert_uint_eq(plan_backend(next.plan, 0)->state, ROW_REMOVED);
	ck_assert_uint_eq(plan_backend(next.plan, 1)->state, ROW_EMPTY);
	free(gone);
	config_result_release(&first);
	config_result_release(&next);
}
END_TEST

#define LISTEN(name, list)                   \
	"service " name " { listen = {" list \
	"} backend x { address = builtin:echo } }\n"

static void
check_listener(const struct plan *plan, uint32_t i, const char *service,
    uint64_t born)
{
	const struct plan_listener *row = plan_listener(plan, i);

	if (service == NULL) {
		ck_assert_uint_eq(row->state, ROW_EMPTY);
		return;
	}
	ck_assert_uint_eq(row->state, ROW_ACTIVE);
	ck_assert_str_eq(plan_string(plan,
			     plan_service(plan, row->service)->name),
	    service);
	ck_assert_uint_eq(row->born, born);
}

START_TEST(listeners_are_known_by_their_addresses)
{
	struct config_result a;
	struct config_result b;
	struct config_result c;

	make_directory();
	a = reload("user = root\n" LISTEN("s", "127.0.0.1:0, 127.0.0.1:80")
		       LISTEN("t", "127.0.0.1:0, 127.0.0.1:0, '*:81'"),
	    NULL);
	/* Rows 0, 1 of s, 2 to 4 of t.  t's first port 0 stays t's; s gets the
	 * other one of t's, beside its own; 80 moves, in another writing. */
	b = reload("user = root\n" LISTEN("s", "127.0.0.1:0, 127.0.0.1:0")
		       LISTEN("t", "127.0.0.1:http, 127.0.0.1:0, [::]:81"),
	    a.plan);
	ck_assert_ptr_nonnull(b.plan);
	check_listener(b.plan, 0, "s", 1);
	check_listener(b.plan, 1, "t", 1);
	ck_assert_str_eq(plan_string(b.plan, plan_listener(b.plan, 1)->text),
	    "127.0.0.1:http");
	check_listener(b.plan, 2, "t", 1);
	check_listener(b.plan, 3, "s", 1);
	check_listener(b.plan, 4, NULL, 0);
	/* Not row 4, whose sockets are only being closed. */
	check_listener(b.plan, 5, "t", 2);
	c = reload("user = root\n" LISTEN("s", "127.0.0.1:1, 127.0.0.1:2"),
	    b.plan);
	ck_assert_ptr_nonnull(c.plan);
	for (uint32_t i = 0; i < 4; i++)
		check_listener(c.plan, i, NULL, 0);
	check_listener(c.plan, 4, "s", 3);
	check_listener(c.plan, 5, NULL, 0);
	check_listener(c.plan, 6, "s", 3);
	config_result_release(&a);
	config_result_release(&b);
	config_result_release(&c);
}
END_TEST

/* As many services as there can be, numbered from first on. */
static void
write_many(uint32_t first, uint32_t count)
{
	FILE *file = fopen(path_of("r.conf"), "we");

	ck_assert_ptr_nonnull(file);
	(void)fputs("user = root\n", file);
	for (uint32_t i = first; i < first + count; i++)
		(void)fprintf(file,
		    "service s%u { listen = unix:@%u\n"
		    "backend b { address = builtin:echo } }\n",
		    i, i);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(full_tables_are_told_and_empty_in_time)
{
	struct config_change *changes;
	struct config_result plans[4];
	struct config_result refused;
	size_t count;

	make_directory();
	write_many(0, PLAN_SERVICES_MAX);
	plans[0] = load("r.conf", true);
	ck_assert_ptr_nonnull(plans[0].plan);
	write_many(1, PLAN_SERVICES_MAX);
	refused = load_after("r.conf", plans[0].plan);
	ck_assert_uint_eq(refused.errors_count, 1);
	ck_assert(has_error(&refused, "r.conf", 2 * PLAN_SERVICES_MAX,
	    "no room for this service yet: there can be 4096, and 1 places"));
	config_result_release(&refused);
	/* Without the new one; and once more, which frees the row. */
	write_many(1, PLAN_SERVICES_MAX - 1);
	plans[1] = load_after("r.conf", plans[0].plan);
	plans[2] = load_after("r.conf", plans[1].plan);
	ck_assert_ptr_nonnull(plans[2].plan);
	ck_assert(!config_frees_rows(plans[0].plan, plans[1].plan));
	ck_assert(config_frees_rows(plans[1].plan, plans[2].plan));
	ck_assert_int_eq(config_diff(plans[1].plan, plans[2].plan, &changes,
			     &count),
	    0);
	ck_assert_uint_eq(count, 0);
	free(changes);
	write_many(1, PLAN_SERVICES_MAX);
	refused = load_after("r.conf", plans[1].plan);
	ck_assert_uint_eq(refused.errors_count, 1);
	config_result_release(&refused);
	plans[3] = load_after("r.conf", plans[2].plan);
	ck_assert_ptr_nonnull(plans[3].plan);
	ck_assert_uint_eq(find_service(plans[3].plan, "s4096"), 0);
	for (size_t i = 0; i < ARRAY_LEN(plans); i++)
		config_result_release(&plans[i]);
}
END_TEST

/* One service with as much as there can be, numbered from first on. */
static void
write_wide(uint32_t first, uint32_t listeners, uint32_t backends)
{
	FILE *file = fopen(path_of("r.conf"), "we");

	ck_assert_ptr_nonnull(file);
	(void)fputs("user = root\nservice s { listen = {\n", file);
	for (uint32_t i = first; i < first + listeners; i++)
		(void)fprintf(file, "unix:@%u,\n", i);
	(void)fputs("}\n", file);
	for (uint32_t i = first; i < first + backends; i++)
		(void)fprintf(file, "backend b%u { address = builtin:echo }\n",
		    i);
	(void)fputs("}\n", file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(full_lists_are_told)
{
	struct config_result full;
	struct config_result next;

	make_directory();
	write_wide(0, PLAN_LISTENERS_MAX, 1);
	full = load_good("r.conf", true);
	write_wide(2, PLAN_LISTENERS_MAX, 1);
	next = load_after("r.conf", full.plan);
	ck_assert_uint_eq(next.errors_count, 1);
	ck_assert(has_error(&next, "r.conf", PLAN_LISTENERS_MAX + 1,
	    "no room for this address yet: there can be 4096, and 2 places"));
	config_result_release(&next);
	config_result_release(&full);
	write_wide(0, 1, PLAN_BACKENDS_MAX);
	full = load_good("r.conf", true);
	write_wide(3, 1, PLAN_BACKENDS_MAX);
	next = load_after("r.conf", full.plan);
	ck_assert_uint_eq(next.errors_count, 1);
	ck_assert(has_error(&next, "r.conf", PLAN_BACKENDS_MAX + 2,
	    "no room for this backend yet: there can be 16384, and 3 places"));
	config_result_release(&next);
	config_result_release(&full);
}
END_TEST

START_TEST(removed_rows_are_not_printed)
{
	struct config_result a;
	struct config_result b;
	char text[4096] = "";
	FILE *out;

	make_directory();
	a = reload("user = root\n" ONE("a", "1") ONE("b", "2"), NULL);
	b = reload("user = root\nservice b { listen = 127.0.0.1:2\n"
		   "backend y { address = builtin:echo } }\n",
	    a.plan);
	ck_assert_ptr_nonnull(b.plan);
	ck_assert_uint_eq(plan_service(b.plan, 0)->state, ROW_REMOVED);
	out = fmemopen(text, sizeof(text), "w");
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(config_print(b.plan, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_ptr_nonnull(strstr(text, "service b {"));
	ck_assert_ptr_nonnull(strstr(text, "backend y {"));
	ck_assert_ptr_null(strstr(text, "service a {"));
	ck_assert_ptr_null(strstr(text, "backend x {"));
	config_result_release(&a);
	config_result_release(&b);
}
END_TEST

UNIT_MAIN("config_succession", plan_of_removed_rows_alone_is_followed,
    backend_in_use_keeps_its_service, listeners_are_known_by_their_addresses,
    full_tables_are_told_and_empty_in_time, full_lists_are_told,
    removed_rows_are_not_printed)
