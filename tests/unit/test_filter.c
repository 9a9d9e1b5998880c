/*
 * test_filter - which connections are meant.
 */
#include <errno.h>
#include <string.h>

#include "server/state/filter.h"
#include "tests/unit/unit.h"

#define NOW_MS 1000000u

static struct slot slot;
static struct filter filter;

static void
begin(void)
{
	memset(&filter, 0, sizeof(filter));
	memset(&slot, 0, sizeof(slot));
	slot.id = 42;
	slot.state = CONN_RELAYING;
	slot.service = 3;
	slot.backend = 7;
	slot.has_backend = 1;
	slot.started_us = (NOW_MS - 60000) * UINT64_C(1000);
	slot.active_ms = NOW_MS - 5000;
	slot.client.kind = ADDR_TCP4;
	memcpy(slot.client.ip, (const uint8_t[]){10, 1, 2, 3}, 4);
}

static bool
matches(void)
{
	return filter_matches(&filter, &slot, NOW_MS);
}

START_TEST(nothing_asked_is_all)
{
	begin();
	for (int state = 0; state < CONN_STATES; state++) {
		slot.state = (uint8_t)state;
		ck_assert_int_eq(matches(),
		    state != CONN_FREE && state != CONN_ACCEPTING &&
			state != CONN_ARRIVING);
	}
	slot.state = 255;
	ck_assert(!matches());
}
END_TEST

/* Each of these is true of the slot; with off added it isn't. */
START_TEST(each_criterion_must_hold)
{
	uint64_t off = (uint64_t)_i;

	begin();
	filter = (struct filter){
	    .criteria = FILTER_ALL & ~(unsigned)FILTER_CLIENT,
	    .id = 42,
	    .service = 3,
	    .backend = 7,
	    .state = FILTER_RELAYING,
	    .idle_ms = 5000,
	    .age_ms = 60000,
	};
	ck_assert(matches());
	filter.id += off == 1;
	filter.service += off == 2;
	filter.backend += off == 3;
	filter.state += off == 4;
	filter.idle_ms += off == 5;
	filter.age_ms += off == 6;
	slot.has_backend = off != 7;
	ck_assert_int_eq(matches(), off == 0);
}
END_TEST

/* A clock that a slot was written by may be ahead by a tick. */
START_TEST(the_future_is_no_age)
{
	begin();
	filter.criteria = FILTER_IDLE;
	filter.idle_ms = 0;
	slot.active_ms = NOW_MS;
	ck_assert(matches());
	slot.active_ms = NOW_MS + 1;
	ck_assert(!matches());
}
END_TEST

START_TEST(states_have_their_words)
{
	static const struct {
		enum conn_state state;
		const char *word;
	} cases[] = {{CONN_DIALING, "dialing"}, {CONN_RELAYING, "relaying"},
	    {CONN_RESETTING, "closing"}, {CONN_CLOSING, "closing"}};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int state = filter_state_parse(cases[i].word);

		slot.state = (uint8_t)cases[i].state;
		ck_assert_int_ge(state, 0);
		ck_assert_int_eq(filter_state_of(&slot), state);
		ck_assert_str_eq(filter_state_word((enum filter_state)state),
		    cases[i].word);
	}
	ck_assert_int_eq(filter_state_parse("accepting"), -EINVAL);
	ck_assert_int_eq(filter_state_parse(""), -EINVAL);
}
END_TEST

struct net {
	const char *text;
	bool is_good;
	bool has_client; /* 10.1.2.3 */
};

static const struct net nets[] = {
    {"10.1.2.3", true, true},
    {"10.1.2.3/32", true, true},
    {"10.1.2.2/31", true, true},
    {"10.1.2.2", true, false},
    {"10.0.0.0/8", true, true},
    {"10.0.0.0/15", true, true},
    {"10.0.0.0/16", true, false},
    {"0.0.0.0/0", true, true},
    {"11.0.0.0/8", true, false},
    {"::/0", true, false},
    {"::ffff:10.1.2.3", true, false},
    {"unix", true, false},
    {"10.1.2.3/8", false, false},
    {"10.0.0.0/33", false, false},
    {"10.0.0.0/", false, false},
    {"10.0.0.0/ 8", false, false},
    {"10.0.0.0/-1", false, false},
    {"10.0.0.0/8x", false, false},
    {"10.0.0.0/99999999999999999999", false, false},
    {"10.0.0", false, false},
    {"", false, false},
    {"/8", false, false},
    {"unix/8", false, false},
    {"2001:db8::/129", false, false},
    {"2001:db8::1/64", false, false},
    {"name", false, false},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222", false,
	false},
};

START_TEST(networks_are_read_and_compared)
{
	const struct net *net = &nets[_i];
	int rc;

	begin();
	rc = filter_set_client(&filter, net->text);
	ck_assert_msg((rc == 0) == net->is_good, "\"%s\": %d", net->text, rc);
	if (rc != 0) {
		ck_assert_int_eq(rc, -EINVAL);
		ck_assert_uint_eq(filter.criteria, 0);
		return;
	}
	ck_assert_uint_eq(filter.criteria, FILTER_CLIENT);
	ck_assert_msg(matches() == net->has_client, "\"%s\"", net->text);
}
END_TEST

START_TEST(ipv6_networks_too)
{
	begin();
	slot.client.kind = ADDR_TCP6;
	memset(slot.client.ip, 0, sizeof(slot.client.ip));
	memcpy(slot.client.ip, (const uint8_t[]){0x20, 1, 0xd, 0xb8, 0x80}, 5);
	ck_assert_int_eq(filter_set_client(&filter, "2001:db8::/32"), 0);
	ck_assert(matches());
	ck_assert_int_eq(filter_set_client(&filter, "2001:db8::/33"), 0);
	ck_assert(!matches());
	ck_assert_int_eq(filter_set_client(&filter, "2001:db8:8000::"), 0);
	ck_assert(matches());
	ck_assert_int_eq(filter_set_client(&filter, "2001:db8:8000::1"), 0);
	ck_assert(!matches());
	ck_assert_int_eq(filter_set_client(&filter, "10.0.0.0/0"), -EINVAL);
	slot.client.kind = ADDR_UNIX;
	ck_assert_int_eq(filter_set_client(&filter, "unix"), 0);
	ck_assert(matches());
}
END_TEST

/* It comes in a message: a length out of range reads nothing outside. */
START_TEST(a_prefix_out_of_range_matches_nothing)
{
	begin();
	filter.criteria = FILTER_CLIENT;
	filter.client_kind = ADDR_TCP4;
	memset(slot.client.ip, 0, sizeof(slot.client.ip));
	for (unsigned bits = 0; bits < 256; bits++) {
		filter.client_bits = (uint8_t)bits;
		ck_assert_int_eq(matches(), bits < 136);
	}
}
END_TEST

int
main(void)
{
	const TTest *const once[] = {nothing_asked_is_all, the_future_is_no_age,
	    states_have_their_words, ipv6_networks_too,
	    a_prefix_out_of_range_matches_nothing};
	TCase *tcase = tcase_create("filter");
	Suite *suite = suite_create("filter");
	SRunner *runner = srunner_create(suite);
	int failed;

	for (size_t i = 0; i < ARRAY_LEN(once); i++)
		tcase_add_test(tcase, once[i]);
	tcase_add_loop_test(tcase, each_criterion_must_hold, 0, 8);
	tcase_add_loop_test(tcase, networks_are_read_and_compared, 0,
	    ARRAY_LEN(nets));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
