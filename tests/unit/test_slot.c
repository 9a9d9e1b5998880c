/*
 * test_slot - the states of connections and flows, all pairs of them.
 */
#include <string.h>

#include "server/state/reason.h"
#include "server/state/slot.h"
#include "tests/unit/child.h"

#define MAY 1

/* Written from the design, not from slot.c: row from, column to. */
/* clang-format off */
static const int conn_may[CONN_STATES][CONN_STATES] = {
	/*                   free accept. dialing relay. resetting closing arr. */
	[CONN_FREE]      = { 0,   MAY,    0,      0,     0,        0,      MAY },
	[CONN_ACCEPTING] = { MAY, 0,      MAY,    0,     0,        MAY,    0   },
	[CONN_DIALING]   = { 0,   0,      0,      MAY,   0,        MAY,    0   },
	[CONN_RELAYING]  = { 0,   0,      0,      0,     MAY,      MAY,    0   },
	[CONN_RESETTING] = { 0,   0,      0,      0,     0,        MAY,    0   },
	[CONN_CLOSING]   = { MAY, 0,      0,      0,     0,        0,      0   },
	[CONN_ARRIVING]  = { MAY, 0,      0,      MAY,   MAY,      0,      0   },
};

static const int flow_may[FLOW_STATES][FLOW_STATES] = {
	/*                  open draining shut reset */
	[FLOW_OPEN]     = { 0,   MAY,     MAY, MAY },
	[FLOW_DRAINING] = { 0,   0,       MAY, MAY },
	[FLOW_SHUT]     = { 0,   0,       0,   0   },
	[FLOW_RESET]    = { 0,   0,       MAY, 0   },
};
/* clang-format on */

struct pair {
	uint8_t from;
	uint8_t to;
};

static void
change_conn(void *arg)
{
	const struct pair *pair = arg;
	struct slot slot = {.state = pair->from};

	slot_set_state(&slot, (enum conn_state)pair->to);
	CHILD_CHECK(slot.state == pair->to);
}

static void
change_flow(void *arg)
{
	const struct pair *pair = arg;
	struct flow flow = {.state = pair->from};

	flow_set_state(&flow, (enum flow_state)pair->to);
	CHILD_CHECK(flow.state == pair->to);
}

/* Also numbers that are no states, as a damaged slot may have them. */
START_TEST(connections_change_as_the_table_says)
{
	for (int from = 0; from < CONN_STATES + 2; from++) {
		for (int to = 0; to < CONN_STATES + 2; to++) {
			struct pair pair = {(uint8_t)from, (uint8_t)to};
			bool may = from < CONN_STATES && to < CONN_STATES &&
			    conn_may[from][to];

			ck_assert_int_eq(conn_state_may((enum conn_state)from,
					     (enum conn_state)to),
			    may);
			if (may)
				child_passes(change_conn, &pair);
			else
				child_aborts(change_conn, &pair);
		}
	}
	ck_assert(!conn_state_may((enum conn_state)255, CONN_FREE));
	ck_assert(!conn_state_may(CONN_CLOSING, (enum conn_state)255));
}
END_TEST

START_TEST(flows_change_as_the_table_says)
{
	for (int from = 0; from < FLOW_STATES + 2; from++) {
		for (int to = 0; to < FLOW_STATES + 2; to++) {
			struct pair pair = {(uint8_t)from, (uint8_t)to};
			bool may = from < FLOW_STATES && to < FLOW_STATES &&
			    flow_may[from][to];

			ck_assert_int_eq(flow_state_may((enum flow_state)from,
					     (enum flow_state)to),
			    may);
			if (may)
				child_passes(change_flow, &pair);
			else
				child_aborts(change_flow, &pair);
		}
	}
	ck_assert(!flow_state_may((enum flow_state)255, FLOW_SHUT));
}
END_TEST

START_TEST(some_slots_are_connections)
{
	struct slot slot = {0};

	for (unsigned state = 0; state < 256; state++) {
		slot.state = (uint8_t)state;
		ck_assert_int_eq(slot_is_connection(&slot),
		    state == CONN_DIALING || state == CONN_RELAYING ||
			state == CONN_RESETTING || state == CONN_CLOSING);
	}
}
END_TEST

START_TEST(reasons_have_words_of_their_own)
{
	for (uint32_t i = 0; i < REASON_COUNT; i++) {
		ck_assert_uint_gt(strlen(reason_word(i)), 0);
		for (uint32_t k = 0; k < i; k++)
			ck_assert_str_ne(reason_word(i), reason_word(k));
	}
	ck_assert_str_eq(reason_word(REASON_DONE), "done");
	ck_assert_str_eq(reason_word(REASON_RESET), "reset");
	ck_assert_str_eq(reason_word(REASON_COUNT), "none");
	ck_assert_str_eq(reason_word(UINT32_MAX), "none");
}
END_TEST

START_TEST(endpoints_are_addresses_for_people)
{
	struct sockaddr_storage ss;
	struct endpoint endpoint;
	struct addr addr;
	char why[256];
	int length;

	ck_assert_int_eq(addr_parse("[2001:db8::7]:4711", ADDR_FOR_BACKEND,
			     &addr, why, sizeof(why)),
	    0);
	length = addr_to_sockaddr(&addr, &ss);
	memset(&endpoint, 0xff, sizeof(endpoint));
	endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&ss,
	    (socklen_t)length);
	ck_assert_int_eq(endpoint.kind, ADDR_TCP6);
	ck_assert_int_eq(endpoint.port, 4711);
	ck_assert_mem_eq(endpoint.ip, addr.ip, sizeof(addr.ip));

	/* A Unix-domain peer without a name, and one that tells nothing. */
	ss.ss_family = AF_UNIX;
	endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&ss,
	    sizeof(ss.ss_family));
	ck_assert_int_eq(endpoint.kind, ADDR_UNIX);
	endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&ss, 0);
	ck_assert_int_eq(endpoint.kind, ADDR_NONE);
}
END_TEST

UNIT_MAIN("slot", connections_change_as_the_table_says,
    flows_change_as_the_table_says, some_slots_are_connections,
    reasons_have_words_of_their_own, endpoints_are_addresses_for_people)
