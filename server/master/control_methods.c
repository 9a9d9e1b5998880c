/*
 * control_methods - what each method of io.srvd.Control does.
 *
 * A method is one row below and one handler.  Access and streaming are
 * checked once, before any handler runs; parameters are unpacked strictly,
 * so a handler sees only what its signature in the .varlink file allows.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/log.h"
#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/master.h"
#include "server/master/status.h"
#include "server/state/channel.h"

/* As the configuration's drain_timeout. */
#define DRAIN_MAX_S (INT64_C(365) * 24 * 60 * 60)
#define WHY_SIZE    640 /* a path, and what is wrong with it */

static int
service_find(const struct plan *plan, const char *name, uint32_t *index)
{
	for (uint32_t i = 0; i < plan->services.count; i++) {
		const struct plan_service *service = plan_service(plan, i);

		if (service->state == ROW_ACTIVE &&
		    strcmp(plan_string(plan, service->name), name) == 0) {
			*index = i;
			return 0;
		}
	}
	return -ENOENT;
}

static int
method_get_status(struct master *m, struct call *call)
{
	const char *name = NULL;
	uint32_t service = 0;
	const struct call_param params[] = {
	    {"service", CALL_STRING, true, &name},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	if (name != NULL && service_find(master_plan(m), name, &service) < 0)
		return call_error(call, "NoSuchService", "service", name);
	return call_reply(call,
	    control_status(m, name == NULL ? NULL : &service));
}

static int
method_set_log_level(struct master *m, struct call *call)
{
	const char *word = NULL;
	const char *name = NULL;
	uint32_t service = CHANNEL_ALL;
	int level;
	const struct call_param params[] = {
	    {"level", CALL_STRING, false, &word},
	    {"service", CALL_STRING, true, &name},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	level = log_level_parse(word);
	if (level < 0) {
		call->invalid = "level";
		return call_invalid(call);
	}
	if (name != NULL && service_find(master_plan(m), name, &service) < 0)
		return call_error(call, "NoSuchService", "service", name);
	master_set_level(m, (enum log_level)level, service);
	return call_reply(call, json_object());
}

static int
method_reopen_logs(struct master *m, struct call *call)
{
	char why[WHY_SIZE] = "";

	if (call_unpack(call, NULL, 0) < 0)
		return call_invalid(call);
	if (master_reopen_logs(m, why, sizeof(why)) < 0)
		return call_error_with(call, "ReopenFailed",
		    json_pack("{s:o}", "message", control_text(why)));
	return call_reply(call, json_object());
}

static int
method_stop(struct master *m, struct call *call)
{
	json_int_t drain_s = -1;
	const json_t *given = json_object_get(call->params, "drain_s");
	uint64_t drain_ms = master_plan(m)->drain_timeout_ms;
	const struct call_param params[] = {
	    {"drain_s", CALL_INT, true, &drain_s},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	if (json_is_integer(given)) {
		if (drain_s < 0 || drain_s > DRAIN_MAX_S) {
			call->invalid = "drain_s";
			return call_invalid(call);
		}
		drain_ms = (uint64_t)drain_s * 1000;
	}
	master_stop(m, drain_ms);
	return call_reply(call, json_object());
}

/* clang-format off */
static const struct method methods[] = {
	/* name               access              streams  handler */
	{ "GetStatus",        ACCESS_READ,        false,   method_get_status },
	{ "ListConnections",  ACCESS_READ,        true,
	  control_list_connections },
	{ "CloseConnections", ACCESS_CHANGE,      false,
	  control_close_connections },
	{ "Reload",           ACCESS_PARAMETERS,  false,   control_reload },
	{ "Rebalance",        ACCESS_CHANGE,      false,   control_rebalance },
	{ "SetLogLevel",      ACCESS_CHANGE,      false,
	  method_set_log_level },
	{ "ReopenLogs",       ACCESS_CHANGE,      false,   method_reopen_logs },
	{ "Stop",             ACCESS_CHANGE,      false,   method_stop },
	{ "Upgrade",          ACCESS_CHANGE,      false,   control_upgrade },
};
/* clang-format on */

const struct interface control_interface_ours = {
    .name = "io.srvd.Control",
    .description = control_description_ours,
    .methods = methods,
    .methods_count = ARRAY_LEN(methods),
};

const struct interface *const control_interfaces[] = {
    &control_interface_service,
    &control_interface_ours,
};
const size_t control_interfaces_count = ARRAY_LEN(control_interfaces);

const struct interface *
control_interface_find(const char *name)
{
	for (size_t i = 0; i < control_interfaces_count; i++) {
		if (strcmp(control_interfaces[i]->name, name) == 0)
			return control_interfaces[i];
	}
	return NULL;
}

/* name is interface.Method. */
static const struct method *
method_find(const char *name)
{
	for (size_t i = 0; i < control_interfaces_count; i++) {
		const struct interface *interface = control_interfaces[i];
		size_t length = strlen(interface->name);

		if (strncmp(name, interface->name, length) != 0 ||
		    name[length] != '.')
			continue;
		for (size_t j = 0; j < interface->methods_count; j++) {
			if (strcmp(interface->methods[j].name,
				name + length + 1) == 0)
				return &interface->methods[j];
		}
	}
	return NULL;
}

int
control_deny(struct call *call)
{
	return call_service_error(call, "PermissionDenied", NULL, NULL);
}

int
control_call(struct master *m, struct call *call)
{
	const struct method *method = method_find(call->name);

	if (method == NULL)
		return call_service_error(call, "MethodNotFound", "method",
		    call->name);
	if (method->access == ACCESS_CHANGE && !call->may_change)
		return control_deny(call);
	if (method->streams && !call->more)
		return call_service_error(call, "ExpectedMore", NULL, NULL);
	call->m = m;
	return method->run(m, call);
}
