/*
 * control_call - one call of a method; see control_call.h.
 *
 * The text is measured before jansson sees it, so that no nesting reaches its
 * recursion; jansson then rejects what JSON does not allow, duplicate keys and
 * numbers out of range among it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/master/control_call.h"

#define INTERFACE_OURS    "io.srvd.Control"
#define INTERFACE_SERVICE "org.varlink.service"
#define ERROR_NAME_SIZE   128

/* What is named as invalid when no key of the request can be. */
static const char whole_message[] = "message";

static bool
text_is_too_deep(const char *text, size_t length)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > CALL_DEPTH_MAX)
			return true;
	}
	return false;
}

static int
request_invalid(struct call *call, const char *what)
{
	call->invalid = what;
	return -EINVAL;
}

static int
request_flag(bool *flag, const json_t *value)
{
	if (!json_is_boolean(value))
		return -EINVAL;
	*flag = json_is_true(value);
	return 0;
}

static int
request_key(struct call *call, const char *key, json_t *value)
{
	bool upgrade = false;

	if (strcmp(key, "method") == 0) {
		call->name = json_string_value(value);
		return call->name == NULL ? -EINVAL : 0;
	}
	if (strcmp(key, "parameters") == 0) {
		call->params = json_is_null(value) ? NULL : value;
		return json_is_null(value) || json_is_object(value) ? 0
								    : -EINVAL;
	}
	if (strcmp(key, "more") == 0)
		return request_flag(&call->more, value);
	if (strcmp(key, "oneway") == 0)
		return request_flag(&call->oneway, value);
	/* Varlink's key for leaving the protocol, which nothing here does. */
	if (strcmp(key, "upgrade") == 0)
		return request_flag(&upgrade, value) < 0 || upgrade ? -EINVAL
								    : 0;
	return -EINVAL;
}

int
call_parse(struct call *call, const char *text, size_t length)
{
	json_error_t error;
	const char *key;
	json_t *value;

	*call = (struct call){.invalid = whole_message};
	if (text_is_too_deep(text, length))
		return -EINVAL;
	call->request =
	    json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (call->request == NULL)
		return json_error_code(&error) == json_error_out_of_memory
		    ? -ENOMEM
		    : -EINVAL;
	if (!json_is_object(call->request))
		return -EINVAL;
	json_object_foreach(call->request, key, value)
	{
		if (request_key(call, key, value) < 0)
			return request_invalid(call, key);
	}
	if (call->name == NULL)
		return request_invalid(call, "method");
	if (call->more && call->oneway)
		return request_invalid(call, "more");
	return 0;
}

void
call_release(struct call *call)
{
	if (call->gone != NULL && !call->answered)
		call->gone(call->m, call);
	json_decref(call->request);
	free(call->answer);
	free(call->state);
	*call = (struct call){.answered = false};
}

static const struct call_param *
param_find(const struct call_param *params, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(params[i].name, name) == 0)
			return &params[i];
	}
	return NULL;
}

static int
param_store(const struct call_param *param, const json_t *value)
{
	switch (param->type) {
	case CALL_STRING:
		if (!json_is_string(value))
			return -EINVAL;
		*(const char **)param->to = json_string_value(value);
		return 0;
	case CALL_BOOL:
		if (!json_is_boolean(value))
			return -EINVAL;
		*(bool *)param->to = json_is_true(value);
		return 0;
	case CALL_INT:
		if (!json_is_integer(value))
			return -EINVAL;
		*(json_int_t *)param->to = json_integer_value(value);
		return 0;
	case CALL_OBJECT:
		if (!json_is_object(value))
			return -EINVAL;
		*(const json_t **)param->to = value;
		return 0;
	}
	return -EINVAL;
}

static int
param_take(const struct call *call, const struct call_param *param)
{
	const json_t *value = json_object_get(call->params, param->name);

	if (value == NULL || json_is_null(value))
		return param->optional ? 0 : -EINVAL;
	return param_store(param, value);
}

int
call_unpack(struct call *call, const struct call_param *params, size_t count)
{
	const char *key;
	json_t *value;

	json_object_foreach(call->params, key, value)
	{
		if (param_find(params, count, key) == NULL)
			return request_invalid(call, key);
	}
	for (size_t i = 0; i < count; i++) {
		if (param_take(call, &params[i]) < 0)
			return request_invalid(call, params[i].name);
	}
	return 0;
}

/* Takes over reply, NULL if it could not be made. */
static int
call_answer(struct call *call, json_t *reply)
{
	assert(!call->answered && call->answer == NULL);
	if (reply == NULL)
		return -ENOMEM;
	if (!call->oneway) {
		call->answer = json_dumps(reply, JSON_COMPACT);
		if (call->answer != NULL)
			call->answer_length = strlen(call->answer) + 1;
	}
	json_decref(reply);
	return call->answer != NULL || call->oneway ? 0 : -ENOMEM;
}

static int
call_answer_last(struct call *call, json_t *reply)
{
	int error = call_answer(call, reply);

	call->answered = error == 0;
	return error;
}

int
call_reply(struct call *call, json_t *parameters)
{
	/* json_pack() gives NULL for a NULL object: C2 holds. */
	return call_answer_last(call,
	    json_pack("{s:o}", "parameters", parameters));
}

int
call_continue(struct call *call, json_t *parameters)
{
	assert(call->more);
	return call_answer(call,
	    json_pack("{s:o, s:b}", "parameters", parameters, "continues", 1));
}

/* Takes over parameters. */
static int
call_error_of(struct call *call, const char *interface, const char *error,
    json_t *parameters)
{
	char name[ERROR_NAME_SIZE];

	(void)snprintf(name, sizeof(name), "%s.%s", interface, error);
	return call_answer_last(call,
	    json_pack("{s:s, s:o}", "error", name, "parameters", parameters));
}

static json_t *
error_parameters(const char *key, const char *value)
{
	return key == NULL ? json_object() : json_pack("{s:s}", key, value);
}

int
call_error(struct call *call, const char *error, const char *key,
    const char *value)
{
	return call_error_of(call, INTERFACE_OURS, error,
	    error_parameters(key, value));
}

int
call_error_with(struct call *call, const char *error, json_t *parameters)
{
	return call_error_of(call, INTERFACE_OURS, error, parameters);
}

int
call_service_error(struct call *call, const char *error, const char *key,
    const char *value)
{
	return call_error_of(call, INTERFACE_SERVICE, error,
	    error_parameters(key, value));
}

int
call_invalid(struct call *call)
{
	assert(call->invalid != NULL);
	return call_service_error(call, "InvalidParameter", "parameter",
	    call->invalid);
}

int
call_stream(struct call *call, call_next_fn *next, void *state)
{
	call->next = next;
	call->state = state;
	return 0;
}

int
call_defer(struct call *call, call_gone_fn *gone)
{
	if (call->oneway)
		call->answered = true;
	else
		call->gone = gone;
	return 0;
}

void
call_finish(struct call *call, int error)
{
	call->gone = NULL;
	call->error = error;
	call->wake(call);
}

void
call_taken(struct call *call)
{
	free(call->answer);
	call->answer = NULL;
	call->answer_length = 0;
}
