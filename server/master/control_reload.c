/*
 * control_reload - Reload: what came of it, as an answer.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/reload.h"
#include "server/master/upgrade.h"

/* The words of the description. */
static const char *const kind_words[] = {
    [CHANGE_ADDED] = "added",
    [CHANGE_CHANGED] = "changed",
    [CHANGE_REMOVED] = "removed",
};
static const char *const object_words[] = {
    [OBJECT_SERVICE] = "service",
    [OBJECT_LISTENER] = "listener",
    [OBJECT_BACKEND] = "backend",
    [OBJECT_SETTING] = "setting",
};

static json_t *
change_json(const struct reload_change *change)
{
	const struct config_change *what = &change->what;

	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:s}", "kind",
	    kind_words[what->kind], "object", object_words[what->object],
	    "service", control_text(what->service), "name",
	    control_text(what->name), "connections",
	    control_number(change->connections), "action", change->action);
}

static int
reply_done(struct call *call, const struct reload_outcome *outcome)
{
	json_t *changes = json_array();

	for (size_t i = 0; i < outcome->changes_count; i++)
		control_row(&changes, change_json(&outcome->changes[i]));
	return call_reply(call,
	    json_pack("{s:I, s:o}", "generation",
		control_number(outcome->generation), "changes", changes));
}

static json_t *
error_json(const struct config_error *error)
{
	return json_pack("{s:o, s:I, s:o}", "file", control_text(error->file),
	    "line", (json_int_t)error->line, "message",
	    control_text(error->message));
}

static int
reply_invalid(struct call *call, const struct reload_outcome *outcome)
{
	json_t *errors = json_array();

	for (size_t i = 0; i < outcome->errors_count; i++)
		control_row(&errors, error_json(&outcome->errors[i]));
	return call_error_with(call, "ConfigInvalid",
	    json_pack("{s:o}", "errors", errors));
}

static int
reply_failed(struct call *call, const char *stage, const char *message)
{
	return call_error_with(call, "ReloadFailed",
	    json_pack("{s:s, s:o}", "stage", stage, "message",
		control_text(message)));
}

static void
reload_done(void *arg, const struct reload_outcome *outcome)
{
	struct call *call = arg;
	int error;

	if (outcome->ok)
		error = reply_done(call, outcome);
	else if (outcome->errors_count > 0)
		error = reply_invalid(call, outcome);
	else
		error = reply_failed(call, outcome->stage, outcome->message);
	call_finish(call, error);
}

static void
reload_gone(struct master *m, struct call *call)
{
	reload_forget(m, call);
}

int
control_reload(struct master *m, struct call *call)
{
	bool dry_run = false;
	int error;
	const struct call_param params[] = {
	    {"dry_run", CALL_BOOL, true, &dry_run},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	if (!dry_run && !call->may_change)
		return control_deny(call);
	error = reload_begin(m, dry_run, call->oneway ? NULL : reload_done,
	    call->oneway ? NULL : call);
	if (error == -EBUSY)
		return call_error(call, "Busy", "message",
		    upgrade_is_busy(m) ? UPGRADE_IS_BUSY : RELOAD_IS_BUSY);
	if (error == -ESHUTDOWN)
		return reply_failed(call, "stop", RELOAD_STOPS);
	if (error < 0)
		return reply_failed(call, "check", strerror(-error));
	return call_defer(call, reload_gone);
}
