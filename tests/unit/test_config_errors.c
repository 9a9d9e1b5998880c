/*
 * test_config_errors - wrong configurations: each gets its error, at its
 * line, and as many as there are mistakes.
 *
 * "trap N" are the known traps of libconfuse 3.3: (1) line numbers go wrong
 * behind comments, (2) an unclosed { passes, (3) a read error ends the
 * process, (4) includes leak, (5) unknown keys overflow the stack, (6) a NUL
 * has no message, (7) what is given twice merges, (8) numbers are octal or 0
 * by default, (9) sections forget their lines, (10) comments in lists fail,
 * (11) ${VAR} is replaced, (12) printing loses units, (13) the lexer is
 * global, (14) words become others silently.
 */
#include "tests/unit/config_file.h"

struct bad {
	const char *name;
	const char *text;
	uint32_t line;
	const char *message;
	size_t errors; /* 0: one */
};

#define USER "user = root\n" SERVICE
/* A service's settings, from line 3 on. */
#define IN_SERVICE(text)                                       \
	"user = root\nservice s { listen = 127.0.0.1:1\n" text \
	"\nbackend b { address = builtin:echo } }\n"
#define LISTEN(text)                               \
	"user = root\nservice s {\nlisten = " text \
	"\nbackend b { address = builtin:echo } }\n"
#define ADDRESS(text)                                     \
	"user = root\nservice s { listen = 127.0.0.1:1\n" \
	"backend b { address = " text " } }\n"

static const struct bad cases[] = {
    /* Comments and lines. */
    {"trap 1: # comments", "# a\n# b\n# c\nworkers = x\n" USER, 4, "workers",
	0},
    {"trap 1: // comments", "// a\n// b\nworkers = x\n" USER, 3, "workers", 0},
    {"trap 1: block comments", "/* a\n\n*/ /* b */\nworkers = x\n" USER, 4,
	"workers", 0},
    {"trap 1: comment behind a value", "workers = 1 # a\nwatchdog = 1\n" USER,
	2, "watchdog", 0},
    {"unended block comment", USER "/* a\n\n", 3, "no end", 0},
    {"block comment ends once", USER "/* a /* b */ */\n", 3, "*", 0},
    /* Braces. */
    {"trap 2: unclosed service",
	"user = root\nservice s { listen = 127.0.0.1:1\n"
	"backend b { address = builtin:echo }\n",
	2, "never closed", 0},
    {"trap 2: unclosed log", USER "log {\n level = info\n", 3, "never closed",
	0},
    {"trap 2: unclosed list",
	USER "service t { backend b { address = builtin:echo }\n listen = {", 4,
	"missing in the list", 2},
    {"trap 2: unclosed unknown section", USER "what {\n{ {\n", 3,
	"never closed", 2},
    {"one brace too many", USER "}\nworkers = x\n", 3, "closes nothing", 2},
    {"trap 9: a section's line", "user = root\n\n\nservice s {\n\n\n}\n", 4,
	"needs listen", 2},
    {"trap 9: a backend's line",
	"user = root\nservice s { listen = 127.0.0.1:1\n\nbackend b {\n\n}\n}",
	4, "needs address", 0},
    {"service swallows the next",
	"user = root\nservice s {\nlisten = 127.0.0.1:1\n"
	"backend b { address = builtin:echo }\n" SERVICE "}\n",
	5, "is a } missing above", 0},
    /* Bytes. */
    {"not UTF-8", USER "# \xff\n", 3, "not UTF-8", 0},
    {"overlong UTF-8", USER "# \xc0\xaf\n", 3, "not UTF-8", 0},
    {"UTF-8 surrogate", USER "# \xed\xa0\x80\n", 3, "not UTF-8", 0},
    {"UTF-8 past the end", USER "# \xf4\x90\x80\x80\n", 3, "not UTF-8", 0},
    {"cut UTF-8", USER "# \xe2\x82", 3, "not UTF-8", 0},
    {"byte order mark", "\xef\xbb\xbf" USER, 1, "byte order mark", 0},
    {"control character", USER "log { level = in\001fo }\n", 3, "control", 0},
    {"control character in a string", USER "log { target = \"/a\tb\" }\n", 3,
	"control", 0},
    {"lone carriage return", USER "workers = 1\rwatchdog = 5s\n", 3, "control",
	2},
    {"non-breaking space", USER "workers\xc2\xa0= 1\n", 3, "not known", 0},
    /* Strings. */
    {"unended string", USER "log { target = \"/a }\nworkers = x\n", 3,
	"not ended", 3},
    {"unended single quotes", USER "workers = '1\n", 3, "not ended", 0},
    {"string over lines", USER "log { target = \"/a\n/b\" }\n", 3, "not ended",
	4},
    {"unknown escape", USER "log { target = \"/a\\nb\" }\n", 3, "only \\\\", 0},
    {"backslash in a word", USER "log { target = /a\\ b }\n", 3, "backslash",
	2},
    {"quote within a word", USER "log { target = /a\"b\" }\n", 3, "middle", 2},
    {"no blank behind a string", USER "log { target = \"/a\"b }\n", 3,
	"blank is missing", 2},
    {"trap 11: ${ in a word", USER "log { target = /tmp/${HOME }\n", 3, "${",
	3},
    {"trap 11: ${ in a string", USER "log { target = \"${HOME}/x\" }\n", 3,
	"environment", 0},
    {"trap 11: ${ in single quotes", USER "workers = '${N}'\n", 3,
	"environment", 0},
    {"trap 11: ${ in a name",
	"service \"${X}\" { listen = 127.0.0.1:2\n"
	"backend b { address = builtin:echo } }\n" USER,
	1, "environment", 0},
    /* Twice. */
    {"trap 7: setting twice", USER "workers = 1\nworkers = 2\n", 4, "line 3",
	0},
    {"trap 7: service twice", "user = root\n" SERVICE SERVICE, 3,
	"service s is given twice: the first is at line 2", 0},
    {"trap 7: backend twice",
	IN_SERVICE("backend a { address = builtin:echo }\n"
		   "backend a { address = builtin:echo }"),
	4, "backend a is given twice", 0},
    {"trap 14: control twice",
	USER "control { mode = 600 }\n"
	     "control { path = /tmp/x }\n",
	4, "control is given twice", 0},
    {"trap 7: listen twice", IN_SERVICE("listen = 127.0.0.1:2"), 3,
	"listen is given twice", 0},
    {"trap 7: twice, the second is checked too",
	USER "log { level = info }\nlog { levle = x }\n", 4, "levle", 2},
    {"trap 7: a second log's values",
	USER "log { level = info }\nlog { level = x\ntarget = y }\n", 5,
	"target", 3},
    {"trap 7: a third control's values",
	USER "control { mode = 600 }\ncontrol { mode = 8 }\n"
	     "control { mode = 9 }\n",
	5, "octal", 4},
    {"trap 7: a second setting's value", USER "workers = 1\nworkers = x\n", 4,
	"whole number", 2},
    {"trap 7: a second list's values",
	IN_SERVICE("listen = {127.0.0.1:2,\n127.0.0.1, ::1:80}"), 4, "no port",
	3},
    {"trap 7: a second service's values",
	"user = root\n" SERVICE
	"service s {\nlisten = 127.0.0.1:99999 retries = 8\n"
	"backend b { address = builtin:echo }\n}\n",
	4, "65535", 3},
    {"trap 7: a second service's backend",
	"user = root\n" SERVICE "service s { listen = 127.0.0.1:1\n"
	"backend b { address = 127.0.0.1:0 }\n}\n",
	4, "can't be 0", 2},
    {"trap 7: a second service's own second backend",
	"user = root\n" SERVICE "service s { listen = 127.0.0.1:1\n"
	"backend b { address = builtin:echo }\n"
	"backend b { address = builtin:echo weight = x }\n}\n",
	5, "weight", 3},
    {"trap 7: a second backend's values",
	IN_SERVICE("backend a { address = builtin:echo }\n"
		   "backend a { address = 10.0.0.1:99999\nweight = -1 }"),
	5, "weight", 3},
    {"trap 7: a second backend's wrong keys",
	IN_SERVICE("backend a { address = builtin:echo }\n"
		   "backend a {\nadress = builtin:echo }"),
	5, "did you mean \"address\"", 3},
    {"values in a service with a bad name",
	USER "service \"a b\" { listen = 127.0.0.1:2\n"
	     "retries = 8 backend b { address = builtin:echo } }\n",
	4, "0 to 7", 2},
    {"+= and its value", USER "workers += x\n", 3, "whole number", 2},
    /* Numbers. */
    {"trap 8: hexadecimal", USER "workers = 0x10\n", 3, "whole number", 0},
    {"trap 8: float", IN_SERVICE("retries = 1.0"), 3, "whole number", 0},
    {"trap 8: inf", IN_SERVICE("idle_timeout = inf"), 3, "not a duration", 0},
    {"trap 8: exponent", USER "max_connections = 1e4\n", 3, "whole number", 0},
    {"trap 8: overflow", USER "max_connections = 18446744073709551617\n", 3,
	"out of range", 0},
    {"trap 8: wraps at 32 bits", USER "max_connections = 4294967297\n", 3,
	"out of range", 0},
    {"no workers", USER "workers = 0\n", 3, "1 to 128", 0},
    {"negative workers", USER "workers = -1\n", 3, "whole number", 0},
    {"many workers", USER "workers = 129\n", 3, "1 to 128", 0},
    {"many retries", IN_SERVICE("retries = 8"), 3, "0 to 7", 0},
    {"heavy backend",
	IN_SERVICE("backend a { address = builtin:echo weight = 257 }"), 3,
	"0 to 256", 0},
    {"no backlog", IN_SERVICE("backlog = 0"), 3, "1 to 65535", 0},
    /* Units. */
    {"trap 14: unit behind a blank", USER "drain_timeout = 30 s\n", 3,
	"write 30s", 0},
    {"trap 14: 10K is no number", USER "max_connections = 10K\n", 3,
	"whole number", 0},
    {"no unit", USER "watchdog = 5\n", 3, "write 5s", 0},
    {"unknown unit", USER "watchdog = 5sec\n", 3, "ms, s, m, h or d", 0},
    {"negative duration", USER "drain_timeout = -1s\n", 3, "not a duration", 0},
    {"endless duration", USER "drain_timeout = 99999999999d\n", 3,
	"out of range", 0},
    {"duration past 64 bits", USER "drain_timeout = 999999999999999999999s\n",
	3, "too long", 0},
    {"hasty watchdog", USER "watchdog = 2s\n", 3, "2500ms", 0},
    {"short keepalive", IN_SERVICE("keepalive = 10ms"), 3, "1s to", 0},
    /* Switches, modes, words. */
    {"trap 14: 1 is no switch", IN_SERVICE("nodelay = 1"), 3,
	"neither true nor false", 0},
    {"True is no switch", IN_SERVICE("nodelay = True"), 3,
	"neither true nor false", 0},
    {"mode is not octal", USER "control { mode = 689 }\n", 3, "octal", 0},
    {"mode with more bits", IN_SERVICE("mode = 1777"), 3, "0777", 0},
    {"symbolic mode", IN_SERVICE("mode = \"u=rw\""), 3, "octal", 0},
    {"unknown balance", IN_SERVICE("balance = roundrobbin"), 3,
	"roundrobin, leastconn", 0},
    {"later balance", IN_SERVICE("balance = random"), 3, "this version", 0},
    {"unknown level", USER "log { level = warning }\n", 3, "error, warn", 0},
    {"relative log", USER "log { target = srvd.log }\n", 3, "absolute", 0},
    {"relative control", USER "control { path = x.sock }\n", 3, "absolute", 0},
    {"empty value", USER "control { path = \"\" }\n", 3, "empty", 0},
    {"empty user", "user = \"\"\n" SERVICE, 1, "empty", 0},
    /* Words that become others. */
    {"trap 14: unquoted star", LISTEN("{*:80}"), 3, "quoted", 0},
    {"trap 14: unquoted star without list", LISTEN("*:80"), 3, "quoted", 0},
    {"trap 14: what is left of the star", LISTEN("{:80}"), 3, "no address", 0},
    {"trap 14: # within a word", USER "control { path = /run/a#b }\n", 3,
	"must be quoted", 0},
    {"trap 14: // within a word", ADDRESS("unix:/run//b"), 3, "must be quoted",
	0},
    {"trap 14: value that begins with //", USER "log { target = //x\n}\n", 3,
	"comment stands where a value", 0},
    {"trap 14: value that begins with /*", USER "log { target = /*x\n}\n", 3,
	"comment stands where a value", 0},
    {"trap 14: value that begins with #", USER "log { target = #x\n}\n", 3,
	"comment stands where a value", 0},
    {"trap 14: semicolon", USER "workers = 1;\n", 3, "; is not used", 0},
    {"trap 14: empty list", LISTEN("{}"), 3, "list is empty", 0},
    {"trap 10: comment instead of a value in a list", LISTEN("{ # a\n }"), 3,
	"list is empty", 0},
    /* Shapes. */
    {"no value", USER "workers =\nwatchdog = 5s\n", 3, "value is missing", 0},
    {"no sign", USER "workers 3\n", 3, "write workers = VALUE", 0},
    {"colon", USER "workers: 3\n", 3, "did you mean \"workers\"", 0},
    {"+=", USER "workers += 3\n", 3, "+= is not used", 0},
    {"list for one value", USER "workers = {1, 2}\n", 3, "not a list", 0},
    {"no comma", LISTEN("{127.0.0.1:1 127.0.0.1:2}"), 3, "comma is missing", 0},
    {"two commas", LISTEN("{127.0.0.1:1,, 127.0.0.1:2}"), 3,
	"value or } is missing", 0},
    {"section as a setting", USER "log = info\n", 3, "is a section", 0},
    {"section as a list", USER "log = { level = info }\n", 3, "is a section",
	0},
    {"setting as a section", USER "workers { 3 }\n", 3, "is a setting", 0},
    {"service without a name", USER "service { }\n", 3, "needs a name", 3},
    {"named log", USER "log x { level = info }\n", 3, "takes no name", 0},
    {"no brace", USER "service t\n", 3, "{ is missing", 0},
    {"no brace behind the name", USER "service t listen = x\n", 3,
	"{ is missing after service t", 0},
    {"lone word", USER "workers\n", 3, "neither a setting", 0},
    {"lone string", USER "\"workers\" = 3\n", 3, "neither a setting", 0},
    {"lone signs", USER "= = ( ) ,\n", 3, "is expected here", 0},
    {"section in a section", IN_SERVICE("service t { }"), 3, "}", 0},
    {"bad name",
	USER "service \"a b\" { listen = 127.0.0.1:2\n"
	     "backend b { address = builtin:echo } }\n",
	3, "letters, digits", 0},
    {"empty name",
	USER "service \"\" { listen = 127.0.0.1:2\n"
	     "backend b { address = builtin:echo } }\n",
	3, "letters, digits", 0},
    {"long name",
	USER
	"service "
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	" { listen = 127.0.0.1:2\nbackend b { address = builtin:echo } }\n",
	3, "letters, digits", 0},
    {"only a user", "user = root # x\n", 0, "at least one service", 0},
    {"no backend", "user = root\nservice s { listen = 127.0.0.1:1 }\n", 2,
	"at least one backend", 0},
    /* Names. */
    {"misspelt", USER "max_conections = 3\n", 3,
	"did you mean \"max_connections\"", 0},
    {"misspelt in a service", IN_SERVICE("idel_timeout = 3s"), 3,
	"did you mean \"idle_timeout\"", 0},
    {"misspelt section", USER "contrl { }\n", 3, "did you mean \"control\"", 0},
    {"misspelt include", USER "inclde(\"x\")\n", 3, "neither a setting", 0},
    {"misplaced", USER "balance = leastconn\n", 3, "goes into service", 0},
    {"misplaced upwards", IN_SERVICE("watchdog = 5s"), 3,
	"in the configuration itself", 0},
    {"nothing like it", USER "frobnicate = 3\n", 3, "is not known in", 0},
    {"capitals", USER "Workers = 3\n", 3, "did you mean \"workers\"", 0},
    {"later section", USER "dashboard { listen = 127.0.0.1:8080 }\n", 3,
	"does not act on \"dashboard\"", 0},
    {"log level off", USER "log { target = off }\n", 3, "is not known", 0},
    {"unknown access target", USER "log { access = nowhere }\n", 3,
	"write off, stderr, journal, syslog or", 0},
    {"unknown admin group",
	USER "control { admin_group = no-such-group-here }\n", 3, "admin_group",
	0},
    {"later list", IN_SERVICE("allow = {10.0.0.0/8, ::/0}"), 3,
	"does not act on \"allow\"", 0},
    {"later check", IN_SERVICE("check { type = connect interval = 2s }"), 3,
	"does not act on \"check\"", 0},
    {"later key of a backend",
	IN_SERVICE("backend a { address = builtin:echo send_proxy = v2 }"), 3,
	"does not act on \"send_proxy\"", 0},
    /* Addresses. */
    {"no port", LISTEN("127.0.0.1"), 3, "no port", 0},
    {"large port", LISTEN("127.0.0.1:65536"), 3, "65535", 0},
    {"bare IPv6", LISTEN("::1:80"), 3, "brackets", 0},
    {"name to listen on", LISTEN("localhost:80"), 3, "is a name", 0},
    {"builtin to listen on", LISTEN("builtin:echo"), 3, "listened on", 0},
    {"star for a backend", ADDRESS("\"*:80\""), 3, "one address", 0},
    {"port 0 for a backend", ADDRESS("127.0.0.1:0"), 3, "can't be 0", 0},
    {"relative socket", ADDRESS("unix:x"), 3, "absolute", 0},
    {"dashboard", ADDRESS("builtin:dashboard"), 3, "not in this version", 0},
    {"two in one list", LISTEN("{127.0.0.1:1,\n127.0.0.1:1}"), 4,
	"already by service s at line 3", 0},
    {"two services on one address",
	"user = root\n" SERVICE "service t { listen = 127.0.0.1:1\n"
	"backend b { address = builtin:echo } }\n",
	3, "by service s", 0},
    {"both families and one", LISTEN("{\"*:80\",\n\"[::]:80\"}"), 4, "already",
	0},
    {"both families twice", LISTEN("{\"*:80\",\n\"*:80\"}"), 4, "already", 2},
    {"the control socket", LISTEN("unix:/run/srvd/control.sock"), 3,
	"control socket", 0},
    /* Includes. */
    {"missing include", USER "include(\"missing.conf\")\n", 3,
	"there is no file", 0},
    {"trap 14: include with an unquoted star", USER "include(*.conf)\n", 3,
	"quoted", 0},
    {"include as a setting", USER "include = \"x\"\n", 3, "write include(", 0},
    {"include without brackets", USER "include \"x\"\n", 3, "write include(",
	0},
    {"include without an end", USER "include(\"x\"\n", 3, ") is missing", 0},
    {"empty include", USER "include(\"\")\n", 3, "empty", 0},
    {"include in a section", USER "log { include(\"x\") }\n", 3,
	"can't stand in log", 0},
    {"trap 3: include of a directory", USER "include(\"/tmp\")\n", 3,
	"directory", 0},
};

_Static_assert(ARRAY_LEN(cases) >= 100, "there are many ways to be wrong");

static void
check_case(const struct bad *c)
{
	struct config_result result;
	size_t errors = c->errors == 0 ? 1 : c->errors;

	write_text("bad.conf", c->text);
	result = load("bad.conf", true);
	if (result.errors_count != errors ||
	    !has_error(&result, "bad.conf", c->line, c->message)) {
		show_errors(&result);
		ck_abort_msg("%s: %zu errors, wanted %zu, with \"%s\" at %u",
		    c->name, result.errors_count, errors, c->message, c->line);
	}
	config_result_release(&result);
}

START_TEST(wrong_text_gets_its_errors)
{
	make_directory();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_case(&cases[i]);
}
END_TEST

UNIT_MAIN("config_errors", wrong_text_gets_its_errors)
