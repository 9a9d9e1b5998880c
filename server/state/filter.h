/*
 * filter - which connections are meant: criteria that must all hold.
 *
 * Runs in: master (lists), worker (closes).  Plain data: it travels in
 * messages, so both sides judge a connection by the same function.
 */
#ifndef SRVD_STATE_FILTER_H
#define SRVD_STATE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/slot.h"

enum filter_criterion {
	FILTER_ID = 0x01,
	FILTER_SERVICE = 0x02,
	FILTER_BACKEND = 0x04,
	FILTER_CLIENT = 0x08,
	FILTER_STATE = 0x10,
	FILTER_IDLE = 0x20, /* at least idle_ms since a byte moved */
	FILTER_AGE = 0x40,  /* at least age_ms since it was accepted */
	FILTER_ALL = 0x7f,
};

/* A connection's states as the outside knows them: the .varlink file's words. */
enum filter_state {
	FILTER_DIALING,
	FILTER_RELAYING,
	FILTER_CLOSING, /* resetting, too */
	FILTER_STATES
};

struct filter {
	uint32_t criteria; /* bits of enum filter_criterion; 0: all match */
	uint32_t state;    /* enum filter_state */
	uint64_t id;
	uint32_t service; /* index */
	uint32_t backend; /* index; a connection that has one */
	uint64_t idle_ms;
	uint64_t age_ms;
	uint8_t client_kind; /* ADDR_TCP4, ADDR_TCP6, or ADDR_UNIX: any such */
	uint8_t client_bits; /* length of the network's prefix */
	uint8_t client_ip[16];
};

/*
 * Read an address or a network: "10.0.0.1", "10.0.0.0/8", "2001:db8::/32",
 * "unix".  Bits behind the prefix must be zero.  Returns 0 or -EINVAL.
 */
must_check int filter_set_client(struct filter *filter, const char *text);

/* The state that a slot shows; only for slot_is_connection(). */
enum filter_state filter_state_of(const struct slot *slot);
const char *filter_state_word(enum filter_state state);
/* -EINVAL for other words. */
must_check int filter_state_parse(const char *word);

/* Is slot a connection that all criteria hold for?  now_ms is
 * CLOCK_MONOTONIC. */
bool filter_matches(const struct filter *filter, const struct slot *slot,
    uint64_t now_ms);

#endif
