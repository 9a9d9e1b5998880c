/*
 * control_filter - the object that says which connections are meant.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_CONTROL_FILTER_H
#define SRVD_MASTER_CONTROL_FILTER_H

#include <jansson.h>

#include "common/attr.h"
#include "server/master/control_call.h"
#include "server/state/filter.h"
#include "server/state/plan.h"

/* What is wrong with one: invalid, or what it names and does not exist. */
struct control_filter_fault {
	const char *invalid; /* the parameter */
	const char *service;
	const char *backend; /* of service */
};

/*
 * Read object, NULL: all connections.  Names may be of what has left the
 * configuration and is still in use.  Returns 0, or -EINVAL with *fault,
 * whose strings live as long as object.
 */
must_check int control_filter_read(const struct plan *plan,
    const json_t *object, struct filter *filter,
    struct control_filter_fault *fault);

/* The answer then. */
must_check int control_filter_refuse(struct call *call,
    const struct control_filter_fault *fault);

#endif
