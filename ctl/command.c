/*
 * command - srvctl's command line; see command.h.
 *
 * The verbs stand in one table: the usage and the checks of arguments come
 * from it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "common/version.h"
#include "ctl/command.h"

#define TIMEOUT_S     10
#define TIMEOUT_MAX_S 86400

/* clang-format off */
static const struct verb verbs[] = {
	{ "status", "[SERVICE]",     "what the gateway is doing",
	  0, 1, false, verb_status },
	{ "call",   "METHOD [JSON]", "call a method of the control socket",
	  1, 2, false, verb_call },
	{ "check",  "[FILE]",        "check a configuration, changing nothing",
	  0, 1, true,  verb_check },
};
/* clang-format on */

enum {
	OPTION_SOCKET = 256,
	OPTION_JSON,
	OPTION_TIMEOUT,
	OPTION_VERSION
};

static const struct option options[] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"json", no_argument, NULL, OPTION_JSON},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void
print_help(FILE *out)
{
	fputs(
	    "usage: srvctl [--socket PATH] [--json] [--timeout S] VERB [ARGUMENT...]\n\n"
	    "verbs:\n",
	    out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-7s %-14s %s\n", verbs[i].name,
		    verbs[i].arguments, verbs[i].help);
	fprintf(out, "  %-7s %-14s %s\n\n", "help", "[VERB]", "this text");
	fprintf(out,
	    "options:\n"
	    "  --socket PATH   of the gateway (default: $SRVD_SOCKET, else\n"
	    "                  %s)\n"
	    "  --json          print what the gateway answers, one object a "
	    "line\n"
	    "  --timeout S     wait so many seconds for an answer (default "
	    "%d)\n"
	    "  --version       print the version\n"
	    "  -h, --help      print this text\n\n"
	    "exit status: 0 done, 1 refused by the gateway, 2 wrong usage,\n"
	    "             3 no gateway reached or no answer in time, 4 not "
	    "permitted\n",
	    SRVCTL_SOCKET, TIMEOUT_S);
}

static void
print_verb(const struct verb *verb, FILE *out)
{
	fprintf(out, "usage: srvctl %s%s %s\n", verb->local ? "" : "[OPTIONS] ",
	    verb->name, verb->arguments);
}

static const struct verb *
verb_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static enum ctl_exit
verb_unknown(const char *name)
{
	fprintf(stderr, "srvctl: there is no verb '%s'; there are:", name);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(stderr, " %s", verbs[i].name);
	fputs(" help\n", stderr);
	return CTL_USAGE;
}

static enum ctl_exit
help(int argc, char **argv)
{
	const struct verb *verb;

	if (argc == 0) {
		print_help(stdout);
		return CTL_DONE;
	}
	verb = verb_find(argv[0]);
	if (verb == NULL)
		return verb_unknown(argv[0]);
	print_verb(verb, stdout);
	printf("%s\n", verb->help);
	return CTL_DONE;
}

static int
timeout_set(struct command *command, const char *text)
{
	char why[128];
	uint64_t seconds;

	if (units_parse_number(text, 1, TIMEOUT_MAX_S, &seconds, why,
		sizeof(why)) < 0) {
		fprintf(stderr, "srvctl: --timeout: %s\n", why);
		return -1;
	}
	command->timeout_ms = seconds * 1000;
	return 0;
}

static int
socket_set(struct command *command, const char *path)
{
	if (path[0] == '\0') {
		fputs("srvctl: --socket: a path is missing\n", stderr);
		return -1;
	}
	command->socket = path;
	return 0;
}

struct parsed {
	bool any; /* option of those for the gateway */
	bool help;
	bool version;
};

static int
option_take(struct command *command, struct parsed *parsed, int option)
{
	switch (option) {
	case OPTION_SOCKET:
		parsed->any = true;
		return socket_set(command, optarg);
	case OPTION_TIMEOUT:
		parsed->any = true;
		return timeout_set(command, optarg);
	case OPTION_JSON:
		parsed->any = true;
		command->json = true;
		return 0;
	case OPTION_VERSION:
		parsed->version = true;
		return 0;
	case 'h':
		parsed->help = true;
		return 0;
	default: /* getopt has said what is wrong */
		fputs("srvctl: see srvctl --help\n", stderr);
		return -1;
	}
}

static enum ctl_exit
verb_run(const struct verb *verb, const struct command *command,
    bool options_given)
{
	if (command->argc < verb->least || command->argc > verb->most) {
		fprintf(stderr, "srvctl: %s: %s\n", verb->name,
		    command->argc < verb->least ? "an argument is missing"
						: "too many arguments");
		print_verb(verb, stderr);
		return CTL_USAGE;
	}
	if (verb->local && options_given) {
		fprintf(stderr,
		    "srvctl: %s asks no gateway and takes no --socket, "
		    "--json or --timeout\n",
		    verb->name);
		return CTL_USAGE;
	}
	return verb->run(command);
}

static enum ctl_exit
command_dispatch(struct command *command, const struct parsed *parsed)
{
	const struct verb *verb;
	const char *name = command->argv[0];

	if (parsed->help) {
		print_help(stdout);
		return CTL_DONE;
	}
	if (parsed->version) {
		printf("srvctl %s\n", SRVD_VERSION);
		return CTL_DONE;
	}
	if (command->argc == 0) {
		print_help(stderr);
		return CTL_USAGE;
	}
	command->argc--;
	command->argv++;
	if (strcmp(name, "help") == 0)
		return help(command->argc, command->argv);
	verb = verb_find(name);
	if (verb == NULL)
		return verb_unknown(name);
	return verb_run(verb, command, parsed->any);
}

/* Whether all that was printed could be. */
static enum ctl_exit
output_end(enum ctl_exit status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	perror("srvctl: cannot write the output");
	return status == CTL_DONE ? CTL_REFUSED : status;
}

enum ctl_exit
command_run(int argc, char **argv)
{
	struct parsed parsed = {.any = false};
	struct command command = {.program = argv[0],
	    .socket = getenv("SRVD_SOCKET"),
	    .timeout_ms = (uint64_t)TIMEOUT_S * 1000};
	int option;

	if (command.socket == NULL || command.socket[0] == '\0')
		command.socket = SRVCTL_SOCKET;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option_take(&command, &parsed, option) < 0)
			return CTL_USAGE;
	}
	command.argc = argc - optind;
	command.argv = argv + optind;
	return output_end(command_dispatch(&command, &parsed));
}
