/*
 * control_methods - the interfaces the control socket serves.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_CONTROL_METHODS_H
#define SRVD_MASTER_CONTROL_METHODS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/control_call.h"

struct master;

/* Answers the call by one of control_call's functions, now or later (C3), and
 * returns what that returned.  An error: there is no answer and the client is
 * dropped. */
typedef int method_fn(struct master *m, struct call *call);

enum access {
	ACCESS_READ,
	ACCESS_CHANGE,
	ACCESS_PARAMETERS /* they decide: the handler asks may_change */
};

struct method {
	const char *name;
	enum access access;
	bool streams;
	method_fn *run;
};

struct interface {
	const char *name;
	const char *description; /* the .varlink file */
	const struct method *methods;
	size_t methods_count;
};

/* In the order GetInfo lists them. */
extern const struct interface *const control_interfaces[];
extern const size_t control_interfaces_count;

extern const struct interface control_interface_ours;
extern const struct interface control_interface_service;

/* NULL: none of this name. */
const struct interface *control_interface_find(const char *name);

/* Find the method and run it, if the caller may. */
must_check int control_call(struct master *m, struct call *call);

/* PermissionDenied. */
must_check int control_deny(struct call *call);

/* Methods with a file of their own. */
method_fn control_list_connections;
method_fn control_close_connections;
method_fn control_rebalance;
method_fn control_reload;
method_fn control_upgrade;

/* The parameters of GetStatus' reply, of all services if service is NULL;
 * NULL: out of memory. */
json_t *control_status(const struct master *m, const uint32_t *service);

/* The .varlink files of common/, made by the build. */
extern const char control_description_ours[];
extern const char control_description_service[];

#endif
