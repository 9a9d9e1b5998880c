/*
 * verb_connections - srvctl connections: list those that the filters hold for.
 *
 * They come in batches and are printed as they come: the first batch decides
 * about columns and widths.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/cells.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/reply.h"
#include "ctl/text.h"

struct listing {
	struct table *table;
	int64_t count;
};

/* Widths that most rows to come will fit in. */
#define LEAST_ADDRESS 21 /* 255.255.255.255:65535 */
#define LEAST_BYTES   10 /* 1023.9 KiB */
#define LEAST_AGE     7  /* 23h 59m */
#define LEAST_ID      6
#define LEAST_STATE   8 /* relaying */

static const struct table_column columns[] = {
    {.title = "ID", .right = true, .least = LEAST_ID},
    {.title = "SERVICE"},
    {.title = "BACKEND", .rank = 2},
    {.title = "CLIENT", .least = LEAST_ADDRESS},
    {.title = "SERVER", .rank = 5, .least = LEAST_ADDRESS},
    {.title = "STATE", .rank = 4, .least = LEAST_STATE},
    {.title = "UP", .right = true, .rank = 1, .least = LEAST_BYTES},
    {.title = "DOWN", .right = true, .rank = 1, .least = LEAST_BYTES},
    {.title = "AGE", .right = true, .rank = 3, .least = LEAST_AGE},
    {.title = "IDLE", .right = true, .rank = 3, .least = LEAST_AGE},
    {.title = "WORKER", .right = true, .extra = true, .rank = 6},
    {.title = "LOCAL", .extra = true, .rank = 7, .least = LEAST_ADDRESS},
    {.title = "SOURCE", .extra = true, .rank = 8, .least = LEAST_ADDRESS},
    {.title = "FLAGS", .extra = true, .rank = 9},
};

/* The words of an array, with commas between. */
static void
cell_words(struct table *table, const json_t *words)
{
	char text[TEXT_SIZE] = "";
	size_t used = 0;
	size_t i;
	json_t *word;

	json_array_foreach(words, i, word)
	{
		const char *value = json_string_value(word);
		int length = snprintf(text + used, sizeof(text) - used, "%s%s",
		    used == 0 ? "" : ",", value == NULL ? "?" : value);

		if (length < 0 || (size_t)length >= sizeof(text) - used)
			break;
		used += (size_t)length;
	}
	table_cell(table, STYLE_PLAIN, text);
}

static void
connection_row(struct table *table, const json_t *connection)
{
	char index[32];

	(void)snprintf(index, sizeof(index), "%lld",
	    (long long)json_number_of(connection, "worker"));
	cell_number(table, connection, "id");
	cell_text(table, connection, "service");
	cell_text(table, connection, "backend");
	cell_text(table, connection, "client");
	cell_text(table, connection, "server");
	cell_state(table, connection, "state", "relaying", "");
	cell_bytes(table, connection, "bytes_up");
	cell_bytes(table, connection, "bytes_down");
	cell_age(table, connection, "age_ms");
	cell_age(table, connection, "idle_ms");
	table_cell(table, STYLE_PLAIN, index);
	cell_text(table, connection, "local");
	cell_text(table, connection, "source");
	cell_words(table, json_object_get(connection, "flags"));
}

static void
batch_print(const struct command *command, void *arg, const json_t *parameters)
{
	struct listing *listing = arg;
	json_t *connections = json_object_get(parameters, "connections");
	size_t i;
	json_t *connection;

	(void)command;
	json_array_foreach(connections, i, connection)
	    connection_row(listing->table, connection);
	listing->count += (int64_t)json_array_size(connections);
	table_flush(listing->table, stdout);
}

static void
summary_print(const struct command *command, const struct listing *listing)
{
	char text[TEXT_SIZE];

	if (listing->count > 0)
		printf("%s\n", text_connections(listing->count, text));
	else
		printf("no connections%s\n",
		    json_object_size(command->filter) > 0 ? " match" : "");
}

enum ctl_exit
verb_connections(const struct command *command)
{
	struct table_look look = table_look(stdout);
	struct listing listing = {.count = 0};
	enum ctl_exit status;

	if (command->wide) {
		look.extra = true;
		look.width = 0;
	}
	listing.table = table_new(columns, ARRAY_LEN(columns), &look);
	status = reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".ListConnections",
		.parameters = json_pack("{s:O}", "filter", command->filter),
		.streams = true,
		.print = batch_print,
		.arg = &listing});
	if (status == CTL_DONE && look.terminal && !command->json)
		summary_print(command, &listing);
	table_free(listing.table);
	return status;
}
