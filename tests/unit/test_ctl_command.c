/*
 * test_ctl_command - srvctl's command line against a real control socket, and
 * against servers that are not one: exit statuses and output.
 */
#include <sys/prctl.h>

#include "ctl/command.h"
#include "tests/unit/control_server.h"

#define OUTPUT_SIZE 65536
#define ARGUMENTS   8

static char output[OUTPUT_SIZE];
static uid_t user; /* whose srvctl is; 0: the test's */

/* For good, so that its leaks can be looked for: that takes a process which is
 * all this user's, and dumpable. */
static void
become_user(void)
{
	if (user != 0 &&
	    (setuid(user) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0))
		_exit(125);
}

/* Run srvctl with these words; what it says on both is in output. */
static int
run(const char *words)
{
	char copy[512];
	char *argv[ARGUMENTS + 2] = {copy};
	int argc = 1;
	int fds[2];
	size_t length = 0;
	ssize_t count;
	int status;
	pid_t child;

	(void)snprintf(copy, sizeof(copy), "srvctl|%s", words);
	(void)strtok(copy, "|");
	while (argc <= ARGUMENTS && (argv[argc] = strtok(NULL, "|")) != NULL)
		argc++;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		(void)setenv("SRVD_SOCKET", socket_path, 1);
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)dup2(fds[1], STDERR_FILENO);
		become_user();
		exit((int)command_run(argc, argv));
	}
	(void)close(fds[1]);
	while ((count = read(fds[0], output + length,
		    sizeof(output) - 1 - length)) > 0)
		length += (size_t)count;
	output[length] = '\0';
	(void)close(fds[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "srvctl ended with status %#x",
	    (unsigned)status);
	return WEXITSTATUS(status);
}

/* Run and want this status, and this in the output. */
static void
wants(const char *words, int status, const char *text)
{
	int got = run(words);

	ck_assert_msg(got == status, "%s: %d instead of %d: %s", words, got,
	    status, output);
	ck_assert_msg(strstr(output, text) != NULL, "%s: no '%s' in: %s", words,
	    text, output);
}

START_TEST(usage)
{
	socket_path[0] = '\0';
	wants("--help", 0, "verbs:");
	wants("help", 0, "verbs:");
	wants("help|status", 0, "[SERVICE]");
	wants("help|frob", 2, "frob");
	wants("--version", 0, "srvctl ");
	wants("", 2, "usage:");
	wants("frob", 2, "there is no verb 'frob'");
	wants("--frob|status", 2, "--help");
	wants("status|a|b", 2, "too many arguments");
	wants("call", 2, "an argument is missing");
	wants("--timeout|0|status", 2,
	    "--timeout: 0 is out of range: write 1 ");
	wants("--timeout|0s|status", 2, "--timeout: so short");
	wants("--timeout|86401|status", 2, "write 1 to 86400");
	wants("--timeout|1.5|status", 2, "--timeout");
	wants("check|--json", 2, "asks no gateway");
	wants("close", 2, "At least one filter");
	wants("close|--yes", 2, "At least one filter");
	wants("close|--frob", 2, "--help");
	wants("log", 2, "an argument is missing");
	wants("log|loud", 2, "a level is");
	wants("log|reopen|web", 2, "too many arguments");
	wants("log|info|web|x", 2, "too many arguments");
	wants("reload|now", 2, "too many arguments");
	wants("status|--version", 2, "takes no --version");
	wants("call|Get\033Status", 2, "no name of a method");
	wants("call|X|[]", 2, "JSON object");
	wants("call|X|{", 2, "JSON object");
	wants("call|X|{\"a\":1,\"a\":2}", 2, "duplicate");
}
END_TEST

START_TEST(no_gateway)
{
	make_directory();
	wants("status", 3, socket_path);
	wants("--socket|/nonexistent/x|status", 3, "/nonexistent/x");
	wants("--json|status", 3, "no gateway reached");
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

/* What a master that has died leaves beside its socket says so. */
START_TEST(no_master)
{
	char bodies[sizeof(socket_path) + 8];
	char door[sizeof(bodies) + 2];

	make_directory();
	(void)snprintf(bodies, sizeof(bodies), "%s.bodies", socket_path);
	(void)snprintf(door, sizeof(door), "%s/0", bodies);
	ck_assert_int_eq(mkdir(bodies, 0700), 0);
	wants("status", 3, "is srvd running?"); /* it died while it stopped */
	ck_assert_int_eq(mknod(door, S_IFSOCK | 0600, 0), 0);
	wants("status", 3, "the master is away: workers go on");
	ck_assert_int_eq(unlink(door), 0);
	ck_assert_int_eq(rmdir(bodies), 0);
	wants("status", 3, "is srvd running?");
	ck_assert_ptr_null(strstr(output, "is away"));
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

/* Whether there is a worker is hidden from all but the master's user. */
START_TEST(no_master_to_be_seen)
{
	char bodies[sizeof(socket_path) + 8];

	if (geteuid() != 0)
		return; /* as whom else? */
	make_directory();
	(void)snprintf(bodies, sizeof(bodies), "%s.bodies", socket_path);
	ck_assert_int_eq(mkdir(bodies, 0700), 0);
	user = 65534;
	wants("status", 3, "the master is away: if workers go on");
	user = 0;
	ck_assert_int_eq(rmdir(bodies), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(status_shows_what_is_wrong_first)
{
	server_begin();
	wants("status", 0, "! worker 1: its body is not its own\n");
	ck_assert_ptr_eq(strchr(output, '!'), output);
	ck_assert_ptr_nonnull(strstr(output, "service web has no backend"));
	ck_assert_ptr_nonnull(strstr(output, "up 5s"));
	ck_assert_ptr_nonnull(strstr(output, "connections 0 of 100"));
	ck_assert_ptr_nonnull(strstr(output, "up 1.0 GiB"));
	ck_assert_ptr_nonnull(strstr(output,
	    "signal SIGSEGV at 0x7f3d5c0010a8, closed connection 17, "));
	ck_assert_ptr_nonnull(strstr(output, "0.0.0.0:12345  redis\n"));
	ck_assert_ptr_null(strchr(output, '\033'));
	ck_assert_ptr_null(strstr(output, " \n"));
	wants("status|redis", 0, "redis");
	ck_assert_ptr_null(strstr(output, "web"));
	wants("status|none", 1, "there is no such service: none");
	server_end();
}
END_TEST

START_TEST(json_is_one_object_a_line)
{
	json_t *reply;

	server_begin();
	wants("--json|status", 0, "\"generation\":7");
	ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
	reply = json_loads(output, 0, NULL);
	ck_assert(json_is_array(json_object_get(reply, "workers")));
	json_decref(reply);
	wants("status|none|--json", 1,
	    "{\"error\":\"io.srvd.Control.NoSuchService\","
	    "\"parameters\":{\"service\":\"none\"}}\n");
	server_end();
}
END_TEST

START_TEST(call_takes_short_and_full_names)
{
	server_begin();
	wants("call|GetStatus|{\"service\":\"web\"}", 0, "\"services\": [");
	wants("call|org.varlink.service.GetInfo", 0, "\"product\": \"srvd\"");
	wants("--json|call|org.varlink.service.GetInfo", 0, "\"product\":");
	wants("call|Nothing", 1, "no such method: io.srvd.Control.Nothing");
	wants("call|GetStatus|{\"service\":1}", 1, "service");
	server_end();
}
END_TEST

static int
listener_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

/* Answer one call with these bytes, and hold the line if asked to. */
static pid_t
false_server(const char *bytes, size_t length, bool hold)
{
	pid_t child;
	int fd;

	make_directory();
	fd = listener_at(socket_path);
	child = fork();
	if (child == 0) {
		char call[256];
		int client = accept(fd, NULL, NULL);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (client == -1 || read(client, call, sizeof(call)) <= 0 ||
		    write(client, bytes, length) < 0)
			_exit(2);
		if (hold)
			(void)pause();
		_exit(0);
	}
	(void)close(fd);
	return child;
}

static void
false_server_end(pid_t child)
{
	(void)kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(unlink(socket_path), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(what_is_no_gateway_is_recognised)
{
	static const struct {
		const char *bytes;
		bool hold;
		int status;
		const char *text;
	} rows[] = {
	    {"HTTP/1.1 400 Bad Request\r\n\r\n", true, 3, "not within 1 s"},
	    {"HTTP/1.1 400 Bad Request\r\n\r\n", false, 3, "hung up"},
	    {"{}\xff", true, 3, "not Varlink"},
	    {"{\"parameters\":1}\xff", true, 3, "not Varlink"},
	    {"{\"parameters\":{},\"error\":1}\xff", true, 3, "not Varlink"},
	    {"{\"parameters\":{},\"error\":\"a.\\u001b[2J\"}\xff", true, 1,
		"a.?[2J"},
	    {"{\"parameters\":{},"
	     "\"error\":\"org.varlink.service.PermissionDenied\"}\xff",
		true, 4, "may not"},
	    /* A gateway of another age: shown as far as it is understood. */
	    {"{\"parameters\":{\"version\":[],\"workers\":{\"a\":1}}}\xff",
		true, 0, "srvd "},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char bytes[256];
		size_t length = strlen(rows[i].bytes);
		pid_t child;

		/* \xff stands for the NUL that ends a reply. */
		memcpy(bytes, rows[i].bytes, length + 1);
		if (bytes[length - 1] == '\xff')
			bytes[length - 1] = '\0';
		child = false_server(bytes, length, rows[i].hold);
		wants("--timeout|1|status", rows[i].status, rows[i].text);
		false_server_end(child);
	}
}
END_TEST

/* Talk for as long as anyone listens, never ending a reply or, with nul, in
 * ever more of them. */
static pid_t
endless_server(bool nul)
{
	static const char reply[] = "{\"parameters\":{},\"continues\":true}";
	static char bytes[MIB];
	size_t length = sizeof(reply);
	pid_t child;
	int fd;

	memset(bytes, ' ', sizeof(bytes));
	for (size_t at = 0; nul && at + length <= sizeof(bytes); at += length)
		memcpy(bytes + at, reply, length);
	make_directory();
	fd = listener_at(socket_path);
	child = fork();
	if (child == 0) {
		int client = accept(fd, NULL, NULL);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (send(client, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
			continue;
		_exit(0);
	}
	(void)close(fd);
	return child;
}

START_TEST(an_answer_without_end_is_given_up)
{
	pid_t child = endless_server(false);

	wants("status", 3, "too long");
	false_server_end(child);
	/* A stream is one only for those who asked for it. */
	child = endless_server(true);
	wants("status", 3, "not Varlink");
	false_server_end(child);
}
END_TEST

START_TEST(a_stream_is_printed_answer_by_answer)
{
	static const char bytes[] = "{\"parameters\":{\"n\":1},"
				    "\"continues\":true}\0"
				    "{\"parameters\":{\"n\":2}}";
	pid_t child = false_server(bytes, sizeof(bytes), true);

	wants("--json|call|Watch", 0, "{\"n\":1}\n{\"n\":2}\n");
	false_server_end(child);
}
END_TEST

UNIT_MAIN("ctl_command", usage, no_gateway, no_master, no_master_to_be_seen,
    status_shows_what_is_wrong_first, json_is_one_object_a_line,
    call_takes_short_and_full_names, what_is_no_gateway_is_recognised,
    an_answer_without_end_is_given_up, a_stream_is_printed_answer_by_answer)
