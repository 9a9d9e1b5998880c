/*
 * in_use - rows in use, and where their counters stand; see in_use.h.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "server/master/in_use.h"
#include "server/master/master.h"

/* Where the row of a service, or backend, is in that of a body. */
static size_t
service_at(uint32_t i)
{
	return offsetof(struct board_row, services) +
	    i * sizeof(struct board_service);
}

static size_t
backend_at(uint32_t i)
{
	return offsetof(struct board_row, backends) +
	    i * sizeof(struct board_backend);
}

bool
in_use_service(const void *arg, uint32_t service)
{
	const struct master *m = arg;
	size_t offset =
	    service_at(service) + offsetof(struct board_service, connections);

	return board_sum(&m->board, offset, UINT32_MAX) > 0;
}

bool
in_use_backend(const void *arg, uint32_t backend)
{
	const struct master *m = arg;
	size_t offset =
	    backend_at(backend) + offsetof(struct board_backend, connections);

	return board_sum(&m->board, offset, UINT32_MAX) > 0;
}

static void
set_base(struct master *m, struct board_base *base, size_t accepted,
    size_t failed)
{
	atomic_store(&base->accepted, board_total(&m->board, accepted));
	atomic_store(&base->failed, board_total(&m->board, failed));
}

static void
set_service_base(struct master *m, uint32_t i)
{
	size_t at = service_at(i);

	set_base(m, &m->board_head->services[i],
	    at + offsetof(struct board_service, accepted),
	    at + offsetof(struct board_service, refused));
}

static void
set_backend_base(struct master *m, uint32_t i)
{
	size_t at = backend_at(i);

	set_base(m, &m->board_head->backends[i],
	    at + offsetof(struct board_backend, accepted),
	    at + offsetof(struct board_backend, failed));
}

void
in_use_set_bases(struct master *m, const struct plan *from,
    const struct plan *to)
{
	for (uint32_t i = 0; i < to->services.count; i++) {
		if (i >= from->services.count ||
		    plan_service(from, i)->state == ROW_EMPTY)
			set_service_base(m, i);
	}
	for (uint32_t i = 0; i < to->backends.count; i++) {
		if (i >= from->backends.count ||
		    plan_backend(from, i)->state == ROW_EMPTY)
			set_backend_base(m, i);
	}
}
