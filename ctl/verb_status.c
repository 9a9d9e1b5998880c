/*
 * verb_status - srvctl status: what the gateway is doing, for a person.
 *
 * What is wrong stands first; then the gateway in two lines, and a table for
 * each kind of thing it has.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "ctl/cells.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/problems.h"
#include "ctl/reply.h"
#include "ctl/text.h"
#include "ctl/wrap.h"

static struct wrap
wrap_items(const struct table_look *look)
{
	return (struct wrap){
	    .out = stdout, .width = look->width, .indent = 2, .gap = 2};
}

static void
print_gateway(const json_t *status, const struct table_look *look)
{
	const json_t *totals = json_object_get(status, "totals");
	int64_t most = json_number_of(status, "max_connections");
	struct wrap wrap = wrap_items(look);
	char text[TEXT_SIZE];
	char limit[TEXT_SIZE];

	wrap_piece(&wrap, "srvd %s", json_text_of(status, "version"));
	wrap_piece(&wrap, "pid %lld", (long long)json_number_of(status, "pid"));
	wrap_piece(&wrap, "up %s",
	    text_age(json_number_of(status, "uptime_s"), text));
	wrap_piece(&wrap, "connections %s%s%s",
	    text_count(json_number_of(totals, "connections"), text),
	    most > 0 ? " of " : "", most > 0 ? text_count(most, limit) : "");
	wrap_end(&wrap);
}

static void
print_config(const json_t *status, const struct table_look *look)
{
	const json_t *config = json_object_get(status, "config");
	int64_t at_us = json_number_of(config, "loaded_at_us");
	struct wrap wrap = wrap_items(look);
	char when[TEXT_SIZE];
	char age[TEXT_SIZE];

	wrap_piece(&wrap, "configuration %s", json_text_of(config, "path"));
	wrap_piece(&wrap, "generation %lld",
	    (long long)json_number_of(status, "generation"));
	if (at_us > 0)
		wrap_piece(&wrap, "loaded %s (%s ago)", text_time(at_us, when),
		    text_age(((int64_t)clock_epoch_us() - at_us) / 1000000,
			age));
	wrap_end(&wrap);
}

static void
print_totals(const json_t *status, const struct table_look *look)
{
	static const struct {
		const char *label;
		const char *key;
		const char *(*form)(int64_t number, char text[TEXT_SIZE]);
	} rows[] = {
	    {"accepted", "accepted", text_count},
	    {"refused", "refused", text_count},
	    {"failed dials", "failed_dials", text_count},
	    {"up", "bytes_up", text_bytes},
	    {"down", "bytes_down", text_bytes},
	    {"worker deaths", "deaths", text_count},
	    {"culprits closed", "culprits", text_count},
	};
	const json_t *totals = json_object_get(status, "totals");
	struct wrap wrap = wrap_items(look);
	char text[TEXT_SIZE];

	wrap_piece(&wrap, "totals");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		wrap_piece(&wrap, "%s %s", rows[i].label,
		    rows[i].form(json_number_of(totals, rows[i].key), text));
	wrap_end(&wrap);
}

/* A table apart from what is above it. */
static void
table_end(struct table *table)
{
	if (!table_is_empty(table))
		putchar('\n');
	table_flush(table, stdout);
	table_free(table);
}

static void
death_cell(struct table *table, const json_t *death)
{
	int64_t number = json_number_of(death, "signal");
	long long culprit = (long long)json_number_of(death, "culprit");
	const char *abbreviation =
	    number > 0 && number < NSIG ? sigabbrev_np((int)number) : NULL;
	const char *address = json_text_of(death, "address");
	char what[64] = "";
	char connection[64] = "";
	char when[TEXT_SIZE];
	char line[2 * TEXT_SIZE];

	if (!json_is_object(death)) {
		table_cell(table, STYLE_PLAIN, "-");
		return;
	}
	if (abbreviation != NULL)
		(void)snprintf(what, sizeof(what), " SIG%s", abbreviation);
	else if (number != 0)
		(void)snprintf(what, sizeof(what), " %lld", (long long)number);
	if (culprit != 0)
		(void)snprintf(connection, sizeof(connection),
		    ", closed connection %lld", culprit);
	(void)snprintf(line, sizeof(line), "%.32s%s%s%.32s%s, %s",
	    json_text_of(death, "cause"), what, *address == '\0' ? "" : " at ",
	    address, connection,
	    text_time(json_number_of(death, "at_us"), when));
	table_cell(table, STYLE_WARN, line);
}

static void
print_workers(const json_t *status, const struct table_look *look)
{
	static const struct table_column columns[] = {
	    {.title = "WORKER", .right = true},
	    {.title = "PID", .right = true, .rank = 1},
	    {.title = "HOLDER", .right = true, .rank = 5},
	    {.title = "STATE"},
	    {.title = "CONNECTIONS", .right = true, .rank = 2},
	    {.title = "ACCEPTED", .right = true, .rank = 4},
	    {.title = "RESPAWNS", .right = true, .rank = 3},
	    {.title = "LAST DEATH", .narrow = 22},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns), look);
	size_t i;
	json_t *worker;

	json_array_foreach(json_object_get(status, "workers"), i, worker)
	{
		cell_count(table, worker, "index");
		cell_number(table, worker, "pid");
		cell_number(table, worker, "holder_pid");
		cell_state(table, worker, "state", "running", "");
		cell_count(table, worker, "connections");
		cell_count(table, worker, "accepted");
		cell_bad_count(table, worker, "respawns");
		death_cell(table, json_object_get(worker, "last_death"));
	}
	table_end(table);
}

static void
print_listeners(const json_t *status, const struct table_look *look)
{
	static const struct table_column columns[] = {
	    {.title = "LISTENER"},
	    {.title = "BOUND TO", .rank = 1},
	    {.title = "SERVICE"},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns), look);
	size_t i;
	json_t *listener;

	json_array_foreach(json_object_get(status, "listeners"), i, listener)
	{
		cell_text(table, listener, "address");
		cell_text(table, listener, "bound");
		cell_text(table, listener, "service");
	}
	table_end(table);
}

/* What is known of a backend, and what was asked of it by hand. */
static void
cell_backend_state(struct table *table, const json_t *backend)
{
	const char *admin = json_text_of(backend, "admin");
	char text[TEXT_SIZE];

	if (admin[0] == '\0' || strcmp(admin, "ready") == 0) {
		cell_state(table, backend, "state", "up", "down");
		return;
	}
	(void)snprintf(text, sizeof(text), "%.64s, %.64s by hand",
	    json_text_of(backend, "state"), admin);
	table_cell(table, STYLE_WARN, text);
}

static void
service_rows(struct table *table, const json_t *service)
{
	bool usable = problems_backends_usable(service) > 0;
	const json_t *backends = json_object_get(service, "backends");
	size_t i;
	json_t *backend;

	cell_text(table, service, "name");
	cell_empty(table);
	cell_empty(table);
	table_cell(table, usable ? STYLE_GOOD : STYLE_BAD,
	    usable ? "up" : "DOWN");
	cell_count(table, service, "connections");
	cell_count(table, service, "accepted");
	cell_bad_count(table, service, "refused");
	cell_empty(table);
	json_array_foreach(backends, i, backend)
	{
		cell_empty(table);
		cell_text(table, backend, "name");
		cell_text(table, backend, "address");
		cell_backend_state(table, backend);
		cell_count(table, backend, "connections");
		cell_count(table, backend, "accepted");
		cell_empty(table);
		cell_bad_count(table, backend, "failed");
	}
}

static void
print_services(const json_t *status, const struct table_look *look)
{
	static const struct table_column columns[] = {
	    {.title = "SERVICE"},
	    {.title = "BACKEND"},
	    {.title = "ADDRESS", .rank = 1},
	    {.title = "STATE"},
	    {.title = "CONNECTIONS", .right = true, .rank = 2},
	    {.title = "ACCEPTED", .right = true, .rank = 5},
	    {.title = "REFUSED", .right = true, .rank = 4},
	    {.title = "FAILED", .right = true, .rank = 3},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns), look);
	size_t i;
	json_t *service;

	json_array_foreach(json_object_get(status, "services"), i, service)
	    service_rows(table, service);
	table_end(table);
}

static void
status_print(const struct command *command, void *arg, const json_t *status)
{
	struct table_look look = table_look(stdout);

	(void)command;
	(void)arg;
	if (problems_print(status, stdout, &look) > 0)
		printf("\n");
	print_gateway(status, &look);
	print_config(status, &look);
	print_totals(status, &look);
	print_workers(status, &look);
	print_services(status, &look);
	print_listeners(status, &look);
}

enum ctl_exit
verb_status(const struct command *command)
{
	json_t *parameters = json_object();

	if (command->argc == 1 &&
	    json_object_set_new(parameters, "service",
		json_string(command->argv[0])) < 0) {
		json_decref(parameters);
		return reply_not_utf8("the service's name");
	}
	return reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".GetStatus",
		.parameters = parameters,
		.print = status_print});
}
