/*
 * verbs - the table of srvctl's verbs; see command.h.
 */
#include <string.h>

#include "ctl/command.h"

/* What a method does that answers at once. */
#define TIMEOUT_S 10
/* Reading the files may take 30 s, preparing 2 s, following 5 s. */
#define RELOAD_TIMEOUT_S 45
/* The check may take 10 s, the hand-over 30 s. */
#define UPGRADE_TIMEOUT_S 60

const struct verb verbs_table[] = {
    {
	.name = "status",
	.arguments = "[SERVICE]",
	.summary = "what the gateway is doing",
	.text = "What is wrong stands first, on lines that begin with '!'.\n"
		"With SERVICE only that service is listed.\n",
	.most = 1,
	.options = OPTIONS_GATEWAY,
	.timeout_s = TIMEOUT_S,
	.run = verb_status,
    },
    {
	.name = "reload",
	.arguments = "[--dry-run]",
	.summary = "put the configuration's files in force",
	.text = "Answers when all workers follow the new configuration, and "
		"says what has\n"
		"changed; '+' added, '~' changed, '-' removed.  If anything is "
		"wrong, nothing\n"
		"changes and the exit status is 1 (5: it is stopping).\n",
	.options = OPTIONS_GATEWAY | OPTIONS_RELOAD,
	.timeout_s = RELOAD_TIMEOUT_S,
	.run = verb_reload,
    },
    {
	.name = "connections",
	.alias = "ls",
	.arguments = "[FILTER...] [--wide]",
	.summary = "list connections",
	.text = "All of them, or those that every filter holds for.\n",
	.options = OPTIONS_GATEWAY | OPTIONS_FILTER | OPTIONS_LIST,
	.timeout_s = TIMEOUT_S,
	.run = verb_connections,
    },
    {
	.name = "close",
	.arguments = "FILTER... [--reset] [--yes]",
	.summary = "close connections",
	.text = "Those that every filter holds for; at least one is needed.  "
		"On a terminal\n"
		"it asks first.\n",
	.options = OPTIONS_GATEWAY | OPTIONS_FILTER | OPTIONS_CLOSE,
	.timeout_s = RELOAD_TIMEOUT_S,
	.run = verb_close,
    },
    {
	.name = "rebalance",
	.arguments = "",
	.summary = "even out connections over the workers",
	.text = "Workers that have more connections than the others hand some "
		"over to those\n"
		"that have fewer; none breaks.\n",
	.options = OPTIONS_GATEWAY,
	.timeout_s = RELOAD_TIMEOUT_S,
	.run = verb_rebalance,
    },
    {
	.name = "log",
	.arguments = "LEVEL [SERVICE] | reopen",
	.summary = "set the log level, open log files again",
	.text = "LEVEL is error, warn, info or debug, of everything or of one "
		"service, until\n"
		"the gateway ends or a reload changes log.level.  'reopen' is "
		"for after log\n"
		"files have been moved away.\n",
	.least = 1,
	.most = 2,
	.options = OPTIONS_GATEWAY,
	.timeout_s = TIMEOUT_S,
	.run = verb_log,
    },
    {
	.name = "stop",
	.arguments = "[--drain SECONDS] [--no-wait]",
	.summary = "end the gateway",
	.text = "It accepts no more, waits for connections to end, and ends; "
		"'--drain 0' waits\n"
		"for none.  srvctl returns when it has ended.  Ctrl-C twice "
		"leaves it alone\n"
		"with that.\n",
	.options = OPTIONS_GATEWAY | OPTIONS_STOP,
	.timeout_s = TIMEOUT_S,
	.run = verb_stop,
    },
    {
	.name = "upgrade",
	.arguments = "[PROGRAM]",
	.summary = "put another srvd in the place of the one that runs",
	.text =
	    "PROGRAM is an absolute path, which only root may name; without "
	    "it, the file\n"
	    "that the gateway was started from, as it is now.  The new "
	    "program checks the\n"
	    "configuration first; then it takes over the process, and "
	    "every connection\n"
	    "goes on.  Answers when that is done.  If anything is wrong "
	    "before, nothing\n"
	    "changes and the exit status is 1 (5: it is stopping).\n",
	.most = 1,
	.options = OPTIONS_GATEWAY,
	.timeout_s = UPGRADE_TIMEOUT_S,
	.run = verb_upgrade,
    },
    {
	.name = "check",
	.arguments = "[FILE]",
	.summary = "check a configuration, changing nothing",
	.text = "Runs 'srvd -n -f FILE' and asks no gateway.\n",
	.most = 1,
	.run = verb_check,
    },
    {
	.name = "call",
	.arguments = "METHOD [JSON]",
	.summary = "call a method of the control socket",
	.text = "METHOD is one of io.srvd.Control, or a full name.  JSON is an "
		"object, its\n"
		"parameters.\n",
	.least = 1,
	.most = 2,
	.options = OPTIONS_GATEWAY,
	.timeout_s = UPGRADE_TIMEOUT_S,
	.run = verb_call,
    },
};
const size_t verbs_count = ARRAY_LEN(verbs_table);

const struct verb *
verb_find(const char *name)
{
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = &verbs_table[i];

		if (strcmp(verb->name, name) == 0 ||
		    (verb->alias != NULL && strcmp(verb->alias, name) == 0))
			return verb;
	}
	return NULL;
}
