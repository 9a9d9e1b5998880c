/*
 * control_rebalance - Rebalance: answered when connections are evened out.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include <errno.h>
#include <jansson.h>

#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/rebalance.h"

static void
rebalance_done(void *arg, uint64_t moved, const char *why)
{
	struct call *call = arg;
	int error;

	if (why == NULL)
		error = call_reply(call,
		    json_pack("{s:I}", "moved", control_number(moved)));
	else
		error = call_error_with(call, "RebalanceFailed",
		    json_pack("{s:o, s:I}", "message", control_text(why),
			"moved", control_number(moved)));
	call_finish(call, error);
}

static void
rebalance_gone(struct master *m, struct call *call)
{
	rebalance_forget(m, call);
}

int
control_rebalance(struct master *m, struct call *call)
{
	int error;

	if (call_unpack(call, NULL, 0) < 0)
		return call_invalid(call);
	error = rebalance_begin(m, call->oneway ? NULL : rebalance_done,
	    call->oneway ? NULL : call);
	if (error == -EBUSY)
		return call_error(call, "Busy", "message",
		    rebalance_hindrance(m));
	return error < 0 ? error : call_defer(call, rebalance_gone);
}
