/*
 * control_filter - which connections are meant; see control_filter.h.
 *
 * A criterion is one row below and the function that reads it.
 */
#include <errno.h>
#include <string.h>

#include "server/master/control_filter.h"

struct reading {
	const struct plan *plan;
	struct filter *filter;
	struct control_filter_fault *fault;
	const char *service; /* as named so far */
};

/* 0, -EINVAL if value is not what the description says, or -ENOENT with
 * fault: it names nothing. */
typedef int criterion_fn(struct reading *reading, const json_t *value);

static int
number_read(const json_t *value, uint64_t *number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -EINVAL;
	*number = (uint64_t)json_integer_value(value);
	return 0;
}

/* Longer than time is as long as a number may be. */
static int
seconds_read(const json_t *value, uint64_t *ms)
{
	uint64_t seconds;
	int error = number_read(value, &seconds);

	if (error == 0)
		*ms = seconds > UINT64_MAX / 1000 ? UINT64_MAX : seconds * 1000;
	return error;
}

static int
id_read(struct reading *reading, const json_t *value)
{
	return number_read(value, &reading->filter->id);
}

static int
service_read(struct reading *reading, const json_t *value)
{
	const struct plan *plan = reading->plan;

	reading->service = json_string_value(value);
	if (reading->service == NULL)
		return -EINVAL;
	for (uint32_t i = 0; i < plan->services.count; i++) {
		const struct plan_service *service = plan_service(plan, i);

		if (service->state == ROW_EMPTY ||
		    strcmp(plan_string(plan, service->name),
			reading->service) != 0)
			continue;
		reading->filter->service = i;
		return 0;
	}
	reading->fault->service = reading->service;
	return -ENOENT;
}

/* A backend's name means something within its service alone. */
static int
backend_read(struct reading *reading, const json_t *value)
{
	const struct plan *plan = reading->plan;
	const char *name = json_string_value(value);

	if (name == NULL || reading->service == NULL)
		return -EINVAL;
	for (uint32_t i = 0; i < plan->backends.count; i++) {
		const struct plan_backend *backend = plan_backend(plan, i);

		if (backend->state == ROW_EMPTY ||
		    backend->service != reading->filter->service ||
		    strcmp(plan_string(plan, backend->name), name) != 0)
			continue;
		reading->filter->backend = i;
		return 0;
	}
	reading->fault->service = reading->service;
	reading->fault->backend = name;
	return -ENOENT;
}

static int
client_read(struct reading *reading, const json_t *value)
{
	return json_is_string(value)
	    ? filter_set_client(reading->filter, json_string_value(value))
	    : -EINVAL;
}

static int
state_read(struct reading *reading, const json_t *value)
{
	int state = json_is_string(value)
	    ? filter_state_parse(json_string_value(value))
	    : -EINVAL;

	if (state < 0)
		return state;
	reading->filter->state = (uint32_t)state;
	return 0;
}

static int
idle_read(struct reading *reading, const json_t *value)
{
	return seconds_read(value, &reading->filter->idle_ms);
}

static int
age_read(struct reading *reading, const json_t *value)
{
	return seconds_read(value, &reading->filter->age_ms);
}

/* In the order they are read: a backend's after its service's. */
static const struct criterion {
	const char *name;
	enum filter_criterion bit;
	criterion_fn *read;
} criteria[] = {
    {"id", FILTER_ID, id_read},
    {"service", FILTER_SERVICE, service_read},
    {"backend", FILTER_BACKEND, backend_read},
    {"client", FILTER_CLIENT, client_read},
    {"state", FILTER_STATE, state_read},
    {"idle_s", FILTER_IDLE, idle_read},
    {"age_s", FILTER_AGE, age_read},
};

static bool
is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(criteria); i++) {
		if (strcmp(criteria[i].name, name) == 0)
			return true;
	}
	return false;
}

/* -EINVAL, with the name of the one found wrong. */
static int
criterion_read(struct reading *reading, const struct criterion *criterion,
    const json_t *value)
{
	int error;

	if (value == NULL || json_is_null(value))
		return 0;
	error = criterion->read(reading, value);
	if (error == 0)
		reading->filter->criteria |= criterion->bit;
	else if (error != -ENOENT)
		reading->fault->invalid = criterion->name;
	return error == 0 ? 0 : -EINVAL;
}

int
control_filter_read(const struct plan *plan, const json_t *object,
    struct filter *filter, struct control_filter_fault *fault)
{
	struct reading reading = {
	    .plan = plan, .filter = filter, .fault = fault};
	const char *key;
	json_t *value;
	int error = 0;

	memset(filter, 0, sizeof(*filter));
	memset(fault, 0, sizeof(*fault));
	/* jansson's iterator takes no const; it changes nothing. */
	json_object_foreach((json_t *)object, key, value)
	{
		if (is_known(key))
			continue;
		fault->invalid = key;
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_LEN(criteria) && error == 0; i++)
		error = criterion_read(&reading, &criteria[i],
		    json_object_get(object, criteria[i].name));
	return error;
}

int
control_filter_refuse(struct call *call,
    const struct control_filter_fault *fault)
{
	if (fault->invalid != NULL) {
		call->invalid = fault->invalid;
		return call_invalid(call);
	}
	if (fault->backend != NULL)
		return call_error_with(call, "NoSuchBackend",
		    json_pack("{s:s, s:s}", "service", fault->service,
			"backend", fault->backend));
	return call_error(call, "NoSuchService", "service", fault->service);
}
