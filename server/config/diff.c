/*
 * diff - in what two plans differ; see config.h.
 *
 * A row of the table of keys compares itself, so a new key needs nothing
 * here.
 *
 * Runs in: master.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/config/config.h"
#include "server/config/key.h"
#include "server/config/type.h"

#define SETTING_NAME_SIZE 48

struct diff {
	const struct plan *from;
	const struct plan *to;
	struct config_change *changes;
	size_t count;
	size_t room;
	bool failed; /* for want of memory */
};

/* What these sections set stands in the plan's head. */
static const enum section_id head_sections[] = {
    SECTION_TOP, SECTION_CONTROL, SECTION_LOG};

/* "section.key"; valid for ever, the tables being constant. */
static const char *
setting_name(enum section_id id, size_t key)
{
	static char names[SECTIONS_COUNT][SECTION_ITEMS_MAX][SETTING_NAME_SIZE];
	const struct section *section = &sections[id];
	char *name = names[id][key];

	if (id == SECTION_TOP || id == SECTION_SERVICE)
		return section->keys[key].name;
	(void)snprintf(name, SETTING_NAME_SIZE, "%s.%s", section->name,
	    section->keys[key].name);
	return name;
}

static bool
key_is_same(const struct diff *diff, const struct key *key, const void *a,
    const void *b)
{
	return key->type->is_same == NULL ||
	    key->type->is_same(diff->from, key_member(key, a), diff->to,
		key_member(key, b));
}

static void
add(struct diff *diff, struct config_change change)
{
	size_t room = diff->room == 0 ? 16 : 2 * diff->room;
	struct config_change *changes;

	if (diff->count == diff->room) {
		changes =
		    reallocarray(diff->changes, room, sizeof(*diff->changes));
		if (changes == NULL) {
			diff->failed = true;
			return;
		}
		diff->changes = changes;
		diff->room = room;
	}
	diff->changes[diff->count++] = change;
}

/* Those of one section, in two rows that are set by it. */
static void
diff_settings(struct diff *diff, enum section_id id, const void *a,
    const void *b, struct config_change change)
{
	change.kind = CHANGE_CHANGED;
	change.object = OBJECT_SETTING;
	for (size_t i = 0; i < sections[id].keys_count; i++) {
		if (key_is_same(diff, &sections[id].keys[i], a, b))
			continue;
		change.name = setting_name(id, i);
		add(diff, change);
	}
}

static bool
has_service(const struct plan *plan, uint32_t i)
{
	return i < plan->services.count &&
	    plan_service(plan, i)->state == ROW_ACTIVE;
}

static bool
has_listener(const struct plan *plan, uint32_t i)
{
	return i < plan->listeners.count &&
	    plan_listener(plan, i)->state == ROW_ACTIVE;
}

static bool
has_backend(const struct plan *plan, uint32_t i)
{
	return i < plan->backends.count &&
	    plan_backend(plan, i)->state == ROW_ACTIVE;
}

static void
add_listener(struct diff *diff, enum config_change_kind kind, uint32_t i)
{
	const struct plan *plan =
	    kind == CHANGE_REMOVED ? diff->from : diff->to;
	const struct plan_listener *listener = plan_listener(plan, i);
	const struct plan_service *service =
	    plan_service(plan, listener->service);

	add(diff,
	    (struct config_change){
		.kind = kind,
		.object = OBJECT_LISTENER,
		.service = plan_string(plan, service->name),
		.name = plan_string(plan, listener->text),
		.index = i,
	    });
}

/* What its service sets for it is compared there. */
static bool
listener_is_same(const struct diff *diff, uint32_t i)
{
	const struct plan_listener *a = plan_listener(diff->from, i);
	const struct plan_listener *b = plan_listener(diff->to, i);

	return a->service == b->service &&
	    type_name.is_same(diff->from, &a->text, diff->to, &b->text);
}

/* Of the services in row i, whichever there are. */
static void
diff_listeners(struct diff *diff, uint32_t i)
{
	uint32_t at = PLAN_END;

	if (has_service(diff->to, i))
		at = plan_service(diff->to, i)->first_listener;
	for (; at != PLAN_END; at = plan_listener(diff->to, at)->next) {
		if (!has_listener(diff->from, at))
			add_listener(diff, CHANGE_ADDED, at);
		else if (!listener_is_same(diff, at))
			add_listener(diff, CHANGE_CHANGED, at);
	}
	if (has_service(diff->from, i))
		at = plan_service(diff->from, i)->first_listener;
	for (; at != PLAN_END; at = plan_listener(diff->from, at)->next) {
		if (!has_listener(diff->to, at))
			add_listener(diff, CHANGE_REMOVED, at);
	}
}

static void
add_backend(struct diff *diff, enum config_change_kind kind, uint32_t i)
{
	const struct plan *plan =
	    kind == CHANGE_REMOVED ? diff->from : diff->to;
	const struct plan_backend *backend = plan_backend(plan, i);
	const struct plan_service *service =
	    plan_service(plan, backend->service);

	add(diff,
	    (struct config_change){
		.kind = kind,
		.object = OBJECT_BACKEND,
		.service = plan_string(plan, service->name),
		.name = plan_string(plan, backend->name),
		.index = i,
	    });
}

static bool
backend_is_same(const struct diff *diff, uint32_t i)
{
	const struct section *section = &sections[SECTION_BACKEND];
	const struct plan_backend *a = plan_backend(diff->from, i);
	const struct plan_backend *b = plan_backend(diff->to, i);

	for (size_t k = 0; k < section->keys_count; k++) {
		if (!key_is_same(diff, &section->keys[k], a, b))
			return false;
	}
	return true;
}

static void
diff_backends(struct diff *diff, uint32_t i)
{
	uint32_t at = PLAN_END;

	if (has_service(diff->to, i))
		at = plan_service(diff->to, i)->first_backend;
	for (; at != PLAN_END; at = plan_backend(diff->to, at)->next) {
		if (!has_backend(diff->from, at))
			add_backend(diff, CHANGE_ADDED, at);
		else if (!backend_is_same(diff, at))
			add_backend(diff, CHANGE_CHANGED, at);
	}
	if (has_service(diff->from, i))
		at = plan_service(diff->from, i)->first_backend;
	for (; at != PLAN_END; at = plan_backend(diff->from, at)->next) {
		if (!has_backend(diff->to, at))
			add_backend(diff, CHANGE_REMOVED, at);
	}
}

/* From row at of a plan's list on, the first that the other plan has too. */
static uint32_t
find_shared(const struct plan *plan, uint32_t at, const struct plan *other)
{
	while (at != PLAN_END && !has_backend(other, at))
		at = plan_backend(plan, at)->next;
	return at;
}

/* Do the backends that both have stand in another order? */
static bool
is_reordered(const struct diff *diff, const struct plan_service *from,
    const struct plan_service *to)
{
	uint32_t a = find_shared(diff->from, from->first_backend, diff->to);
	uint32_t b = find_shared(diff->to, to->first_backend, diff->from);

	while (a == b && a != PLAN_END) {
		a = find_shared(diff->from, plan_backend(diff->from, a)->next,
		    diff->to);
		b = find_shared(diff->to, plan_backend(diff->to, b)->next,
		    diff->from);
	}
	return a != b;
}

static void
diff_service(struct diff *diff, uint32_t i)
{
	bool was = has_service(diff->from, i);
	bool is = has_service(diff->to, i);
	const struct plan *plan = is ? diff->to : diff->from;
	struct config_change change = {.object = OBJECT_SERVICE, .index = i};

	if (!was && !is)
		return;
	change.service = plan_string(plan, plan_service(plan, i)->name);
	change.name = change.service;
	change.kind = !was ? CHANGE_ADDED : CHANGE_REMOVED;
	if (was && is) {
		const struct plan_service *a = plan_service(diff->from, i);
		const struct plan_service *b = plan_service(diff->to, i);

		change.kind = CHANGE_CHANGED;
		if (is_reordered(diff, a, b))
			add(diff, change);
		diff_settings(diff, SECTION_SERVICE, a, b, change);
	} else {
		add(diff, change);
	}
	diff_listeners(diff, i);
	diff_backends(diff, i);
}

int
config_diff(const struct plan *from, const struct plan *to,
    struct config_change **changes, size_t *count)
{
	struct diff diff = {.from = from, .to = to};
	const struct config_change top = {.service = ""};

	*changes = NULL;
	*count = 0;
	for (size_t i = 0; i < ARRAY_LEN(head_sections); i++)
		diff_settings(&diff, head_sections[i], from, to, top);
	for (uint32_t i = 0; i < to->services.count; i++)
		diff_service(&diff, i);
	if (diff.failed) {
		free(diff.changes);
		return -ENOMEM;
	}
	*changes = diff.changes;
	*count = diff.count;
	return 0;
}

bool
config_needs_restart(const struct plan *from, const struct plan *to,
    const char **section, const char **key)
{
	const struct diff diff = {.from = from, .to = to};

	for (size_t i = 0; i < ARRAY_LEN(head_sections); i++) {
		const struct section *in = &sections[head_sections[i]];

		for (size_t k = 0; k < in->keys_count; k++) {
			if (in->keys[k].reload != RELOAD_RESTART ||
			    key_is_same(&diff, &in->keys[k], from, to))
				continue;
			*section =
			    head_sections[i] == SECTION_TOP ? "" : in->name;
			*key = in->keys[k].name;
			return true;
		}
	}
	/* The same names, which have come to mean others. */
	*section = "";
	*key = from->uid != to->uid ? "user" : "group";
	return from->uid != to->uid || from->gid != to->gid;
}

bool
config_frees_rows(const struct plan *from, const struct plan *to)
{
	for (uint32_t i = 0; i < from->services.count; i++) {
		if (plan_service(from, i)->state == ROW_REMOVED &&
		    plan_service(to, i)->state == ROW_EMPTY)
			return true;
	}
	for (uint32_t i = 0; i < from->backends.count; i++) {
		if (plan_backend(from, i)->state == ROW_REMOVED &&
		    plan_backend(to, i)->state == ROW_EMPTY)
			return true;
	}
	return false;
}
