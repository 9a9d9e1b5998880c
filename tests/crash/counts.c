/*
 * counts - numbers of GetStatus that must be so; see counts.h.
 */
#include "counts.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

#include "harness.h"

#define SETTLE_MS 5000

void
counts_add(struct counts *counts, int64_t value, const char *format, ...)
{
	va_list args;
	int length;

	ck_assert_uint_lt(counts->count, COUNTS_MAX);
	va_start(args, format);
	length = vsnprintf(counts->rows[counts->count].path,
	    sizeof counts->rows[0].path, format, args);
	va_end(args);
	ck_assert_uint_lt((size_t)length, sizeof counts->rows[0].path);
	counts->rows[counts->count++].value = value;
}

void
counts_add_service(struct counts *counts, const char *service,
    struct counts_of of)
{
	counts_add(counts, of.connections, "services/%s/connections", service);
	counts_add(counts, of.accepted, "services/%s/accepted", service);
	counts_add(counts, of.missed, "services/%s/refused", service);
}

void
counts_add_backend(struct counts *counts, const char *service,
    const char *backend, struct counts_of of)
{
	counts_add(counts, of.connections,
	    "services/%s/backends/%s/connections", service, backend);
	counts_add(counts, of.accepted, "services/%s/backends/%s/accepted",
	    service, backend);
	counts_add(counts, of.missed, "services/%s/backends/%s/failed", service,
	    backend);
}

struct question {
	const struct counts *counts;
	const struct gateway *gateway;
	size_t wrong; /* the first that is */
	int64_t value;
};

static bool
are_so(void *arg)
{
	struct question *q = arg;
	json_t *status = gateway_status(q->gateway);

	for (q->wrong = 0; q->wrong < q->counts->count; q->wrong++) {
		q->value = json_integer_value(gateway_find(status,
		    q->counts->rows[q->wrong].path));
		if (q->value != q->counts->rows[q->wrong].value)
			break;
	}
	json_decref(status);
	return q->wrong == q->counts->count;
}

void
counts_expect(const struct counts *counts, const struct gateway *g)
{
	struct question q = {.counts = counts, .gateway = g};

	ck_assert_msg(e2e_wait(are_so, &q, SETTLE_MS), "%s is %lld, not %lld",
	    counts->rows[q.wrong].path, (long long)q.value,
	    (long long)counts->rows[q.wrong].value);
}
