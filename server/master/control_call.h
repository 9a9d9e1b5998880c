/*
 * control_call - one call of a method: what was asked, and its answer.
 *
 * Runs in: master.  Knows nothing of: sockets, the master.
 *
 * Invariants
 *  C1  A call is answered once, a oneway call never: call_reply() and the
 *      errors see to both.
 *  C2  A reply has no other keys than parameters, continues and error, and
 *      always has parameters.
 */
#ifndef SRVD_MASTER_CONTROL_CALL_H
#define SRVD_MASTER_CONTROL_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"

/* How deep a request may nest: objects and arrays, the outermost included. */
#define CALL_DEPTH_MAX 32

struct call {
	json_t *request;     /* owns what name and parameters point to */
	const char *name;    /* interface.Method */
	json_t *params;      /* an object, or NULL for none */
	const char *invalid; /* the parameter found wrong */
	bool more;
	bool oneway;
	bool may_change; /* the caller may call what changes something */
	bool answered;
	char *answer;         /* NUL-terminated, NULL: nothing to send */
	size_t answer_length; /* with its NUL */
};

enum call_type {
	CALL_STRING,
	CALL_BOOL,
	CALL_INT
};

/* One parameter a method takes. */
struct call_param {
	const char *name;
	enum call_type type;
	bool optional; /* may be absent or null: *to is left alone then */
	void *to;      /* const char **, bool *, json_int_t * */
};

/*
 * Read a request.  Returns 0, -EINVAL if it is no call (call->invalid says
 * what is wrong with it; an answer can be made), or -ENOMEM.  The call is to
 * be released in each case.
 */
must_check int call_parse(struct call *call, const char *text, size_t length);
void call_release(struct call *call);

/*
 * Take the parameters apart.  Returns 0, or -EINVAL if one is missing, unknown
 * or of the wrong type: return call_invalid() then.  Strings live as long as
 * the call.
 */
must_check int call_unpack(struct call *call, const struct call_param *params,
    size_t count);

/*
 * The answers.  All return 0, or -ENOMEM if none could be made.
 */
/* Takes over parameters; NULL: they could not be made, which is -ENOMEM. */
must_check int call_reply(struct call *call, json_t *parameters);
/* error of io.srvd.Control, with one string parameter (key NULL: none). */
must_check int call_error(struct call *call, const char *error, const char *key,
    const char *value);
/* The same of org.varlink.service. */
must_check int call_service_error(struct call *call, const char *error,
    const char *key, const char *value);
/* InvalidParameter with call->invalid. */
must_check int call_invalid(struct call *call);

#endif
