/*
 * succession - the rows of a plan that follows another; see succession.h.
 *
 * First every row of the build is seated: with its name's or address's row of
 * before, if it had one, else in one that was nobody's.  Then the tables are
 * laid out anew, with the rows of before that must stay.
 *
 * Invariants
 *  S1  What a row that stays refers to stays: a backend's service does.
 */
#include <stdlib.h>

#include "server/config/seating.h"
#include "server/config/succession.h"

struct succession {
	struct build *build;
	const struct plan *previous;
	struct seating services;
	struct seating listeners;
	struct seating backends;
};

static void
report_full(const struct succession *s, const struct seating *seating,
    struct place place, const char *what)
{
	report_add(s->build->report, place,
	    "there is no room for this %s yet: there can be %u, and %u places "
	    "are kept for those removed: reload without the new ones first, "
	    "then with them; connections that still use removed ones can be "
	    "closed",
	    what, seating->max, seating_count_kept(seating));
}

static bool
seat_services(struct succession *s)
{
	const struct plan *previous = s->previous;
	const struct build *build = s->build;
	struct seating *seating = &s->services;
	struct named *sorted = seating_blank(seating->before, sizeof(*sorted));
	size_t count = 0;
	uint32_t lost;

	for (uint32_t i = 0; i < seating->before; i++) {
		const struct plan_service *row = plan_service(previous, i);

		seating->taken[i] = row->state != ROW_EMPTY;
		if (seating->taken[i])
			sorted[count++] = (struct named){
			    0, plan_string(previous, row->name), i};
	}
	qsort(sorted, count, sizeof(*sorted), named_by_name);
	for (uint32_t i = 0; i < seating->fresh; i++) {
		const struct named fresh = {
		    0, build_text(build, build->services[i].name), i};

		seating_seat_named(seating, sorted, count, &fresh);
	}
	memory_free(sorted);
	lost = seating_seat_rest(seating);
	if (lost != SEAT_NONE)
		report_full(s, seating,
		    build
			->listener_places[build->services[lost].first_listener],
		    "service");
	return lost == SEAT_NONE;
}

static bool
seat_backends(struct succession *s)
{
	const struct plan *previous = s->previous;
	const struct build *build = s->build;
	struct seating *seating = &s->backends;
	struct named *sorted = seating_blank(seating->before, sizeof(*sorted));
	size_t count = 0;
	uint32_t lost;

	for (uint32_t i = 0; i < seating->before; i++) {
		const struct plan_backend *row = plan_backend(previous, i);

		seating->taken[i] = row->state != ROW_EMPTY;
		if (seating->taken[i])
			sorted[count++] = (struct named){
			    row->service, plan_string(previous, row->name), i};
	}
	qsort(sorted, count, sizeof(*sorted), named_by_name);
	for (uint32_t i = 0; i < seating->fresh; i++) {
		const struct plan_backend *row = &build->backends[i];
		const struct named fresh = {s->services.index[row->service],
		    build_text(build, row->name), i};

		seating_seat_named(seating, sorted, count, &fresh);
	}
	memory_free(sorted);
	lost = seating_seat_rest(seating);
	if (lost != SEAT_NONE)
		report_full(s, seating, build->backend_places[lost], "backend");
	return lost == SEAT_NONE;
}

/* The listeners of before; ends with a blank one. */
static struct bound *
list_old(const struct succession *s)
{
	const struct plan *plan = s->previous;
	struct bound *list = seating_blank(s->listeners.before, sizeof(*list));
	uint32_t count = 0;

	for (uint32_t i = 0; i < plan->services.count; i++) {
		const struct plan_service *service = plan_service(plan, i);
		uint32_t at = service->state == ROW_ACTIVE
		    ? service->first_listener
		    : PLAN_END;

		for (; at != PLAN_END; at = plan_listener(plan, at)->next) {
			list[count] = (struct bound){
			    &plan_listener(plan, at)->addr, i, count, at};
			count++;
			s->listeners.taken[at] = true;
		}
	}
	qsort(list, count, sizeof(*list), bound_by_address);
	return list;
}

/* The build's, likewise. */
static struct bound *
list_fresh(const struct succession *s)
{
	uint32_t count = s->listeners.fresh;
	struct bound *list = seating_blank(count, sizeof(*list));

	for (uint32_t i = 0; i < count; i++) {
		const struct plan_listener *row = &s->build->listeners[i];

		list[i] = (struct bound){
		    &row->addr, s->services.index[row->service], i, i};
	}
	qsort(list, count, sizeof(*list), bound_by_address);
	return list;
}

static bool
seat_listeners(struct succession *s)
{
	struct seating *seating = &s->listeners;
	struct bound *old = list_old(s);
	struct bound *fresh = list_fresh(s);
	uint32_t lost;

	seating_seat_bound(seating, old, fresh, false);
	seating_seat_bound(seating, old, fresh, true);
	memory_free(old);
	memory_free(fresh);
	lost = seating_seat_rest(seating);
	if (lost != SEAT_NONE)
		report_full(s, seating, s->build->listener_places[lost],
		    "address");
	return lost == SEAT_NONE;
}

static uint32_t
keep_string(const struct succession *s, uint32_t string)
{
	return build_string(s->build, plan_string(s->previous, string));
}

/* Must a backend of before have a row, though no longer a name? */
static bool
backend_stays(const struct succession *s, uint32_t i)
{
	const struct config_request *request = s->build->request;
	uint32_t state = plan_backend(s->previous, i)->state;

	if (s->backends.heir[i] != SEAT_NONE)
		return false;
	return state == ROW_ACTIVE ||
	    (state == ROW_REMOVED && request->backend_in_use != NULL &&
		request->backend_in_use(request->in_use_arg, i));
}

static void
keep_backend(const struct succession *s, struct plan_backend *rows, uint32_t i)
{
	rows[i] = *plan_backend(s->previous, i);
	rows[i].state = ROW_REMOVED;
	rows[i].next = PLAN_END;
	rows[i].name = keep_string(s, rows[i].name);
	rows[i].text = keep_string(s, rows[i].text);
}

static void
lay_backends(struct succession *s)
{
	struct build *build = s->build;
	struct seating *seating = &s->backends;
	struct plan_backend *rows =
	    seating_blank(seating->count, sizeof(*rows));

	for (uint32_t i = 0; i < seating->fresh; i++) {
		struct plan_backend *row = &rows[seating->index[i]];

		*row = build->backends[i];
		row->service = s->services.index[row->service];
		row->next = seating_of(seating, row->next);
	}
	for (uint32_t i = 0; i < seating->before; i++) {
		if (backend_stays(s, i))
			keep_backend(s, rows, i);
	}
	memory_free(build->backends);
	build->backends = rows;
	build->head.backends.count = seating->count;
}

static bool
service_stays(const struct succession *s, uint32_t i)
{
	const struct config_request *request = s->build->request;
	uint32_t state = plan_service(s->previous, i)->state;

	if (s->services.heir[i] != SEAT_NONE)
		return false;
	return state == ROW_ACTIVE ||
	    (state == ROW_REMOVED && request->service_in_use != NULL &&
		request->service_in_use(request->in_use_arg, i));
}

static void
keep_service(const struct succession *s, struct plan_service *rows, uint32_t i)
{
	rows[i] = *plan_service(s->previous, i);
	rows[i].state = ROW_REMOVED;
	rows[i].first_listener = PLAN_END;
	rows[i].listeners = 0;
	rows[i].first_backend = PLAN_END;
	rows[i].backends = 0;
	rows[i].name = keep_string(s, rows[i].name);
	rows[i].owner.name = keep_string(s, rows[i].owner.name);
	rows[i].group.name = keep_string(s, rows[i].group.name);
}

/* After the backends, whose rows need their services' (S1). */
static void
lay_services(struct succession *s)
{
	struct build *build = s->build;
	struct seating *seating = &s->services;
	struct plan_service *rows =
	    seating_blank(seating->count, sizeof(*rows));

	for (uint32_t i = 0; i < seating->fresh; i++) {
		struct plan_service *row = &rows[seating->index[i]];

		*row = build->services[i];
		row->first_listener =
		    seating_of(&s->listeners, row->first_listener);
		row->first_backend =
		    seating_of(&s->backends, row->first_backend);
	}
	for (uint32_t i = 0; i < seating->before; i++) {
		if (service_stays(s, i))
			keep_service(s, rows, i);
	}
	for (uint32_t i = 0; i < build->head.backends.count; i++) {
		const struct plan_backend *backend = &build->backends[i];

		if (backend->state != ROW_EMPTY &&
		    rows[backend->service].state == ROW_EMPTY)
			keep_service(s, rows, backend->service);
	}
	memory_free(build->services);
	build->services = rows;
	build->head.services.count = seating->count;
}

static void
lay_listeners(struct succession *s)
{
	struct build *build = s->build;
	struct seating *seating = &s->listeners;
	struct plan_listener *rows =
	    seating_blank(seating->count, sizeof(*rows));

	for (uint32_t i = 0; i < seating->fresh; i++) {
		uint32_t at = seating->index[i];

		rows[at] = build->listeners[i];
		rows[at].service = s->services.index[rows[at].service];
		rows[at].next = seating_of(seating, rows[at].next);
		if (at < seating->before && seating->heir[at] == i)
			rows[at].born = plan_listener(s->previous, at)->born;
	}
	memory_free(build->listeners);
	build->listeners = rows;
	build->head.listeners.count = seating->count;
}

void
succession_apply(struct build *build, const struct plan *previous)
{
	struct succession s = {.build = build, .previous = previous};

	seating_init(&s.services, build->head.services.count,
	    previous->services.count, PLAN_SERVICES_MAX);
	seating_init(&s.listeners, build->head.listeners.count,
	    previous->listeners.count, PLAN_LISTENERS_MAX);
	seating_init(&s.backends, build->head.backends.count,
	    previous->backends.count, PLAN_BACKENDS_MAX);
	if (seat_services(&s) && seat_backends(&s) && seat_listeners(&s)) {
		lay_backends(&s);
		lay_listeners(&s);
		lay_services(&s);
	}
	seating_release(&s.services);
	seating_release(&s.listeners);
	seating_release(&s.backends);
}
