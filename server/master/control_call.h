/*
 * control_call - one call of a method: what was asked, and its answer.
 *
 * Runs in: master.  Knows nothing of: sockets, what a master is.
 *
 * Invariants
 *  C1  A call has one last answer, a oneway call none at all: call_reply()
 *      and the errors see to both.  Only a call with "more" has others before
 *      it, by call_continue().
 *  C2  A reply has no other keys than parameters, continues and error, and
 *      always has parameters.
 *  C3  A handler answers, or streams (next is asked for the answers, one
 *      whenever the client has taken the one before), or defers (somebody
 *      answers later and calls call_finish()).  gone is told of a call that
 *      ends without its last answer: whoever would answer must forget it.
 */
#ifndef SRVD_MASTER_CONTROL_CALL_H
#define SRVD_MASTER_CONTROL_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"

/* How deep a request may nest: objects and arrays, the outermost included. */
#define CALL_DEPTH_MAX 32

struct call;
struct master;

/* Makes one more answer of a stream, or none yet: it is asked again then.
 * Returns 0, or -errno: the client is dropped. */
typedef int call_next_fn(struct master *m, struct call *call);
typedef void call_gone_fn(struct master *m, struct call *call);
typedef void call_wake_fn(struct call *call);

struct call {
	json_t *request;     /* owns what name and parameters point to */
	const char *name;    /* interface.Method */
	json_t *params;      /* an object, or NULL for none */
	const char *invalid; /* the parameter found wrong */
	bool more;
	bool oneway;
	bool may_change;    /* the caller may call what changes something */
	bool is_root;       /* so is the caller */
	bool answered;      /* the last answer is made */
	struct master *m;   /* for the functions below */
	call_next_fn *next; /* it streams */
	call_gone_fn *gone; /* it is deferred */
	void *state;        /* of the stream; freed with the call */
	int error;          /* of making a deferred answer */
	call_wake_fn *wake; /* an answer has been made meanwhile */
	void *wake_arg;
	char *answer;         /* NUL-terminated, NULL: nothing to send */
	size_t answer_length; /* with its NUL */
};

enum call_type {
	CALL_STRING,
	CALL_BOOL,
	CALL_INT,
	CALL_OBJECT
};

/* One parameter a method takes. */
struct call_param {
	const char *name;
	enum call_type type;
	bool optional; /* may be absent or null: *to is left alone then */
	void *to; /* const char **, bool *, json_int_t *, const json_t ** */
};

/*
 * Read a request.  Returns 0, -EINVAL if it is no call (call->invalid says
 * what is wrong with it; an answer can be made), or -ENOMEM.  The call is to
 * be released in each case.
 */
must_check int call_parse(struct call *call, const char *text, size_t length);
/* Tells gone if the last answer is still due. */
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
/* The same, and more will follow. */
must_check int call_continue(struct call *call, json_t *parameters);
/* error of io.srvd.Control, with one string parameter (key NULL: none). */
must_check int call_error(struct call *call, const char *error, const char *key,
    const char *value);
/* The same of org.varlink.service. */
must_check int call_service_error(struct call *call, const char *error,
    const char *key, const char *value);
/* error of io.srvd.Control with these parameters, which it takes over. */
must_check int call_error_with(struct call *call, const char *error,
    json_t *parameters);
/* InvalidParameter with call->invalid. */
must_check int call_invalid(struct call *call);

/*
 * C3.  Both return 0.  call_stream() takes over state, which is freed by
 * free(); call_defer() of a oneway call lets the caller's next one follow at
 * once: whoever was to answer must have been told not to.
 */
must_check int call_stream(struct call *call, call_next_fn *next, void *state);
must_check int call_defer(struct call *call, call_gone_fn *gone);

/* The answer of a deferred call has been made, or not: error is what making it
 * returned. */
void call_finish(struct call *call, int error);

/* The client has taken the answer; the next may be made. */
void call_taken(struct call *call);

#endif
