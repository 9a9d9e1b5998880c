/*
 * test_completion - srvctl in bash: what is offered, with a gateway and
 * without, and that the tables in the script are those of the program.
 */
#include "ctl/command.h"
#include "ctl/option.h"
#include "tests/unit/control_server.h"

#define OUTPUT_SIZE 8192

static char output[OUTPUT_SIZE];

/* Run a bash script over the completion's file and a word; what it says on
 * stdout and stderr is in output, its blanks each as one space. */
static void
run_bash(const char *script, const char *word)
{
	int fds[2];
	FILE *file;
	char piece[512];
	size_t length = 0;
	int status;
	pid_t child;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		(void)setenv("SRVD_SOCKET", socket_path, 1);
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)dup2(fds[1], STDERR_FILENO);
		(void)execlp("bash", "bash", "--norc", "-c", script, "bash",
		    COMPLETION, PROGRAM, word, NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	file = fdopen(fds[0], "r");
	ck_assert_ptr_nonnull(file);
	output[0] = '\0';
	while (fscanf(file, "%511s", piece) == 1)
		length +=
		    (size_t)snprintf(output + length, sizeof(output) - length,
			"%s%s", length == 0 ? "" : " ", piece);
	ck_assert_uint_lt(length, sizeof(output));
	(void)fclose(file);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "bash ended with status %#x: %s", (unsigned)status, output);
}

/* As bash does when someone has typed "srvctl LINE" and then a tab. */
static void
offers(const char *line, const char *words)
{
	run_bash(". \"$1\"\n"
		 "COMP_LINE=\"srvctl $3\" COMP_POINT=$((7 + ${#3}))\n"
		 "spec=$(complete -p srvctl) spec=${spec#*-F }\n"
		 "\"${spec%% *}\" \"$2\"\n"
		 "echo \"${COMPREPLY[@]}\"\n",
	    line);
	ck_assert_msg(strcmp(output, words) == 0,
	    "srvctl %s: '%s' instead of '%s'", line, output, words);
}

/* The table that the script has in this variable. */
static void
has_table(const char *name, const char *table)
{
	run_bash(". \"$1\"; echo \"${!3}\"", name);
	ck_assert_str_eq(output, table);
}

static void
add(char *text, const char *gap, const char *word)
{
	size_t length = strlen(text);

	(void)snprintf(text + length, OUTPUT_SIZE - length, "%s%s",
	    length == 0 ? "" : gap, word);
}

static const struct {
	enum option_set set;
	const char *name;
} sets[] = {
    {OPTIONS_GATEWAY, "gateway"},
    {OPTIONS_FILTER, "filter"},
    {OPTIONS_RELOAD, "reload"},
    {OPTIONS_LIST, "list"},
    {OPTIONS_CLOSE, "close"},
    {OPTIONS_STOP, "stop"},
    {OPTIONS_ALONE, "alone"},
    {OPTIONS_ALWAYS, "always"},
};

static void
add_sets(char *text, unsigned options)
{
	char words[128] = "";

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		if ((options & sets[i].set) == 0)
			continue;
		options &= ~(unsigned)sets[i].set;
		add(words, ",", sets[i].name);
	}
	ck_assert_msg(options == 0, "a set that this test doesn't know");
	add(text, " ", *words == '\0' ? "-" : words);
}

START_TEST(it_knows_every_verb)
{
	static char table[OUTPUT_SIZE];

	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = &verbs_table[i];

		add(table, " ", verb->name);
		if (verb->alias != NULL)
			add(table, ",", verb->alias);
		add_sets(table, verb->options);
		if (*verb->arguments != '\0')
			add(table, " ", verb->arguments);
	}
	has_table("_srvctl_verbs", table);
}
END_TEST

START_TEST(it_knows_every_option)
{
	static char table[OUTPUT_SIZE];

	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		add(table, " ", "--");
		add(table, "", row->name);
		add_sets(table, row->set);
		if (row->value != NULL)
			add(table, " ", row->value);
	}
	has_table("_srvctl_options", table);
}
END_TEST

struct typed {
	const char *line;
	const char *words;
};

static void
check_all(const struct typed *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		offers(rows[i].line, rows[i].words);
}

START_TEST(words_without_a_gateway)
{
	static const struct typed rows[] = {
	    {"st", "status stop"},
	    {"re", "reload rebalance"},
	    {"l", "ls log"},
	    {"he", "help"},
	    {"help co", "connections"},
	    {"help status ", ""},
	    {"--", "--socket --json --timeout --version --help"},
	    {"status --", "--socket --json --timeout --help"},
	    {"reload --d", "--dry-run"},
	    {"check --", "--help"},
	    {"ls --i", "--id --idle"},
	    {"connections --wide --ba", "--backend"},
	    {"ls --state ", "dialing relaying closing"},
	    {"ls --state=r", "relaying"},
	    {"--state c", "closing"},
	    {"ls --client 10.0.0.1 --st", "--state"},
	    {"log ", "error warn info debug reopen"},
	    {"--json log d", "debug"},
	    {"log reopen ", ""},
	    {"stop --drain ", ""},
	    {"stop --drain 60 --no", "--no-wait"},
	    {"check /etc/servi", "/etc/services"},
	    {"--socket /etc/servi", "/etc/services"},
	    {"--socket=/etc/servi", "/etc/services"},
	    {"frob ", ""},
	    {"frob --", "--socket --json --timeout --version --help"},
	    /* What only a gateway would know. */
	    {"status ", ""},
	    {"ls --service ", ""},
	    {"call ", ""},
	    {"log info ", ""},
	    /* Nothing is run of what was typed. */
	    {"status $(echo x", ""},
	    {"--socket `echo x` status ", ""},
	    {"ls --service ';echo x;' --backend ", ""},
	};

	make_directory();
	check_all(rows, ARRAY_LEN(rows));
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(names_of_the_gateway)
{
	static const struct typed rows[] = {
	    {"status ", "redis web"},
	    {"status w", "web"},
	    {"status redis ", ""},
	    {"log warn ", "redis web"},
	    {"ls --service ", "redis web"},
	    {"ls --service=r", "redis"},
	    {"ls --backend ", ""},
	    {"ls --service redis --backend ", "a b"},
	    {"close --service=web --backend ", "a"},
	    {"ls --service none --backend ", ""},
	    {"call Get", "GetStatus"},
	    {"call Re", "Reload Rebalance ReopenLogs"},
	    {"call GetStatus ", ""},
	    {"--socket /nonexistent status ", ""},
	};

	server_begin();
	check_all(rows, ARRAY_LEN(rows));
	server_end();
}
END_TEST

/* One that takes connections and never says a word: the test's own limit
 * would end a completion that waits for it. */
START_TEST(a_silent_gateway_is_not_waited_for)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	make_directory();
	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	ck_assert_int_eq(listen(fd, 8), 0);
	offers("status ", "");
	(void)close(fd);
	ck_assert_int_eq(unlink(socket_path), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

UNIT_MAIN("completion", it_knows_every_verb, it_knows_every_option,
    words_without_a_gateway, names_of_the_gateway,
    a_silent_gateway_is_not_waited_for)
