/*
 * slot - the truth about one connection; see slot.h.
 */
#include <stdlib.h>
#include <string.h>

#include "server/state/slot.h"

#define TO(state) (1u << (state))

/* clang-format off */
static const unsigned conn_next[CONN_STATES] = {
	[CONN_FREE]      = TO(CONN_ACCEPTING) | TO(CONN_ARRIVING),
	[CONN_ACCEPTING] = TO(CONN_FREE) | TO(CONN_DIALING) | TO(CONN_CLOSING),
	[CONN_DIALING]   = TO(CONN_RELAYING) | TO(CONN_CLOSING),
	[CONN_RELAYING]  = TO(CONN_RESETTING) | TO(CONN_CLOSING),
	[CONN_RESETTING] = TO(CONN_CLOSING),
	[CONN_CLOSING]   = TO(CONN_FREE),
	[CONN_ARRIVING]  = TO(CONN_RELAYING) | TO(CONN_RESETTING) | TO(CONN_FREE),
};

static const unsigned flow_next[FLOW_STATES] = {
	[FLOW_OPEN]     = TO(FLOW_DRAINING) | TO(FLOW_SHUT) | TO(FLOW_RESET),
	[FLOW_DRAINING] = TO(FLOW_SHUT) | TO(FLOW_RESET),
	[FLOW_SHUT]     = 0,
	[FLOW_RESET]    = TO(FLOW_SHUT),
};
/* clang-format on */

bool
conn_state_may(enum conn_state from, enum conn_state to)
{
	return (unsigned)from < CONN_STATES && (unsigned)to < CONN_STATES &&
	    (conn_next[from] & TO(to)) != 0;
}

void
slot_set_state(struct slot *slot, enum conn_state to)
{
	if (!conn_state_may(slot->state, to))
		abort();
	slot->state = (uint8_t)to;
}

bool
flow_state_may(enum flow_state from, enum flow_state to)
{
	return (unsigned)from < FLOW_STATES && (unsigned)to < FLOW_STATES &&
	    (flow_next[from] & TO(to)) != 0;
}

void
flow_set_state(struct flow *flow, enum flow_state to)
{
	if (!flow_state_may(flow->state, to))
		abort();
	flow->state = (uint8_t)to;
}

bool
slot_is_connection(const struct slot *slot)
{
	return slot->state > CONN_ACCEPTING && slot->state < CONN_ARRIVING;
}

void
endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *sa,
    socklen_t length)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct addr addr;

	addr_from_sockaddr(&addr, sa, length);
	endpoint->kind = addr.kind;
	endpoint->port = addr.port;
	memcpy(endpoint->ip, addr.ip, sizeof(endpoint->ip));
	/* Over a socket for both families, which only a service manager
	 * makes, IPv4 comes in IPv6's clothes (RFC 4291, 2.5.5.2). */
	if (addr.kind != ADDR_TCP6 ||
	    memcmp(addr.ip, mapped, sizeof(mapped)) != 0)
		return;
	endpoint->kind = ADDR_TCP4;
	memset(endpoint->ip, 0, sizeof(endpoint->ip));
	memcpy(endpoint->ip, addr.ip + sizeof(mapped), 4);
}
