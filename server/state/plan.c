/*
 * plan - the configuration, compiled; see plan.h.
 *
 * plan_check() is the one place that looks at a plan with distrust: its bytes
 * may come from a process that went wrong.  What it lets pass can be read
 * anywhere without a further check (P1).
 *
 * Runs in: every process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"
#include "server/state/plan.h"

/* Every struct with a uint64_t in it must be able to stand in a table. */
#define ROW_ALIGN 8u

_Static_assert(_Alignof(struct plan) <= ROW_ALIGN, "rows are aligned enough");
_Static_assert(sizeof(struct plan) % ROW_ALIGN == 0, "tables may follow");

typedef bool row_is_good_fn(const struct plan *plan, uint32_t i);

static const void *
row(const struct plan *plan, const struct plan_table *table, uint32_t i,
    size_t size)
{
	return (const char *)plan + table->offset + (size_t)i * size;
}

const struct plan_service *
plan_service(const struct plan *plan, uint32_t i)
{
	return row(plan, &plan->services, i, sizeof(struct plan_service));
}

const struct plan_listener *
plan_listener(const struct plan *plan, uint32_t i)
{
	return row(plan, &plan->listeners, i, sizeof(struct plan_listener));
}

const struct plan_backend *
plan_backend(const struct plan *plan, uint32_t i)
{
	return row(plan, &plan->backends, i, sizeof(struct plan_backend));
}

uint32_t
plan_active_services(const struct plan *plan)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < plan->services.count; i++)
		count += plan_service(plan, i)->state == ROW_ACTIVE;
	return count;
}

const char *
plan_string(const struct plan *plan, uint32_t string)
{
	return row(plan, &plan->strings, string, 1);
}

/* Does a table of count rows lie between the head and the plan's end? */
static bool
table_is_inside(const struct plan *plan, const struct plan_table *table,
    size_t size)
{
	/* 32-bit counts of rows under 4 KiB: no overflow in 64 bits. */
	uint64_t end = table->offset + (uint64_t)table->count * size;

	return table->offset >= sizeof(*plan) && end <= plan->length &&
	    (size == 1 || table->offset % ROW_ALIGN == 0);
}

/* The table's last byte is a NUL, so every string within it ends in it. */
static bool
is_string(const struct plan *plan, uint32_t string)
{
	return string < plan->strings.count;
}

/* A string that something needs: within the table, and not empty. */
static bool
is_text(const struct plan *plan, uint32_t string)
{
	return is_string(plan, string) && *plan_string(plan, string) != '\0';
}

static bool
is_path(const struct plan *plan, uint32_t string)
{
	return is_string(plan, string) && *plan_string(plan, string) == '/';
}

static bool
addr_is_good(const struct addr *addr)
{
	if (memchr(addr->path, '\0', sizeof(addr->path)) == NULL)
		return false;
	if (addr->kind == ADDR_UNIX)
		return (addr->path[0] == '/' || addr->path[0] == '@') &&
		    addr->path[1] != '\0';
	return (addr->kind != ADDR_NAME && addr->kind != ADDR_PASSED) ||
	    addr->path[0] != '\0';
}

static bool
head_is_good(const struct plan *plan)
{
	return plan->workers >= 1 && plan->workers <= PLAN_WORKERS_MAX &&
	    plan->max_connections >= 1 &&
	    plan->max_connections <= PLAN_CONNECTIONS_MAX &&
	    plan->groups_count <= PLAN_GROUPS_MAX &&
	    plan->local_ports_split != 1 &&
	    plan->local_ports_split <= UINT16_MAX &&
	    is_string(plan, plan->config_path) &&
	    is_string(plan, plan->user_name) &&
	    is_string(plan, plan->group_name);
}

static bool
control_is_good(const struct plan *plan)
{
	const struct plan_control *control = &plan->control;

	return is_path(plan, control->path) &&
	    strlen(plan_string(plan, control->path)) < ADDR_PATH_SIZE &&
	    control->mode <= 0777 && is_string(plan, control->group.name) &&
	    is_string(plan, control->admin.name);
}

static bool
target_is_good(const struct plan *plan, const struct plan_target *target)
{
	if (target->target > TARGET_OFF || !is_string(plan, target->path))
		return false;
	return target->target != TARGET_FILE || is_path(plan, target->path);
}

static bool
log_is_good(const struct plan *plan)
{
	const struct plan_log *log = &plan->log;

	return log->level <= LEVEL_DEBUG &&
	    target_is_good(plan, &log->messages) &&
	    log->messages.target != TARGET_OFF &&
	    target_is_good(plan, &log->access);
}

/* Is all of a row that is nobody's zero? */
static bool
is_blank(const void *row, size_t size)
{
	const unsigned char *bytes = row;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/*
 * Do the lists of all services hold as many rows as there are active ones?
 * Then each of those is in one (P3), and to walk the lists takes no more steps
 * than there are rows, whatever they say.
 */
static bool
lists_are_whole(const struct plan *plan)
{
	uint64_t listeners = 0;
	uint64_t backends = 0;

	for (uint32_t i = 0; i < plan->services.count; i++) {
		const struct plan_service *service = plan_service(plan, i);

		if (service->state == ROW_ACTIVE) {
			listeners += service->listeners;
			backends += service->backends;
		}
	}
	for (uint32_t i = 0; i < plan->listeners.count; i++)
		listeners -= plan_listener(plan, i)->state == ROW_ACTIVE;
	for (uint32_t i = 0; i < plan->backends.count; i++)
		backends -= plan_backend(plan, i)->state == ROW_ACTIVE;
	return listeners == 0 && backends == 0;
}

/* A list has as many rows as it says, all active and the service's (P3). */
static bool
owns_listeners(const struct plan *plan, uint32_t i)
{
	const struct plan_service *service = plan_service(plan, i);
	uint32_t at = service->first_listener;

	for (uint32_t n = 0; n < service->listeners; n++) {
		if (at >= plan->listeners.count ||
		    plan_listener(plan, at)->service != i ||
		    plan_listener(plan, at)->state != ROW_ACTIVE)
			return false;
		at = plan_listener(plan, at)->next;
	}
	return at == PLAN_END;
}

static bool
owns_backends(const struct plan *plan, uint32_t i)
{
	const struct plan_service *service = plan_service(plan, i);
	uint32_t at = service->first_backend;

	for (uint32_t n = 0; n < service->backends; n++) {
		if (at >= plan->backends.count ||
		    plan_backend(plan, at)->service != i ||
		    plan_backend(plan, at)->state != ROW_ACTIVE)
			return false;
		at = plan_backend(plan, at)->next;
	}
	return at == PLAN_END;
}

/* Only a service in the configuration has listeners and backends. */
static bool
service_owns_rows(const struct plan *plan, uint32_t i)
{
	const struct plan_service *service = plan_service(plan, i);
	bool has_rows = service->listeners > 0 && service->backends > 0;
	bool has_none = service->listeners == 0 && service->backends == 0;

	return (service->state == ROW_ACTIVE ? has_rows : has_none) &&
	    owns_listeners(plan, i) && owns_backends(plan, i);
}

static bool
service_is_good(const struct plan *plan, uint32_t i)
{
	const struct plan_service *service = plan_service(plan, i);

	if (service->state == ROW_EMPTY)
		return is_blank(service, sizeof(*service));
	return service->state <= ROW_REMOVED && is_text(plan, service->name) &&
	    service->on_remove <= ON_REMOVE_CLOSE &&
	    is_string(plan, service->owner.name) &&
	    is_string(plan, service->group.name) &&
	    service->balance <= BALANCE_LEASTCONN &&
	    service->retries <= PLAN_RETRIES_MAX && service->nodelay <= 1 &&
	    service->backlog >= 1 && service->backlog <= PLAN_BACKLOG_MAX &&
	    service->mode <= 0777 && service_owns_rows(plan, i);
}

static bool
passed_is_good(const struct plan_listener *listener)
{
	switch (listener->addr.kind) {
	case ADDR_PASSED:
		return listener->passed == 1;
	case ADDR_ANY:
		return listener->passed <= 3;
	default:
		return listener->passed <= 1;
	}
}

static bool
listener_is_good(const struct plan *plan, uint32_t i)
{
	const struct plan_listener *listener = plan_listener(plan, i);
	const struct addr *addr = &listener->addr;

	if (listener->state == ROW_EMPTY)
		return is_blank(listener, sizeof(*listener));
	return listener->state == ROW_ACTIVE &&
	    listener->service < plan->services.count &&
	    listener->born <= plan->generation &&
	    is_text(plan, listener->text) && listener->backlog >= 1 &&
	    listener->backlog <= PLAN_BACKLOG_MAX && listener->mode <= 0777 &&
	    listener->nodelay <= 1 &&
	    (addr->kind == ADDR_TCP4 || addr->kind == ADDR_TCP6 ||
		addr->kind == ADDR_ANY || addr->kind == ADDR_UNIX ||
		addr->kind == ADDR_PASSED) &&
	    addr_is_good(addr) && passed_is_good(listener);
}

static bool
backend_is_good(const struct plan *plan, uint32_t i)
{
	const struct plan_backend *backend = plan_backend(plan, i);
	const struct addr *addr = &backend->addr;

	if (backend->state == ROW_EMPTY)
		return is_blank(backend, sizeof(*backend));
	return backend->state <= ROW_REMOVED &&
	    backend->service < plan->services.count &&
	    plan_service(plan, backend->service)->state != ROW_EMPTY &&
	    is_text(plan, backend->name) && is_text(plan, backend->text) &&
	    backend->weight <= PLAN_WEIGHT_MAX && backend->backup <= 1 &&
	    addr->kind > ADDR_NONE && addr->kind <= ADDR_DISCARD &&
	    addr->kind != ADDR_ANY && addr_is_good(addr);
}

static bool
rows_are_good(const struct plan *plan, uint32_t count, row_is_good_fn *is_good)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!is_good(plan, i))
			return false;
	}
	return true;
}

static bool
strings_are_good(const struct plan *plan)
{
	const struct plan_table *strings = &plan->strings;

	return strings->count >= 1 && table_is_inside(plan, strings, 1) &&
	    *plan_string(plan, 0) == '\0' &&
	    *plan_string(plan, strings->count - 1) == '\0';
}

static bool
tables_are_inside(const struct plan *plan)
{
	return plan->services.count >= 1 &&
	    plan->services.count <= PLAN_SERVICES_MAX &&
	    plan->listeners.count <= PLAN_LISTENERS_MAX &&
	    plan->backends.count <= PLAN_BACKENDS_MAX &&
	    table_is_inside(plan, &plan->services,
		sizeof(struct plan_service)) &&
	    table_is_inside(plan, &plan->listeners,
		sizeof(struct plan_listener)) &&
	    table_is_inside(plan, &plan->backends, sizeof(struct plan_backend));
}

static const char *
find_row_fault(const struct plan *plan)
{
	if (!lists_are_whole(plan))
		return "its services' lists are damaged";
	if (!rows_are_good(plan, plan->services.count, service_is_good))
		return "a service's row is damaged";
	if (!rows_are_good(plan, plan->listeners.count, listener_is_good))
		return "a listener's row is damaged";
	if (!rows_are_good(plan, plan->backends.count, backend_is_good))
		return "a backend's row is damaged";
	return NULL;
}

/* Each step may rely on those before it. */
static const char *
find_fault(const struct plan *plan, size_t length)
{
	if (length < sizeof(*plan) || length > PLAN_LENGTH_MAX)
		return "its length is wrong";
	if (plan->magic != PLAN_MAGIC)
		return "it is not a plan";
	if (plan->version != PLAN_VERSION)
		return "it belongs to another version of srvd";
	if (plan->length != length)
		return "it was cut or has grown";
	if (!tables_are_inside(plan))
		return "a table lies outside it";
	if (!strings_are_good(plan))
		return "its strings are damaged";
	if (!head_is_good(plan))
		return "a setting in its head is out of range";
	if (!control_is_good(plan))
		return "the control socket's settings are damaged";
	if (!log_is_good(plan))
		return "the log's settings are damaged";
	return find_row_fault(plan);
}

int
plan_check(const struct plan *plan, size_t length, const char **why)
{
	*why = find_fault(plan, length);
	return *why == NULL ? 0 : -EINVAL;
}

int
plan_map(int fd, const struct plan **plan)
{
	struct stat st;
	const char *why;
	size_t length;
	void *map;

	*plan = NULL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(**plan) || st.st_size > PLAN_LENGTH_MAX)
		return -EINVAL;
	length = (size_t)st.st_size;
	map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	if (plan_check(map, length, &why) < 0) {
		(void)munmap(map, length);
		return -EINVAL;
	}
	*plan = map;
	return 0;
}

void
plan_unmap(const struct plan *plan)
{
	if (plan != NULL)
		(void)munmap((void *)plan, plan->length);
}
