/*
 * passed - sockets that the service manager passed; see passed.h.
 */
#include <stddef.h>
#include <string.h>

#include "server/config/passed.h"

uint32_t
passed_count(const struct passed *passed, const char *name)
{
	uint32_t count = 0;

	for (uint32_t i = 0; passed != NULL && i < passed->count; i++)
		count += strcmp(passed->sockets[i].name, name) == 0;
	return count;
}

static struct passed_socket *
find_named(const struct passed *passed, const char *name, uint32_t n)
{
	for (uint32_t i = 0; i < passed->count; i++) {
		struct passed_socket *socket = &passed->sockets[i];

		if (strcmp(socket->name, name) == 0 && n-- == 0)
			return socket;
	}
	return NULL;
}

static struct passed_socket *
find_bound(const struct passed *passed, const struct addr *addr)
{
	for (uint32_t i = 0; i < passed->count; i++) {
		if (addr_equal(&passed->sockets[i].addr, addr))
			return &passed->sockets[i];
	}
	return NULL;
}

/* One socket may be both of a "*", or there is one for each family. */
static struct passed_socket *
find_any(const struct passed *passed, const struct addr *addr, uint32_t n)
{
	struct passed_socket *both = find_bound(passed, addr);
	struct addr one = *addr;

	one.kind = n == 0 ? ADDR_TCP4 : ADDR_TCP6;
	return both != NULL ? both : find_bound(passed, &one);
}

struct passed_socket *
passed_find(const struct passed *passed, const struct addr *addr, uint32_t n)
{
	if (passed == NULL || (n > 0 && addr->kind != ADDR_ANY))
		return NULL;
	switch (addr->kind) {
	case ADDR_PASSED:
		return find_named(passed, addr->path, addr->port);
	case ADDR_ANY:
		return find_any(passed, addr, n);
	default:
		return find_bound(passed, addr);
	}
}
