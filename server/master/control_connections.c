/*
 * control_connections - ListConnections: a stream of batches.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "server/master/connections.h"
#include "server/master/control_filter.h"
#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/status.h"

#define BATCH_MAX 100
/* Of all bodies together, in one round of the loop. */
#define SLOTS_A_ROUND 8192

/* What a list keeps from one answer to the next. */
struct list {
	const json_t *wanted; /* the call's */
	struct filter filter;
	uint64_t generation; /* of the plan whose indices filter has */
	struct connections_cursor cursor;
};

static json_t *
flags_json(uint32_t flags)
{
	json_t *words = json_array();

	for (uint32_t i = 0; i < CONNECTION_FLAGS_COUNT; i++) {
		if ((flags & 1u << i) != 0)
			control_row(&words,
			    json_string(connection_flag_word(i)));
	}
	return words;
}

static json_t *
connection_json(const struct connection *c)
{
	return json_pack("{s:I, s:o, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:I, "
			 "s:I, s:I, s:I, s:o}",
	    "id", control_number(c->id), "service", control_text(c->service),
	    "backend", control_text(c->backend), "worker",
	    (json_int_t)c->worker, "state", c->state, "client",
	    control_text(c->client), "local", control_text(c->local), "source",
	    control_text(c->source), "server", control_text(c->server),
	    "bytes_up", control_number(c->bytes_up), "bytes_down",
	    control_number(c->bytes_down), "age_ms", control_number(c->age_ms),
	    "idle_ms", control_number(c->idle_ms), "flags",
	    flags_json(c->flags));
}

/* After a reload: do the names still mean something?  If not, there is nothing
 * left to list. */
static int
list_follow(const struct plan *plan, struct list *list)
{
	struct control_filter_fault fault;

	if (list->generation == plan->generation)
		return 0;
	list->generation = plan->generation;
	return control_filter_read(plan, list->wanted, &list->filter, &fault);
}

static int
list_next(struct master *m, struct call *call)
{
	struct list *list = call->state;
	struct connection connection;
	json_t *rows = json_array();
	uint32_t budget = SLOTS_A_ROUND;
	int got = list_follow(master_plan(m), list) == 0 ? 1 : 0;

	while (got == 1 && json_array_size(rows) < BATCH_MAX) {
		got = connections_next(m, &list->cursor, &list->filter, &budget,
		    &connection);
		if (got == 1)
			control_row(&rows, connection_json(&connection));
	}
	if (got != 0 && rows != NULL && json_array_size(rows) == 0) {
		json_decref(rows);
		return 0;
	}
	if (got == 0)
		return call_reply(call,
		    json_pack("{s:o}", "connections", rows));
	return call_continue(call, json_pack("{s:o}", "connections", rows));
}

int
control_list_connections(struct master *m, struct call *call)
{
	const json_t *wanted = NULL;
	struct control_filter_fault fault;
	struct list *list;
	struct filter filter;
	const struct call_param params[] = {
	    {"filter", CALL_OBJECT, true, &wanted},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	if (control_filter_read(master_plan(m), wanted, &filter, &fault) < 0)
		return control_filter_refuse(call, &fault);
	list = malloc(sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	*list = (struct list){
	    .wanted = wanted,
	    .filter = filter,
	    .generation = master_plan(m)->generation,
	};
	return call_stream(call, list_next, list);
}
