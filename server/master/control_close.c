/*
 * control_close - CloseConnections: answered when all workers have done it.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include <errno.h>
#include <jansson.h>

#include "server/master/closing.h"
#include "server/master/control_filter.h"
#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/status.h"

static void
close_done(void *arg, uint64_t closed)
{
	struct call *call = arg;
	int error = call_reply(call,
	    json_pack("{s:I}", "closed", control_number(closed)));

	call_finish(call, error);
}

static void
close_gone(struct master *m, struct call *call)
{
	closing_forget(m, call);
}

int
control_close_connections(struct master *m, struct call *call)
{
	const json_t *wanted = NULL;
	bool reset = false;
	struct control_filter_fault fault;
	struct filter filter;
	int error;
	const struct call_param params[] = {
	    {"filter", CALL_OBJECT, false, &wanted},
	    {"reset", CALL_BOOL, true, &reset},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	if (control_filter_read(master_plan(m), wanted, &filter, &fault) < 0)
		return control_filter_refuse(call, &fault);
	if (filter.criteria == 0) {
		call->invalid = "filter";
		return call_invalid(call);
	}
	error = closing_begin(m, &filter, reset,
	    call->oneway ? NULL : close_done, call->oneway ? NULL : call);
	if (error == -EBUSY)
		return call_error(call, "Busy", "message",
		    closing_hindrance(m));
	return error < 0 ? error : call_defer(call, close_gone);
}
