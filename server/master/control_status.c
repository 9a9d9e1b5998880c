/*
 * control_status - the reply of GetStatus.
 *
 * Every function returns an object that the caller owns, or NULL when out of
 * memory; json_pack() passes a NULL inside on to the whole, and frees the rest.
 *
 * Runs in: master.  Knows of the gateway only what status.h tells.
 */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "common/shortage.h"
#include "common/version.h"
#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/status.h"
#include "server/state/body.h"

static json_t *
config_json(const struct plan *plan, const struct gateway_status *status)
{
	return json_pack("{s:o, s:I}", "path",
	    control_text(plan_string(plan, plan->config_path)), "loaded_at_us",
	    control_number(status->loaded_at_us));
}

static json_t *
reload_json(const struct gateway_status *status)
{
	const char *message = status->reload_message;

	return json_pack("{s:b, s:I, s:o}", "ok", (int)status->reload_ok,
	    "at_us", control_number(status->reload_at_us), "message",
	    control_text(message == NULL ? "" : message));
}

static json_t *
death_json(const struct worker_status *status)
{
	char address[32];

	if (!status->has_death)
		return json_null();
	(void)snprintf(address, sizeof(address), "0x%llx",
	    (unsigned long long)status->death_address);
	/* Without an address there is no such member. */
	return json_pack("{s:I, s:s, s:i, s:s*, s:I}", "at_us",
	    control_number(status->death_at_us), "cause", status->death_cause,
	    "signal", status->death_signal, "address",
	    status->death_address == BODY_NO_ADDRESS ? NULL : address,
	    "culprit", control_number(status->death_culprit));
}

/* A worker wrote them: bits that are none may be set. */
static bool
has_shortage(uint32_t shortages)
{
	return (shortages & ((1u << SHORTAGES) - 1)) != 0;
}

static json_t *
shortages_json(uint32_t shortages)
{
	json_t *words = json_array();

	for (uint32_t i = 0; i < SHORTAGES; i++) {
		if ((shortages >> i & 1) != 0)
			control_row(&words,
			    json_string(shortage_word((enum shortage)i)));
	}
	return words;
}

static json_t *
worker_json(const struct master *m, uint32_t i)
{
	struct worker_status status = {.pid = 0};
	json_t *worker;

	status_worker(m, i, &status);
	worker = json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:o}", "index",
	    control_number(status.index), "pid", (json_int_t)status.pid,
	    "holder_pid", (json_int_t)status.holder_pid, "state", status.state,
	    "connections", control_number(status.connections), "accepted",
	    control_number(status.accepted), "respawns",
	    control_number(status.respawns), "last_death", death_json(&status));
	if ((status.fault != NULL &&
		json_object_set_new(worker, "fault",
		    control_text(status.fault)) < 0) ||
	    (has_shortage(status.shortages) &&
		json_object_set_new(worker, "short_of",
		    shortages_json(status.shortages)) < 0)) {
		json_decref(worker);
		return NULL;
	}
	return worker;
}

static json_t *
listener_json(const struct master *m, uint32_t i)
{
	const struct plan *plan = master_plan(m);
	const struct plan_listener *listener = plan_listener(plan, i);
	const struct plan_service *service =
	    plan_service(plan, listener->service);
	struct addr bound = {.kind = ADDR_NONE};
	char text[ADDR_TEXT_SIZE];

	status_listener_bound(m, i, &bound);
	return json_pack("{s:o, s:o, s:o}", "address",
	    control_text(plan_string(plan, listener->text)), "bound",
	    control_text(addr_format(&bound, text)), "service",
	    control_text(plan_string(plan, service->name)));
}

static json_t *
backend_json(const struct master *m, uint32_t i)
{
	const struct plan *plan = master_plan(m);
	const struct plan_backend *backend = plan_backend(plan, i);
	struct backend_status status = {.state = "up", .admin = "ready"};

	status_backend(m, i, &status);
	return json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:I}", "name",
	    control_text(plan_string(plan, backend->name)), "address",
	    control_text(plan_string(plan, backend->text)), "state",
	    status.state, "admin", status.admin, "connections",
	    control_number(status.connections), "accepted",
	    control_number(status.accepted), "failed",
	    control_number(status.failed));
}

static json_t *
workers_json(const struct master *m, uint32_t count)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < count; i++)
		control_row(&rows, worker_json(m, i));
	return rows;
}

static json_t *
backends_json(const struct master *m, const struct plan_service *service)
{
	json_t *rows = json_array();

	for (uint32_t i = service->first_backend; i != PLAN_END;
	     i = plan_backend(master_plan(m), i)->next)
		control_row(&rows, backend_json(m, i));
	return rows;
}

static json_t *
service_json(const struct master *m, uint32_t i)
{
	const struct plan *plan = master_plan(m);
	const struct plan_service *service = plan_service(plan, i);
	struct service_status status = {.connections = 0};

	status_service(m, i, &status);
	return json_pack("{s:o, s:I, s:I, s:I, s:o}", "name",
	    control_text(plan_string(plan, service->name)), "connections",
	    control_number(status.connections), "accepted",
	    control_number(status.accepted), "refused",
	    control_number(status.refused), "backends",
	    backends_json(m, service));
}

static json_t *
totals_json(const struct master *m)
{
	struct totals_status status = {.connections = 0};

	status_totals(m, &status);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "connections", control_number(status.connections), "accepted",
	    control_number(status.accepted), "refused",
	    control_number(status.refused), "failed_dials",
	    control_number(status.failed_dials), "bytes_up",
	    control_number(status.bytes_up), "bytes_down",
	    control_number(status.bytes_down), "deaths",
	    control_number(status.deaths), "culprits",
	    control_number(status.culprits), "log_dropped",
	    control_number(status.log_dropped));
}

/* Is a service shown?  All that the configuration has, or the one asked for. */
static bool
is_shown(const struct plan *plan, uint32_t i, const uint32_t *service)
{
	return plan_service(plan, i)->state == ROW_ACTIVE &&
	    (service == NULL || *service == i);
}

static json_t *
listeners_json(const struct master *m, const uint32_t *service)
{
	const struct plan *plan = master_plan(m);
	json_t *rows = json_array();

	for (uint32_t i = 0; i < plan->services.count; i++) {
		if (!is_shown(plan, i, service))
			continue;
		for (uint32_t k = plan_service(plan, i)->first_listener;
		     k != PLAN_END; k = plan_listener(plan, k)->next)
			control_row(&rows, listener_json(m, k));
	}
	return rows;
}

static json_t *
services_json(const struct master *m, const uint32_t *service)
{
	const struct plan *plan = master_plan(m);
	json_t *rows = json_array();

	for (uint32_t i = 0; i < plan->services.count; i++) {
		if (is_shown(plan, i, service))
			control_row(&rows, service_json(m, i));
	}
	return rows;
}

/* Only while there is such a time. */
static json_t *
with_stop(json_t *reply, const struct gateway_status *status)
{
	if (reply == NULL || !status->is_stopping ||
	    json_object_set_new(reply, "stopping_ms",
		json_integer(control_number(status->stop_left_ms))) == 0)
		return reply;
	json_decref(reply);
	return NULL;
}

json_t *
control_status(const struct master *m, const uint32_t *service)
{
	const struct plan *plan = master_plan(m);
	struct gateway_status status = {.workers = 0};
	json_t *reply;

	status_gateway(m, &status);
	reply = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, "
			  "s:o}",
	    "version", SRVD_VERSION, "pid", (json_int_t)getpid(), "uptime_s",
	    control_number(status.uptime_s), "generation",
	    control_number(plan->generation), "max_connections",
	    control_number(plan->max_connections), "config",
	    config_json(plan, &status), "last_reload", reload_json(&status),
	    "workers", workers_json(m, status.workers + status.retiring),
	    "listeners", listeners_json(m, service), "services",
	    services_json(m, service), "totals", totals_json(m));
	return with_stop(reply, &status);
}
