/*
 * verb_reload - srvctl reload: put the configuration's files in force, and
 * say what that changed.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/cells.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/reply.h"
#include "ctl/text.h"

/* What kind of change: its sign and how it looks. */
static void
cell_kind(struct table *table, const json_t *change)
{
	static const struct {
		const char *kind;
		const char *sign;
		enum table_style style;
	} kinds[] = {
	    {"added", "+", STYLE_GOOD},
	    {"changed", "~", STYLE_WARN},
	    {"removed", "-", STYLE_BAD},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (json_text_is(change, "kind", kinds[i].kind)) {
			table_cell(table, kinds[i].style, kinds[i].sign);
			return;
		}
	}
	cell_text(table, change, "kind");
}

static void
change_row(struct table *table, const json_t *change)
{
	const char *service = json_text_of(change, "service");
	const char *name = json_text_of(change, "name");
	bool whole = json_text_is(change, "object", "service");
	char count[TEXT_SIZE];
	int64_t connections = json_number_of(change, "connections");

	cell_kind(table, change);
	cell_text(table, change, "object");
	table_cell(table, STYLE_PLAIN,
	    whole && service[0] == '\0' ? name : service);
	table_cell(table, STYLE_PLAIN, whole ? "" : name);
	table_cell(table, STYLE_PLAIN,
	    connections == 0 ? "" : text_count(connections, count));
	cell_text(table, change, "action");
}

static void
print_changes(const json_t *changes)
{
	static const struct table_column columns[] = {
	    {.title = ""},
	    {.title = "OBJECT", .rank = 2},
	    {.title = "SERVICE"},
	    {.title = "NAME"},
	    {.title = "CONNECTIONS", .right = true, .rank = 1},
	    {.title = "ACTION", .rank = 3},
	};
	struct table_look look = table_look(stdout);
	struct table *table = table_new(columns, ARRAY_LEN(columns), &look);
	size_t i;
	json_t *change;

	json_array_foreach(changes, i, change) change_row(table, change);
	table_flush(table, stdout);
	table_free(table);
}

static void
reload_print(const struct command *command, void *arg, const json_t *parameters)
{
	const json_t *changes = json_object_get(parameters, "changes");
	long long generation =
	    (long long)json_number_of(parameters, "generation");

	(void)arg;
	print_changes(changes);
	if (json_array_size(changes) == 0)
		printf("nothing has changed: generation %lld stays in force\n",
		    generation);
	else if (command->dry_run)
		printf("dry run: a reload would do this; generation %lld stays "
		       "in force\n",
		    generation);
	else
		printf("generation %lld is in force\n", generation);
}

enum ctl_exit
verb_reload(const struct command *command)
{
	json_t *parameters =
	    command->dry_run ? json_pack("{s:b}", "dry_run", 1) : json_object();

	return reply_ask(command,
	    &(struct question){.method = REPLY_INTERFACE ".Reload",
		.parameters = parameters,
		.changes = !command->dry_run,
		.print = reload_print});
}
