/*
 * option - srvctl's options; see option.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "ctl/option.h"

#define WHY_SIZE     160
#define SECONDS_MAX  31536000 /* a year */
#define TIMEOUT_MAX  86400
#define OPTION_FIRST 256 /* getopt's number of the first row */
#define OPTIONS_MAX  32  /* bits of given */

static int
wrong(const struct option_row *row, const char *why)
{
	fprintf(stderr, "srvctl: --%s: %s\n", row->name, why);
	return -EINVAL;
}

/* A number of seconds, or a duration with its unit. */
static int
seconds_parse(const struct option_row *row, const char *value, uint64_t least,
    uint64_t most, uint64_t *seconds)
{
	char why[WHY_SIZE];
	uint64_t ms = 0;

	if (value[0] != '\0' && strspn(value, "0123456789") == strlen(value)) {
		if (units_parse_number(value, least, most, seconds, why,
			sizeof(why)) < 0)
			return wrong(row, why);
		return 0;
	}
	if (units_parse_duration(value, &ms, why, sizeof(why)) < 0)
		return wrong(row, why);
	if (ms % 1000 != 0)
		return wrong(row, "it must be whole seconds");
	if (ms / 1000 < least)
		return wrong(row, "so short is not allowed");
	if (ms / 1000 > most)
		return wrong(row, "so long is not allowed");
	*seconds = ms / 1000;
	return 0;
}

static int
take_socket(struct command *command, const struct option_row *row,
    const char *value)
{
	if (value[0] == '\0')
		return wrong(row, "a path is missing");
	command->socket = value;
	return 0;
}

static int
take_timeout(struct command *command, const struct option_row *row,
    const char *value)
{
	return seconds_parse(row, value, 1, TIMEOUT_MAX, &command->timeout_s);
}

static int
take_drain(struct command *command, const struct option_row *row,
    const char *value)
{
	uint64_t seconds = 0;
	int error = seconds_parse(row, value, 0, SECONDS_MAX, &seconds);

	if (error == 0)
		command->drain_s = (int64_t)seconds;
	return error;
}

/* The options without a value. */
#define TAKE_FLAG(member)                                    \
	static int take_##member(struct command *command,    \
	    const struct option_row *row, const char *value) \
	{                                                    \
		(void)row;                                   \
		(void)value;                                 \
		command->member = true;                      \
		return 0;                                    \
	}
TAKE_FLAG(json)
TAKE_FLAG(help)
TAKE_FLAG(version)
TAKE_FLAG(dry_run)
TAKE_FLAG(wide)
TAKE_FLAG(reset)
TAKE_FLAG(yes)
TAKE_FLAG(no_wait)

static int
filter_set(struct command *command, const struct option_row *row,
    const char *key, json_t *value)
{
	if (json_object_set_new(command->filter, key, value) < 0)
		return wrong(row, "it is not UTF-8");
	return 0;
}

/* A name: the criterion is called as the option is. */
static int
take_name(struct command *command, const struct option_row *row,
    const char *value)
{
	if (value[0] == '\0')
		return wrong(row, "a name is missing");
	return filter_set(command, row, row->name, json_string(value));
}

static int
take_id(struct command *command, const struct option_row *row,
    const char *value)
{
	char why[WHY_SIZE];
	uint64_t id = 0;

	if (units_parse_number(value, 1, INT64_MAX, &id, why, sizeof(why)) < 0)
		return wrong(row, why);
	return filter_set(command, row, "id", json_integer((int64_t)id));
}

static int
take_state(struct command *command, const struct option_row *row,
    const char *value)
{
	static const char *const states[] = {"dialing", "relaying", "closing"};

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (strcmp(value, states[i]) == 0)
			return filter_set(command, row, "state",
			    json_string(value));
	}
	return wrong(row, "a state is dialing, relaying or closing");
}

/* Whether all bits of an address behind the first so many are zero. */
static bool
is_network(const unsigned char *ip, size_t size, size_t bits)
{
	for (size_t i = bits; i < size * 8; i++) {
		if ((ip[i / 8] & 0x80u >> i % 8) != 0)
			return false;
	}
	return true;
}

/* NULL, or a sentence about what is wrong. */
static const char *
client_wrong(const char *value)
{
	size_t length = strcspn(value, "/");
	char address[INET6_ADDRSTRLEN] = "";
	unsigned char ip[sizeof(struct in6_addr)] = {0};
	size_t size = sizeof(struct in_addr);
	uint64_t bits = 0;
	char why[WHY_SIZE];

	if (strcmp(value, "unix") == 0)
		return NULL;
	if (length < sizeof(address))
		(void)snprintf(address, sizeof(address), "%.*s", (int)length,
		    value);
	if (inet_pton(AF_INET, address, ip) != 1) {
		size = sizeof(struct in6_addr);
		if (inet_pton(AF_INET6, address, ip) != 1)
			return "write an address without a port or a network, "
			       "as in 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32; "
			       "or unix";
	}
	if (value[length] == '\0')
		return NULL;
	if (units_parse_number(value + length + 1, 0, size * 8, &bits, why,
		sizeof(why)) < 0)
		return size == sizeof(struct in_addr)
		    ? "behind the slash stands a number up to 32"
		    : "behind the slash stands a number up to 128";
	if (!is_network(ip, size, bits))
		return "the address has bits set behind its network's prefix: "
		       "write it as in 10.0.0.0/8";
	return NULL;
}

static int
take_client(struct command *command, const struct option_row *row,
    const char *value)
{
	const char *why = client_wrong(value);

	if (why != NULL)
		return wrong(row, why);
	return filter_set(command, row, "client", json_string(value));
}

/* A duration: the criterion has its unit in the name. */
static int
take_seconds(struct command *command, const struct option_row *row,
    const char *value)
{
	const char *key = strcmp(row->name, "idle") == 0 ? "idle_s" : "age_s";
	uint64_t seconds = 0;
	int error = seconds_parse(row, value, 0, SECONDS_MAX, &seconds);

	if (error < 0)
		return error;
	return filter_set(command, row, key, json_integer((int64_t)seconds));
}

/* clang-format off */
const struct option_row options_table[] = {
	{ "id", "NUMBER", "the connection with this number",
	  OPTIONS_FILTER, take_id },
	{ "service", "NAME", "of this service",
	  OPTIONS_FILTER, take_name },
	{ "backend", "NAME", "to this backend of the service",
	  OPTIONS_FILTER, take_name },
	{ "client", "ADDRESS", "from this address or network (10.0.0.0/8)",
	  OPTIONS_FILTER, take_client },
	{ "state", "STATE", "dialing, relaying or closing",
	  OPTIONS_FILTER, take_state },
	{ "idle", "TIME", "no byte for at least so long (30s, 5m, 1h)",
	  OPTIONS_FILTER, take_seconds },
	{ "age", "TIME", "accepted at least so long ago",
	  OPTIONS_FILTER, take_seconds },
	{ "dry-run", NULL, "do all but put it in force, and say what would be",
	  OPTIONS_RELOAD, take_dry_run },
	{ "wide", NULL, "all columns, however wide the terminal is",
	  OPTIONS_LIST, take_wide },
	{ "reset", NULL, "reset them, dropping what is under way",
	  OPTIONS_CLOSE, take_reset },
	{ "yes", NULL, "do not ask",
	  OPTIONS_CLOSE, take_yes },
	{ "drain", "SECONDS", "wait so long for connections (default: as\n"
	  "configured)", OPTIONS_STOP, take_drain },
	{ "no-wait", NULL, "return at once",
	  OPTIONS_STOP, take_no_wait },
	{ "socket", "PATH", "of the gateway (default: $SRVD_SOCKET, else\n"
	  SRVCTL_SOCKET ")", OPTIONS_GATEWAY, take_socket },
	{ "json", NULL, "print what the gateway answers, one object a line",
	  OPTIONS_GATEWAY, take_json },
	{ "timeout", "SECONDS", "wait so long for an answer",
	  OPTIONS_GATEWAY, take_timeout },
	{ "version", NULL, "print the version",
	  OPTIONS_ALONE, take_version },
	{ "help", NULL, "print this text (also -h)",
	  OPTIONS_ALWAYS, take_help },
};
/* clang-format on */
const size_t options_count = ARRAY_LEN(options_table);
_Static_assert(ARRAY_LEN(options_table) <= OPTIONS_MAX, "bits of given");

static int
option_take(struct command *command, size_t index, uint32_t *given)
{
	const struct option_row *row = &options_table[index];

	if (row->value != NULL && (*given & 1u << index) != 0)
		return wrong(row, "it is given twice");
	*given |= 1u << index;
	return row->take(command, row, optarg);
}

/* Backends have names of their own only within a service. */
static int
filter_check(const struct command *command)
{
	if (json_object_get(command->filter, "backend") == NULL ||
	    json_object_get(command->filter, "service") != NULL)
		return 0;
	fputs("srvctl: --backend: of which service? Give --service, too\n",
	    stderr);
	return -EINVAL;
}

int
options_read(struct command *command, int argc, char **argv, uint32_t *given)
{
	struct option options[ARRAY_LEN(options_table) + 1] = {{.name = NULL}};
	int option;

	for (size_t i = 0; i < options_count; i++)
		options[i] = (struct option){.name = options_table[i].name,
		    .has_arg = options_table[i].value == NULL
			? no_argument
			: required_argument,
		    .val = OPTION_FIRST + (int)i};
	*given = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			command->help = true;
			continue;
		}
		if (option < OPTION_FIRST) {
			/* getopt has said what is wrong. */
			fputs("srvctl: see srvctl --help\n", stderr);
			return -EINVAL;
		}
		if (option_take(command, (size_t)(option - OPTION_FIRST),
			given) < 0)
			return -EINVAL;
	}
	command->argc = argc - optind;
	command->argv = argv + optind;
	return filter_check(command);
}

int
options_check(uint32_t given, unsigned sets, const char *verb)
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		if ((given & 1u << i) == 0 || (sets & row->set) != 0)
			continue;
		if (row->set == OPTIONS_GATEWAY)
			fprintf(stderr,
			    "srvctl: %s asks no gateway and takes no --%s\n",
			    verb, row->name);
		else
			fprintf(stderr,
			    "srvctl: %s takes no --%s; see srvctl %s --help\n",
			    verb, row->name, verb);
		return -EINVAL;
	}
	return 0;
}
