/*
 * reload_check - what a reload would change; see reload_check.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/attr.h"
#include "common/log.h"
#include "server/master/master.h"
#include "server/master/reload_check.h"
#include "server/master/status.h"

/* More are counted, but don't fill the log. */
#define LINES_MAX 50

/* How many sockets of seats that are no more one worker would accept on
 * besides its own. */
static uint64_t
most_extras(const struct listeners *listeners, const struct plan *to)
{
	uint64_t most = 0;

	for (uint32_t n = 0; n < listeners->count; n++) {
		const struct listener_group *group = &listeners->groups[n];

		if (n / 2 < to->listeners.count && group->settled > 0 &&
		    plan_listener(to, n / 2)->state == ROW_ACTIVE &&
		    plan_listener(to, n / 2)->born == group->born)
			most += (group->settled - 1) / to->workers;
	}
	return most;
}

static int
check_workers(const struct master *m, const struct plan *to, char *why,
    size_t why_size)
{
	uint64_t extras = most_extras(&m->listeners, to);

	if (extras > BODY_EXTRAS_MAX) {
		(void)snprintf(why, why_size,
		    "workers is %u, and each would have to listen on %llu "
		    "sockets of those that are no more, where %d are allowed: "
		    "to have so few needs a restart",
		    to->workers, (unsigned long long)extras, BODY_EXTRAS_MAX);
		return -EINVAL;
	}
	if (!bodies_can_resize(m, to->workers)) {
		(void)snprintf(why, why_size,
		    "workers is %u, and some that were too many before still "
		    "hand their connections over: try again in a moment",
		    to->workers);
		return -EINVAL;
	}
	return 0;
}

int
reload_check(const struct master *m, const struct plan *to, char *why,
    size_t why_size)
{
	const struct plan *from = m->plan;
	const char *section = "";
	const char *key = "";
	const char *fault;

	if (config_needs_restart(from, to, &section, &key)) {
		(void)snprintf(why, why_size,
		    "%s%s%s has another value, which needs a restart", section,
		    *section == '\0' ? "" : ".", key);
		return -EINVAL;
	}
	if (plan_check_succession(from, to, &fault) < 0) {
		(void)snprintf(why, why_size,
		    "the new plan can't follow the one in force: %s", fault);
		return -EINVAL;
	}
	return check_workers(m, to, why, why_size);
}

/* The row of the service that what has changed belongs to. */
static uint32_t
service_of(const struct plan *to, const struct config_change *change)
{
	return change->object == OBJECT_BACKEND
	    ? plan_backend(to, change->index)->service
	    : change->index;
}

static const char *
action_of(const struct plan *to, const struct config_change *change)
{
	static const char *const words[] = {
	    [ON_REMOVE_KEEP] = "keep",
	    [ON_REMOVE_DRAIN] = "drain",
	    [ON_REMOVE_CLOSE] = "close",
	};

	if (change->kind != CHANGE_REMOVED)
		return "";
	return words[plan_service(to, service_of(to, change))->on_remove];
}

/* In the plan in force; a row that is new has none. */
static uint64_t
connections_of(const struct master *m, const struct config_change *change)
{
	struct service_status service;
	struct backend_status backend;

	if (change->kind == CHANGE_ADDED)
		return 0;
	if (change->object == OBJECT_SERVICE) {
		status_service(m, change->index, &service);
		return service.connections;
	}
	status_backend(m, change->index, &backend);
	return backend.connections;
}

static void
complete(const struct master *m, const struct plan *to,
    struct reload_change *change)
{
	change->action = "";
	if (change->what.object != OBJECT_SERVICE &&
	    change->what.object != OBJECT_BACKEND)
		return;
	change->connections = connections_of(m, &change->what);
	change->action = action_of(to, &change->what);
}

int
reload_list_changes(const struct master *m, const struct plan *to,
    struct reload_change **changes, size_t *count)
{
	struct config_change *differences = NULL;
	int rc = config_diff(m->plan, to, &differences, count);

	*changes = NULL;
	if (rc < 0)
		return rc;
	*changes = calloc(*count + 1, sizeof(**changes));
	if (*changes == NULL) {
		free(differences);
		return -ENOMEM;
	}
	for (size_t i = 0; i < *count; i++) {
		(*changes)[i].what = differences[i];
		complete(m, to, &(*changes)[i]);
	}
	free(differences);
	return 0;
}

/* In words */

static const char *const kinds[] = {
    [CHANGE_ADDED] = "added",
    [CHANGE_CHANGED] = "changed",
    [CHANGE_REMOVED] = "removed",
};

static const char *const objects[] = {
    [OBJECT_SERVICE] = "service",
    [OBJECT_LISTENER] = "listener",
    [OBJECT_BACKEND] = "backend",
    [OBJECT_SETTING] = "setting",
};

static void
count_changes(const struct reload_outcome *outcome, char *text, size_t size)
{
	size_t counts[ARRAY_LEN(kinds)] = {0};

	for (size_t i = 0; i < outcome->changes_count; i++)
		counts[outcome->changes[i].what.kind]++;
	(void)snprintf(text, size, "added=%zu changed=%zu removed=%zu",
	    counts[CHANGE_ADDED], counts[CHANGE_CHANGED],
	    counts[CHANGE_REMOVED]);
}

void
reload_sentence(const struct reload_outcome *outcome, char *text, size_t size)
{
	const struct config_error *first = outcome->errors;
	char more[40] = "";

	if (outcome->errors_count > 1)
		(void)snprintf(more, sizeof(more), "; and %zu more",
		    outcome->errors_count - 1);
	if (outcome->ok)
		count_changes(outcome, text, size);
	else if (outcome->errors_count == 0)
		(void)snprintf(text, size, "%s: %s", outcome->stage,
		    outcome->message);
	else if (first->line == 0)
		(void)snprintf(text, size, "%s: %s%s", first->file,
		    first->message, more);
	else
		(void)snprintf(text, size, "%s:%u: %s%s", first->file,
		    first->line, first->message, more);
}

static void
log_errors(const struct reload_outcome *outcome)
{
	for (size_t i = 0; i < outcome->errors_count; i++) {
		const struct config_error *e = &outcome->errors[i];

		if (e->line != 0)
			log_error("%s:%u: %s", e->file, e->line, e->message);
		else
			log_error("%s: %s", e->file, e->message);
	}
}

static void
log_change(const struct reload_change *change)
{
	const struct config_change *what = &change->what;
	bool has_service = what->object != OBJECT_SERVICE &&
	    what->service != NULL && what->service[0] != '\0';

	if (*change->action != '\0' && change->connections > 0)
		log_info("reload: %s %s %s%s%s connections=%llu on_remove=%s",
		    kinds[what->kind], objects[what->object], what->name,
		    has_service ? " service=" : "",
		    has_service ? what->service : "",
		    (unsigned long long)change->connections, change->action);
	else
		log_info("reload: %s %s %s%s%s", kinds[what->kind],
		    objects[what->object], what->name,
		    has_service ? " service=" : "",
		    has_service ? what->service : "");
}

static void
log_success(const struct reload_outcome *outcome)
{
	char text[128];

	if (outcome->changes_count == 0) {
		log_info("reload: nothing has changed generation=%llu",
		    (unsigned long long)outcome->generation);
		return;
	}
	for (size_t i = 0; i < outcome->changes_count && i < LINES_MAX; i++)
		log_change(&outcome->changes[i]);
	count_changes(outcome, text, sizeof(text));
	log_info("reload: the new configuration is in force generation=%llu %s",
	    (unsigned long long)outcome->generation, text);
}

void
reload_log(const struct reload_outcome *outcome, bool details)
{
	char text[640];

	if (outcome->dry_run)
		return;
	if (outcome->ok) {
		log_success(outcome);
		return;
	}
	if (details)
		log_errors(outcome);
	if (outcome->errors_count > 0)
		log_error("reload refused: the configuration has errors, the "
			  "one in force stays errors=%zu",
		    outcome->errors_count);
	else {
		reload_sentence(outcome, text, sizeof(text));
		log_error("reload refused, the configuration in force stays: "
			  "%s",
		    text);
	}
}
