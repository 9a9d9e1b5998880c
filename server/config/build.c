/*
 * build - a plan while it is being made; see build.h.
 */
#include <string.h>

#include "server/config/build.h"

void
build_init(struct build *build, const struct config_request *request,
    struct report *report)
{
	memset(build, 0, sizeof(*build));
	build->request = request;
	build->report = report;
	build->head.magic = PLAN_MAGIC;
	build->head.version = PLAN_VERSION;
	build->head.generation = request->generation;
	bytes_add(&build->strings, "", 1);
	build->head.config_path = build_string(build, request->path);
	build->head.control.gid = PLAN_NO_ID;
	build->head.control.group.id = PLAN_NO_ID;
	build->head.control.admin.id = PLAN_NO_ID;
}

uint32_t
build_string(struct build *build, const char *text)
{
	size_t at = build->strings.length;

	/* What is read has at most SCAN_BYTES_MAX, far below 4 GiB. */
	if (*text == '\0')
		return 0;
	bytes_add(&build->strings, text, strlen(text) + 1);
	return (uint32_t)at;
}

const char *
build_text(const struct build *build, uint32_t string)
{
	return build->strings.data + string;
}

struct plan_service *
build_service(struct build *build, const char *name)
{
	uint32_t i = build->head.services.count++;
	struct plan_service *service;

	build->services =
	    memory_grow(build->services, i, sizeof(*build->services));
	service = &build->services[i];
	service->name = build_string(build, name);
	service->state = ROW_ACTIVE;
	service->first_listener = PLAN_END;
	service->first_backend = PLAN_END;
	service->owner.id = PLAN_NO_ID;
	service->group.id = PLAN_NO_ID;
	return service;
}

struct plan_listener *
build_listener(struct build *build, const char *text, struct place place)
{
	uint32_t i = build->head.listeners.count++;
	struct plan_service *service;
	struct plan_listener *listener;

	build->listeners =
	    memory_grow(build->listeners, i, sizeof(*build->listeners));
	build->listener_places = memory_grow(build->listener_places, i,
	    sizeof(*build->listener_places));
	build->listener_places[i] = place;
	listener = &build->listeners[i];
	listener->service = build->head.services.count - 1;
	listener->text = build_string(build, text);
	listener->state = ROW_ACTIVE;
	listener->next = PLAN_END;
	listener->born = build->head.generation;
	service = &build->services[listener->service];
	if (service->listeners++ == 0)
		service->first_listener = i;
	else
		build->listeners[i - 1].next = i;
	return listener;
}

struct plan_backend *
build_backend(struct build *build, const char *name)
{
	uint32_t i = build->head.backends.count++;
	struct plan_service *service;
	struct plan_backend *backend;

	build->backends =
	    memory_grow(build->backends, i, sizeof(*build->backends));
	build->backend_places = memory_grow(build->backend_places, i,
	    sizeof(*build->backend_places));
	backend = &build->backends[i];
	backend->service = build->head.services.count - 1;
	backend->name = build_string(build, name);
	backend->state = ROW_ACTIVE;
	backend->next = PLAN_END;
	service = &build->services[backend->service];
	if (service->backends++ == 0)
		service->first_backend = i;
	else
		build->backends[i - 1].next = i;
	return backend;
}

struct place
build_top_place(const struct build *build, const char *name)
{
	const struct section *top = &sections[SECTION_TOP];

	return build->top_places[section_key(top, name) - top->keys];
}

static void
add_table(struct bytes *plan, struct plan_table *table, const void *rows,
    size_t size)
{
	static const char padding[8];
	size_t odd = plan->length % sizeof(padding);

	if (odd != 0)
		bytes_add(plan, padding, sizeof(padding) - odd);
	table->offset = (uint32_t)plan->length;
	bytes_add(plan, rows, table->count * size);
}

void
build_finish(struct build *build, struct bytes *plan)
{
	struct plan *head = &build->head;

	bytes_add(plan, head, sizeof(*head));
	add_table(plan, &head->services, build->services,
	    sizeof(*build->services));
	add_table(plan, &head->listeners, build->listeners,
	    sizeof(*build->listeners));
	add_table(plan, &head->backends, build->backends,
	    sizeof(*build->backends));
	head->strings.count = (uint32_t)build->strings.length;
	add_table(plan, &head->strings, build->strings.data, 1);
	head->length = (uint32_t)plan->length;
	memcpy(plan->data, head, sizeof(*head));
}
