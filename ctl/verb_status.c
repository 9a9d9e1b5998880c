/*
 * verb_status - srvctl status: what the gateway is doing, for a person.
 *
 * What is wrong stands first; then the gateway in two lines, and a table for
 * each kind of thing it has.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/problems.h"
#include "ctl/reply.h"
#include "ctl/table.h"
#include "ctl/text.h"

static void
cell_count(struct table *table, const json_t *object, const char *key)
{
	char text[TEXT_SIZE];

	table_cell(table, STYLE_PLAIN,
	    text_count(json_number_of(object, key), text));
}

/* A count of something bad. */
static void
cell_bad_count(struct table *table, const json_t *object, const char *key)
{
	char text[TEXT_SIZE];
	int64_t count = json_number_of(object, key);

	table_cell(table, count == 0 ? STYLE_PLAIN : STYLE_WARN,
	    text_count(count, text));
}

static void
cell_text(struct table *table, const json_t *object, const char *key)
{
	table_cell(table, STYLE_PLAIN, json_text_of(object, key));
}

static void
cell_pid(struct table *table, const json_t *object, const char *key)
{
	char text[32];
	int64_t pid = json_number_of(object, key);

	(void)snprintf(text, sizeof(text), "%lld", (long long)pid);
	table_cell(table, STYLE_PLAIN, pid == 0 ? "-" : text);
}

/* A state's word, green if it is the good one. */
static void
cell_state(struct table *table, const json_t *object, const char *key,
    const char *good, const char *bad)
{
	const char *word = json_text_of(object, key);
	enum table_style style = STYLE_WARN;

	if (strcmp(word, good) == 0)
		style = STYLE_GOOD;
	else if (strcmp(word, bad) == 0)
		style = STYLE_BAD;
	table_cell(table, style, word);
}

static void
print_age(int64_t at_us)
{
	char text[TEXT_SIZE];

	printf("%s", text_time(at_us, text));
	printf(" (%s ago)",
	    text_age((int64_t)time(NULL) - at_us / 1000000, text));
}

static void
print_gateway(const json_t *status)
{
	const json_t *config = json_object_get(status, "config");
	const json_t *totals = json_object_get(status, "totals");
	int64_t most = json_number_of(status, "max_connections");
	char text[TEXT_SIZE];

	printf("srvd %s", text_show(json_text_of(status, "version"), text));
	printf("  pid %lld", (long long)json_number_of(status, "pid"));
	printf("  up %s", text_age(json_number_of(status, "uptime_s"), text));
	printf("  connections %s",
	    text_count(json_number_of(totals, "connections"), text));
	if (most > 0)
		printf(" of %s", text_count(most, text));
	printf("\nconfiguration %s",
	    text_show(json_text_of(config, "path"), text));
	printf("  generation %lld  loaded ",
	    (long long)json_number_of(status, "generation"));
	print_age(json_number_of(config, "loaded_at_us"));
	printf("\n");
}

static void
print_totals(const json_t *status)
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
	char text[TEXT_SIZE];

	printf("totals");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf("  %s %s", rows[i].label,
		    rows[i].form(json_number_of(totals, rows[i].key), text));
	printf("\n");
}

static void
death_cell(struct table *table, const json_t *death)
{
	int number = (int)json_number_of(death, "signal");
	long long culprit = (long long)json_number_of(death, "culprit");
	const char *abbreviation = sigabbrev_np(number);
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
		(void)snprintf(what, sizeof(what), " %d", number);
	if (culprit != 0)
		(void)snprintf(connection, sizeof(connection),
		    ", closed connection %lld", culprit);
	(void)snprintf(line, sizeof(line), "%s %.32s%s%s",
	    text_time(json_number_of(death, "at_us"), when),
	    json_text_of(death, "cause"), what, connection);
	table_cell(table, STYLE_WARN, line);
}

static void
print_workers(const json_t *status, bool color)
{
	static const struct table_column columns[] = {
	    {"WORKER", true},
	    {"PID", true},
	    {"HOLDER", true},
	    {"STATE", false},
	    {"CONNECTIONS", true},
	    {"ACCEPTED", true},
	    {"RESPAWNS", true},
	    {"LAST DEATH", false},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	size_t i;
	json_t *worker;

	json_array_foreach(json_object_get(status, "workers"), i, worker)
	{
		cell_count(table, worker, "index");
		cell_pid(table, worker, "pid");
		cell_pid(table, worker, "holder_pid");
		cell_state(table, worker, "state", "running", "");
		cell_count(table, worker, "connections");
		cell_count(table, worker, "accepted");
		cell_bad_count(table, worker, "respawns");
		death_cell(table, json_object_get(worker, "last_death"));
	}
	printf("\n");
	table_print(table, stdout, color);
	table_free(table);
}

static void
print_listeners(const json_t *status, bool color)
{
	static const struct table_column columns[] = {
	    {"LISTENER", false},
	    {"BOUND TO", false},
	    {"SERVICE", false},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	size_t i;
	json_t *listener;

	json_array_foreach(json_object_get(status, "listeners"), i, listener)
	{
		cell_text(table, listener, "address");
		cell_text(table, listener, "bound");
		cell_text(table, listener, "service");
	}
	printf("\n");
	table_print(table, stdout, color);
	table_free(table);
}

static void
service_rows(struct table *table, const json_t *service)
{
	const json_t *backends = json_object_get(service, "backends");
	size_t i;
	json_t *backend;

	cell_text(table, service, "name");
	for (int blank = 0; blank < 4; blank++)
		table_cell(table, STYLE_PLAIN, "");
	cell_count(table, service, "connections");
	cell_count(table, service, "accepted");
	cell_bad_count(table, service, "refused");
	table_cell(table, STYLE_PLAIN, "");
	json_array_foreach(backends, i, backend)
	{
		table_cell(table, STYLE_PLAIN, "");
		cell_text(table, backend, "name");
		cell_text(table, backend, "address");
		cell_state(table, backend, "state", "up", "down");
		cell_state(table, backend, "admin", "ready", "down");
		cell_count(table, backend, "connections");
		cell_count(table, backend, "accepted");
		table_cell(table, STYLE_PLAIN, "");
		cell_bad_count(table, backend, "failed");
	}
}

static void
print_services(const json_t *status, bool color)
{
	static const struct table_column columns[] = {
	    {"SERVICE", false},
	    {"BACKEND", false},
	    {"ADDRESS", false},
	    {"STATE", false},
	    {"ADMIN", false},
	    {"CONNECTIONS", true},
	    {"ACCEPTED", true},
	    {"REFUSED", true},
	    {"FAILED", true},
	};
	struct table *table = table_new(columns, ARRAY_LEN(columns));
	size_t i;
	json_t *service;

	json_array_foreach(json_object_get(status, "services"), i, service)
	    service_rows(table, service);
	printf("\n");
	table_print(table, stdout, color);
	table_free(table);
}

static void
status_print(const struct command *command, json_t *status)
{
	bool color = table_color(stdout);

	(void)command;
	if (problems_print(status, stdout, color) > 0)
		printf("\n");
	print_gateway(status);
	print_totals(status);
	print_workers(status, color);
	print_services(status, color);
	print_listeners(status, color);
}

enum ctl_exit
verb_status(const struct command *command)
{
	json_t *parameters = json_object();

	if (command->argc == 1 &&
	    json_object_set_new(parameters, "service",
		json_string(command->argv[0])) < 0) {
		json_decref(parameters);
		fputs("srvctl: the service's name is not UTF-8\n", stderr);
		return CTL_USAGE;
	}
	return reply_ask(command, "io.srvd.Control.GetStatus", parameters,
	    status_print);
}
