/*
 * control_service - org.varlink.service: what is served here.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include "common/version.h"
#include "server/master/control_methods.h"

static json_t *
interface_names(void)
{
	json_t *names = json_array();

	for (size_t i = 0; i < control_interfaces_count; i++) {
		if (json_array_append_new(names,
			json_string(control_interfaces[i]->name)) < 0) {
			json_decref(names);
			return NULL;
		}
	}
	return names;
}

static int
method_get_info(struct master *m, struct call *call)
{
	(void)m;
	if (call_unpack(call, NULL, 0) < 0)
		return call_invalid(call);
	return call_reply(call,
	    json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "srvd", "product",
		"srvd", "version", SRVD_VERSION, "url", SRVD_URL, "interfaces",
		interface_names()));
}

static int
method_get_interface_description(struct master *m, struct call *call)
{
	const char *name = NULL;
	const struct interface *interface;
	const struct call_param params[] = {
	    {"interface", CALL_STRING, false, &name},
	};

	(void)m;
	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	interface = control_interface_find(name);
	if (interface == NULL)
		return call_service_error(call, "InterfaceNotFound",
		    "interface", name);
	return call_reply(call,
	    json_pack("{s:s}", "description", interface->description));
}

/* clang-format off */
static const struct method methods[] = {
	/* name                        access        streams  handler */
	{ "GetInfo",                   ACCESS_READ,  false,   method_get_info },
	{ "GetInterfaceDescription",   ACCESS_READ,  false,
	  method_get_interface_description },
};
/* clang-format on */

const struct interface control_interface_service = {
    .name = "org.varlink.service",
    .description = control_description_service,
    .methods = methods,
    .methods_count = ARRAY_LEN(methods),
};
