/*
 * ctl_case - one case of srvctl at work: a made-up gateway that answers by a
 * script, and srvctl as a process, on pipes or on a terminal.
 *
 * The gateway is a process of its own that listens itself, so that srvctl can
 * wait for its end.  For one test program each.
 */
#ifndef SRVD_TESTS_CTL_CASE_H
#define SRVD_TESTS_CTL_CASE_H

#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/frame.h"
#include "ctl/command.h"
#include "tests/unit/unit.h"

#define WORDS       16
#define TEXT_MAX    65536
#define CALL_MAX    (1 << 20)
#define CASE_TIME_S 20
/* Stands for the socket's path in what is printed. */
#define SOCKET_WORD "SOCKET"

struct text {
	char bytes[TEXT_MAX];
	size_t length;
};

/* One case, as its file has it: lines of one kind are kept together. */
struct golden {
	struct text head;    /* comments and blank lines before it */
	struct text typed;   /* $, @ and ? */
	struct text answers; /* > and <; a > begins those to the next call */
	char command[512];
	char input[256];
	unsigned width; /* 0: no terminal */
	bool color;
	bool ends; /* the gateway's process ends after its last answer */
};

struct happened {
	struct text calls;
	struct text out;
	struct text err;
	int status;
};

static char directory[64];
static char socket_path[96];

static inline void
text_add(struct text *text, const char *bytes, size_t length)
{
	ck_assert_uint_lt(text->length + length, sizeof(text->bytes));
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

static inline void
text_add_line(struct text *text, const char *prefix, const char *line,
    size_t length)
{
	text_add(text, prefix, strlen(prefix));
	text_add(text, line, length);
	text_add(text, "\n", 1);
}

static inline void
text_read(struct text *text, int fd)
{
	ssize_t count;

	text->length = 0;
	while ((count = read(fd, text->bytes + text->length,
		    sizeof(text->bytes) - 1 - text->length)) > 0)
		text->length += (size_t)count;
	text->bytes[text->length] = '\0';
}

/* The gateway. */

static inline void
answer_line(int fd, const char *line, size_t length)
{
	char bytes[TEXT_MAX] = "";
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		bool nul =
		    line[i] == '\\' && i + 1 < length && line[i + 1] == '0';

		bytes[used++] = line[i];
		if (nul)
			bytes[used - 1] = '\0';
		i += nul;
	}
	/* A reply ends with a NUL; one that has some of its own is as it is. */
	if (memchr(bytes, '\0', used) == NULL)
		bytes[used++] = '\0';
	(void)send(fd, bytes, used, MSG_NOSIGNAL);
}

/* The answers to call number n; false if the script has no such call. */
static inline bool
answer(int fd, const char *script, unsigned n)
{
	bool found = false;
	unsigned call = 0;

	while (*script != '\0') {
		size_t length = strcspn(script, "\n");

		if (script[0] == '>')
			call++;
		else if (call == n + 1)
			answer_line(fd, script + 2, length - 2);
		found = found || call == n + 1;
		script += length + 1;
	}
	return found;
}

static inline void
record(int fd, const char *call, size_t length)
{
	json_t *whole = json_loadb(call, length, JSON_REJECT_DUPLICATES, NULL);
	char *parameters = json_dumps(json_object_get(whole, "parameters"),
	    JSON_COMPACT | JSON_SORT_KEYS);

	(void)dprintf(fd, "> %s %s%s\n",
	    json_string_value(json_object_get(whole, "method")), parameters,
	    json_is_true(json_object_get(whole, "more")) ? " more" : "");
	free(parameters);
	json_decref(whole);
}

static inline unsigned
calls_in(const char *script)
{
	unsigned count = 0;

	for (; *script != '\0'; script += strcspn(script, "\n") + 1)
		count += script[0] == '>';
	return count;
}

/* Serve one client until it goes away or the script says to end. */
static inline void
gateway_serve(const struct golden *golden, int fd, int record_fd)
{
	struct frame frame;
	unsigned calls = 0;

	frame_init(&frame, CALL_MAX);
	for (;;) {
		char *at = NULL;
		size_t room = 0;
		ssize_t count;

		while (frame_next(&frame, &at, &room) == 1) {
			record(record_fd, at, room);
			(void)answer(fd, golden->answers.bytes, calls++);
			if (golden->ends &&
			    calls == calls_in(golden->answers.bytes))
				return;
		}
		if (frame_room(&frame, &at, &room) < 0)
			return;
		count = read(fd, at, room);
		if (count <= 0)
			return;
		frame_added(&frame, (size_t)count);
	}
}

/* It listens itself: the kernel remembers who did. */
static inline pid_t
gateway_start(const struct golden *golden, int record_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char ready = 0;
	int fds[2];
	pid_t child;

	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) <
			0 ||
		    listen(fd, 1) < 0 || write(fds[1], "r", 1) != 1)
			_exit(1);
		gateway_serve(golden, accept(fd, NULL, NULL), record_fd);
		_exit(0);
	}
	(void)close(fds[1]);
	ck_assert_int_eq(read(fds[0], &ready, 1), 1);
	(void)close(fds[0]);
	return child;
}

/* srvctl. */

static inline int
words_split(char *line, char *argv[WORDS + 1])
{
	int count = 0;

	while (*line != '\0') {
		bool quoted = *line == '\'';
		size_t length = strcspn(line + quoted, quoted ? "'" : " ");

		ck_assert_int_lt(count, WORDS);
		argv[count++] = line + quoted;
		line += quoted + length;
		if (*line != '\0')
			*line++ = '\0';
		line += strspn(line, " ");
	}
	argv[count] = NULL;
	return count;
}

static inline void
srvctl_run(const struct golden *golden)
{
	char program[] = "srvctl";
	char line[sizeof(golden->command)];
	char *argv[WORDS + 2] = {program};
	int argc;

	(void)alarm(CASE_TIME_S);
	(void)setenv("SRVD_SOCKET", socket_path, 1);
	(void)setenv("TZ", "UTC", 1);
	(void)setenv("TERM", "xterm", 1);
	(void)setenv("NO_COLOR", golden->color ? "" : "1", 1);
	(void)unsetenv("COLUMNS");
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	memcpy(line, golden->command, sizeof(line));
	argc = words_split(line, argv + 1) + 1;
	exit((int)command_run(argc, argv));
}

static inline pid_t
srvctl_on_terminal(const struct golden *golden, int *out)
{
	const struct winsize size = {
	    .ws_row = 24, .ws_col = (unsigned short)golden->width};
	struct termios mode = {.c_iflag = ICRNL, .c_lflag = ICANON};
	pid_t child;

	mode.c_cflag = CS8 | CREAD;
	mode.c_cc[VEOF] = 4;
	child = forkpty(out, NULL, &mode, &size);
	ck_assert_int_ge(child, 0);
	if (child == 0)
		srvctl_run(golden);
	if (golden->input[0] != '\0')
		ck_assert_int_gt(write(*out, golden->input,
				     strlen(golden->input)),
		    0);
	return child;
}

static inline pid_t
srvctl_on_pipes(const struct golden *golden, int *out, int *err)
{
	int outs[2];
	int errs[2];
	pid_t child;

	ck_assert_int_eq(pipe2(outs, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(errs, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		(void)dup2(outs[1], STDOUT_FILENO);
		(void)dup2(errs[1], STDERR_FILENO);
		srvctl_run(golden);
	}
	(void)close(outs[1]);
	(void)close(errs[1]);
	*out = outs[0];
	*err = errs[0];
	return child;
}

/* The name of the socket is another one each time. */
static inline void
socket_forget(struct text *text)
{
	size_t length = strlen(socket_path);
	char *at;

	while ((at = strstr(text->bytes, socket_path)) != NULL) {
		size_t rest = strlen(at + length) + 1;

		memcpy(at, SOCKET_WORD, sizeof(SOCKET_WORD) - 1);
		memmove(at + sizeof(SOCKET_WORD) - 1, at + length, rest);
	}
}

static inline void
run(const struct golden *golden, struct happened *happened)
{
	int records[2];
	int out = -1;
	int err = -1;
	int status = 0;
	pid_t gateway;
	pid_t srvctl;

	ck_assert_int_eq(pipe2(records, O_CLOEXEC), 0);
	gateway = gateway_start(golden, records[1]);
	(void)close(records[1]);
	srvctl = golden->width > 0 ? srvctl_on_terminal(golden, &out)
				   : srvctl_on_pipes(golden, &out, &err);
	/* What it says fits into a pipe: one after the other will do. */
	text_read(&happened->out, out);
	(void)close(out);
	happened->err.length = 0;
	happened->err.bytes[0] = '\0';
	if (err >= 0) {
		text_read(&happened->err, err);
		(void)close(err);
	}
	ck_assert_int_eq(waitpid(srvctl, &status, 0), srvctl);
	ck_assert_msg(WIFEXITED(status), "%s: ended with %#x", golden->command,
	    (unsigned)status);
	happened->status = WEXITSTATUS(status);
	(void)kill(gateway, SIGKILL);
	ck_assert_int_eq(waitpid(gateway, NULL, 0), gateway);
	text_read(&happened->calls, records[0]);
	(void)close(records[0]);
	(void)unlink(socket_path);
	socket_forget(&happened->out);
	socket_forget(&happened->err);
}

#endif
