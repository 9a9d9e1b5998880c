/*
 * help - usage and help texts; see help.h.
 */
#include <string.h>

#include "ctl/help.h"
#include "ctl/option.h"
#include "ctl/wrap.h"

#define INDENT 2
#define GAP    2
#define LEFT   64 /* room for what stands left */
#define WIDTH  78

struct entry {
	char left[LEFT];
	const char *text; /* more lines are indented as the first */
};

static void
entry_print(const struct entry *entry, int width, FILE *out)
{
	const char *left = entry->left;
	const char *line = entry->text;

	for (;;) {
		size_t length = strcspn(line, "\n");

		fprintf(out, "%*s%-*s%*s%.*s\n", INDENT, "", width, left, GAP,
		    "", (int)length, line);
		if (line[length] == '\0')
			return;
		line += length + 1;
		left = "";
	}
}

/* count entries, which entry(i) writes down; it may leave some out. */
static void
entries_print(size_t count,
    bool (*entry_of)(size_t i, unsigned sets, struct entry *entry),
    unsigned sets, FILE *out)
{
	struct entry entry;
	int width = 0;

	for (size_t i = 0; i < count; i++) {
		if (entry_of(i, sets, &entry) &&
		    (int)strlen(entry.left) > width)
			width = (int)strlen(entry.left);
	}
	for (size_t i = 0; i < count; i++) {
		if (entry_of(i, sets, &entry))
			entry_print(&entry, width, out);
	}
}

static bool
verb_entry(size_t i, unsigned sets, struct entry *entry)
{
	const struct verb *verb = &verbs_table[i];

	(void)sets;
	(void)snprintf(entry->left, sizeof(entry->left), "%s%s%s", verb->name,
	    verb->arguments[0] == '\0' ? "" : " ", verb->arguments);
	entry->text = verb->summary;
	return true;
}

static bool
option_entry(size_t i, unsigned sets, struct entry *entry)
{
	const struct option_row *row = &options_table[i];

	(void)snprintf(entry->left, sizeof(entry->left), "--%s%s%s", row->name,
	    row->value == NULL ? "" : " ",
	    row->value == NULL ? "" : row->value);
	entry->text = row->help;
	return (row->set & sets) != 0;
}

static void
print_options(const char *title, unsigned sets, FILE *out)
{
	fprintf(out, "\n%s:\n", title);
	entries_print(options_count, option_entry, sets, out);
}

static void
print_exits(FILE *out)
{
	static const char *const exits[] = {
#define EXIT_TEXT(name, status, meaning) #status " " meaning,
	    CTL_EXITS(EXIT_TEXT)
#undef EXIT_TEXT
	};
	static const char title[] = "exit status:";
	struct wrap wrap = {
	    .out = out, .width = WIDTH, .indent = sizeof(title), .gap = 1};

	wrap_piece(&wrap, "%s", title);
	for (size_t i = 0; i < ARRAY_LEN(exits); i++)
		wrap_piece(&wrap, "%s%s", exits[i],
		    i + 1 < ARRAY_LEN(exits) ? "," : "");
	wrap_end(&wrap);
}

void
help_print(FILE *out)
{
	fputs("usage: srvctl [OPTION...] VERB [ARGUMENT...]\n\nverbs:\n", out);
	entries_print(verbs_count, verb_entry, 0, out);
	print_options("options",
	    OPTIONS_GATEWAY | OPTIONS_ALWAYS | OPTIONS_ALONE, out);
	fputs("\n'srvctl VERB --help' and 'srvctl help VERB' tell more about a "
	      "verb.\n\n",
	    out);
	print_exits(out);
}

void
help_print_usage(const struct verb *verb, FILE *out)
{
	fprintf(out, "usage: srvctl %s%s%s%s\n",
	    (verb->options & OPTIONS_GATEWAY) != 0 ? "[OPTION...] " : "",
	    verb->name, verb->arguments[0] == '\0' ? "" : " ", verb->arguments);
}

void
help_print_verb(const struct verb *verb, FILE *out)
{
	unsigned own =
	    verb->options & ~(unsigned)(OPTIONS_GATEWAY | OPTIONS_FILTER);

	help_print_usage(verb, out);
	if (verb->alias != NULL)
		fprintf(out, "also:  srvctl %s\n", verb->alias);
	fprintf(out, "\n%s\n\n%s", verb->summary, verb->text);
	if ((verb->options & OPTIONS_FILTER) != 0)
		print_options("filters", OPTIONS_FILTER, out);
	print_options("options",
	    own | (verb->options & OPTIONS_GATEWAY) | OPTIONS_ALWAYS, out);
	if ((verb->options & OPTIONS_GATEWAY) != 0)
		fprintf(out, "\ntimeout: %u s if no other is given\n",
		    verb->timeout_s);
}
