/*
 * filter - which connections are meant; see filter.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/state/filter.h"

static const char *const words[FILTER_STATES] = {
    [FILTER_DIALING] = "dialing",
    [FILTER_RELAYING] = "relaying",
    [FILTER_CLOSING] = "closing",
};

/* Is bit n and all behind it zero in an address of length bytes? */
static bool
is_zero_from(const uint8_t *ip, uint32_t n, uint32_t length)
{
	for (uint32_t i = n; i < 8 * length; i++) {
		if ((ip[i / 8] & 0x80 >> i % 8) != 0)
			return false;
	}
	return true;
}

static int
parse_bits(const char *text, uint32_t most, uint8_t *bits)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || errno != 0 || value > most)
		return -EINVAL;
	*bits = (uint8_t)value;
	return 0;
}

int
filter_set_client(struct filter *filter, const char *text)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
	uint32_t bytes;

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	memset(filter->client_ip, 0, sizeof(filter->client_ip));
	if (strcmp(text, "unix") == 0)
		filter->client_kind = ADDR_UNIX;
	else if (inet_pton(AF_INET, host, filter->client_ip) == 1)
		filter->client_kind = ADDR_TCP4;
	else if (inet_pton(AF_INET6, host, filter->client_ip) == 1)
		filter->client_kind = ADDR_TCP6;
	else
		return -EINVAL;
	bytes = filter->client_kind == ADDR_TCP4 ? 4 : 16;
	filter->client_bits = (uint8_t)(8 * bytes);
	if (slash != NULL &&
	    (parse_bits(slash + 1, 8 * bytes, &filter->client_bits) < 0 ||
		!is_zero_from(filter->client_ip, filter->client_bits, bytes)))
		return -EINVAL;
	filter->criteria |= FILTER_CLIENT;
	return 0;
}

enum filter_state
filter_state_of(const struct slot *slot)
{
	if (slot->state == CONN_DIALING)
		return FILTER_DIALING;
	return slot->state == CONN_RELAYING ? FILTER_RELAYING : FILTER_CLOSING;
}

const char *
filter_state_word(enum filter_state state)
{
	return words[state];
}

int
filter_state_parse(const char *word)
{
	for (int i = 0; i < FILTER_STATES; i++) {
		if (strcmp(words[i], word) == 0)
			return i;
	}
	return -EINVAL;
}

static bool
client_matches(const struct filter *filter, const struct endpoint *client)
{
	uint32_t whole = filter->client_bits / 8;
	uint32_t rest = filter->client_bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (client->kind != filter->client_kind)
		return false;
	if (client->kind == ADDR_UNIX)
		return true;
	if (whole > sizeof(client->ip) ||
	    memcmp(client->ip, filter->client_ip, whole) != 0)
		return false;
	return rest == 0 || whole == sizeof(client->ip) ||
	    (client->ip[whole] & mask) == filter->client_ip[whole];
}

/* Has it been so long since that moment? */
static bool
has_passed(uint64_t since_ms, uint64_t now_ms, uint64_t least_ms)
{
	return now_ms >= since_ms && now_ms - since_ms >= least_ms;
}

bool
filter_matches(const struct filter *filter, const struct slot *slot,
    uint64_t now_ms)
{
	uint32_t c = filter->criteria;

	return slot_is_connection(slot) &&
	    ((c & FILTER_ID) == 0 || slot->id == filter->id) &&
	    ((c & FILTER_SERVICE) == 0 || slot->service == filter->service) &&
	    ((c & FILTER_BACKEND) == 0 ||
		(slot->has_backend != 0 && slot->backend == filter->backend)) &&
	    ((c & FILTER_CLIENT) == 0 ||
		client_matches(filter, &slot->client)) &&
	    ((c & FILTER_STATE) == 0 ||
		filter_state_of(slot) == filter->state) &&
	    ((c & FILTER_IDLE) == 0 ||
		has_passed(slot->active_ms, now_ms, filter->idle_ms)) &&
	    ((c & FILTER_AGE) == 0 ||
		has_passed(slot->started_us / 1000, now_ms, filter->age_ms));
}
