/*
 * connections - the live connections of all bodies; see connections.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "server/master/bodies.h"
#include "server/master/connections.h"
#include "server/master/status.h"

/* How often a slot is copied anew because another connection took it. */
#define COPIES_MAX 3

#define FLAG(flag) (1u << (flag))

#define FLAG_WORD(name, word, meaning) word,
static const char *const flag_words[] = {CONNECTION_FLAGS(FLAG_WORD)};
#undef FLAG_WORD

const char *
connection_flag_word(uint32_t flag)
{
	return flag_words[flag];
}

/* How many slots of a body to look at: what its worker says, as far as the
 * mapping reaches (Y2). */
static uint32_t
slots_of(const struct body_ref *ref)
{
	const struct body *body = &ref->body;
	size_t offset;
	size_t most;
	uint32_t used;

	if (ref->body_fd < 0 || body->slots == NULL)
		return 0;
	offset = (size_t)((const char *)body->slots - (const char *)body->head);
	most = (body->size - offset) / sizeof(struct slot);
	used = *(volatile const uint32_t *)&body->head->slots_used;
	return used < most ? used : (uint32_t)most;
}

/* A copy that is of one connection, from its first byte to its last. */
static bool
slot_copy(const struct slot *from, struct slot *copy)
{
	const volatile uint64_t *id = &from->id;
	const volatile uint8_t *state = &from->state;

	for (int i = 0; i < COPIES_MAX; i++) {
		/* Most are free: their state says so, and no more is read. */
		if (*state <= CONN_ACCEPTING || *state >= CONN_STATES)
			return false;
		memcpy(copy, from, sizeof(*copy));
		if (copy->id == *id)
			return slot_is_connection(copy);
	}
	return false;
}

static bool
service_is_sound(const struct plan *plan, uint32_t i)
{
	return i < plan->services.count &&
	    plan_service(plan, i)->state != ROW_EMPTY;
}

static bool
backend_is_sound(const struct plan *plan, const struct slot *slot)
{
	const struct plan_backend *backend;

	if (slot->has_backend == 0)
		return true;
	if (slot->backend >= plan->backends.count)
		return false;
	backend = plan_backend(plan, slot->backend);
	return backend->state != ROW_EMPTY && backend->service == slot->service;
}

static bool
endpoint_is_sound(const struct endpoint *endpoint)
{
	return endpoint->kind == ADDR_NONE || endpoint->kind == ADDR_TCP4 ||
	    endpoint->kind == ADDR_TCP6 || endpoint->kind == ADDR_UNIX;
}

static bool
slot_is_sound(const struct plan *plan, const struct slot *slot)
{
	return service_is_sound(plan, slot->service) &&
	    backend_is_sound(plan, slot) && endpoint_is_sound(&slot->client) &&
	    endpoint_is_sound(&slot->local) &&
	    endpoint_is_sound(&slot->source) &&
	    (endpoint_is_sound(&slot->server) ||
		slot->server.kind == ADDR_ECHO ||
		slot->server.kind == ADDR_DISCARD);
}

/* As the filter's criterion "client" writes it: of a Unix-domain socket no
 * more is known. */
static void
endpoint_text(const struct endpoint *endpoint, char text[ADDR_TEXT_SIZE])
{
	struct addr addr = {.kind = endpoint->kind, .port = endpoint->port};

	memcpy(addr.ip, endpoint->ip, sizeof(addr.ip));
	if (endpoint->kind == ADDR_NONE)
		text[0] = '\0';
	else if (endpoint->kind == ADDR_UNIX)
		(void)snprintf(text, ADDR_TEXT_SIZE, "unix");
	else
		(void)addr_format(&addr, text);
}

/* The path of a Unix-domain one is its listener's. */
static void
local_text(const struct master *m, const struct slot *slot,
    char text[ADDR_TEXT_SIZE])
{
	const struct plan *plan = master_plan(m);
	const struct plan_listener *listener;
	struct addr bound;

	endpoint_text(&slot->local, text);
	if (slot->local.kind != ADDR_UNIX ||
	    slot->listener >= plan->listeners.count)
		return;
	listener = plan_listener(plan, slot->listener);
	/* The listener may be gone, and its row another's. */
	if (listener->state != ROW_ACTIVE || listener->service != slot->service)
		return;
	status_listener_bound(m, slot->listener, &bound);
	if (bound.kind == ADDR_UNIX)
		(void)addr_format(&bound, text);
}

static void
backend_texts(const struct plan *plan, const struct slot *slot,
    struct connection *connection)
{
	const struct plan_backend *backend;

	connection->backend = "";
	endpoint_text(&slot->source, connection->source);
	endpoint_text(&slot->server, connection->server);
	if (slot->has_backend == 0)
		return;
	backend = plan_backend(plan, slot->backend);
	connection->backend = plan_string(plan, backend->name);
	if (slot->server.kind == ADDR_UNIX)
		(void)addr_format(&backend->addr, connection->server);
}

static uint32_t
flags_of(const struct plan *plan, const struct slot *slot)
{
	const struct plan_backend *backend =
	    slot->has_backend == 0 ? NULL : plan_backend(plan, slot->backend);
	const struct flow *up = &slot->flows[FLOW_UP];
	const struct flow *down = &slot->flows[FLOW_DOWN];
	uint32_t flags = 0;

	if (up->state != FLOW_OPEN)
		flags |= FLAG(CONNECTION_CLIENT_ENDED);
	/* A builtin has no side that could end. */
	if (down->state != FLOW_OPEN && slot->builtin == 0)
		flags |= FLAG(CONNECTION_BACKEND_ENDED);
	if (flow_is_blocked(up) || flow_is_blocked(down) || up->starved != 0 ||
	    down->starved != 0 || slot->is_postponed != 0)
		flags |= FLAG(CONNECTION_WAITING);
	if (backend != NULL && backend->backup != 0)
		flags |= FLAG(CONNECTION_BACKUP);
	if (plan_service(plan, slot->service)->state == ROW_REMOVED ||
	    (backend != NULL && backend->state == ROW_REMOVED))
		flags |= FLAG(CONNECTION_REMOVED);
	return flags;
}

static uint64_t
since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

static void
view(const struct master *m, const struct slot *slot, uint64_t now,
    struct connection *connection)
{
	const struct plan *plan = master_plan(m);

	connection->id = slot->id;
	connection->service =
	    plan_string(plan, plan_service(plan, slot->service)->name);
	connection->state = filter_state_word(filter_state_of(slot));
	connection->flags = flags_of(plan, slot);
	connection->bytes_up = slot->flows[FLOW_UP].moved;
	connection->bytes_down = slot->flows[FLOW_DOWN].moved;
	connection->age_ms = since(now, slot->started_us / 1000);
	connection->idle_ms = since(now, slot->active_ms);
	endpoint_text(&slot->client, connection->client);
	local_text(m, slot, connection->local);
	backend_texts(plan, slot, connection);
}

int
connections_next(const struct master *m, struct connections_cursor *cursor,
    const struct filter *filter, uint32_t *budget,
    struct connection *connection)
{
	const struct bodies *bodies = master_bodies(m);
	const struct plan *plan = master_plan(m);
	uint64_t now = clock_monotonic_ms();
	struct slot slot;

	for (; cursor->body < BOARD_ROWS; cursor->body++, cursor->slot = 0) {
		const struct body_ref *ref = &bodies->refs[cursor->body];
		uint32_t count = ref->body_fd < 0 ? 0 : slots_of(ref);

		while (cursor->slot < count) {
			if (*budget == 0)
				return -EAGAIN;
			(*budget)--;
			if (!slot_copy(&ref->body.slots[cursor->slot++],
				&slot) ||
			    !slot_is_sound(plan, &slot) ||
			    !filter_matches(filter, &slot, now))
				continue;
			connection->worker = ref->seat;
			view(m, &slot, now, connection);
			return 1;
		}
	}
	return 0;
}
