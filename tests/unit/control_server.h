/*
 * control_server - the control socket under test, and its clients.
 *
 * The real listener, clients and methods run in a child process on a real
 * socket, beneath a gateway that is made up (control_gateway.h).  The tests
 * are the clients.  When a test ends the child is
 * asked to close everything and must exit cleanly, so that a sanitizer's
 * finding in it fails the test.
 */
#ifndef SRVD_TESTS_CONTROL_SERVER_H
#define SRVD_TESTS_CONTROL_SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/frame.h"
#include "server/master/control.h"
#include "server/master/loop.h"
#include "tests/unit/control_fakes.h"
#include "tests/unit/unit.h"

#define WAIT_MS    10000
#define MIB        (1u << 20)
#define CALL_OURS  "{\"method\":\"io.srvd.Control.GetStatus\"}"
#define CALL_INFO  "{\"method\":\"org.varlink.service.GetInfo\"}"
#define SERVICE(e) "org.varlink.service." e

/* Short, so that waiting for them is. */
static const struct control_limits limits_short = {
    .clients = 64,
    .kept = 8,
    .idle_ms = 300,
    .half_ms = 300,
    .take_ms = 300,
    .pause_ms = 100,
};

static char directory[64];
static char socket_path[ADDR_PATH_SIZE];

/* The server's process. */

static pid_t server_pid;
static int server_stop_fd;

static inline void
on_stop(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	loop_stop(gateway.loop);
}

static inline no_return void
server_run(const struct control_limits *limits, int ready_fd, int stop_fd)
{
	struct loop_watch stop = {
	    .fd = stop_fd, .events = EPOLLIN, .ready = on_stop};
	struct control *control;
	char why[256];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (loop_new(&gateway.loop) < 0 ||
	    control_open_limited(&gateway, limits, &control, why, sizeof(why)) <
		0 ||
	    loop_add(gateway.loop, &stop) < 0 || write(ready_fd, "1", 1) != 1)
		_exit(2);
	(void)close(ready_fd);
	if (loop_run(gateway.loop) < 0)
		_exit(3);
	control_close(control);
	loop_free(gateway.loop);
	exit(0); /* not _exit: the sanitizers report now */
}

static inline void
make_directory(void)
{
	(void)snprintf(directory, sizeof(directory), "/tmp/srvd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chmod(directory, 0755), 0);
	(void)snprintf(socket_path, sizeof(socket_path), "%s/control.sock",
	    directory);
	fill_gateway(socket_path);
}

/* After make_directory(), when the gateway is as the test wants it. */
static inline void
server_start(const struct control_limits *limits)
{
	int ready[2];
	int stop[2];
	char byte;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(stop, O_CLOEXEC), 0);
	server_pid = fork();
	ck_assert_int_ne(server_pid, -1);
	if (server_pid == 0) {
		(void)close(stop[1]);
		(void)close(ready[0]);
		server_run(limits, ready[1], stop[0]);
	}
	(void)close(ready[1]);
	(void)close(stop[0]);
	server_stop_fd = stop[1];
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
}

static inline void
server_begin_with(const struct control_limits *limits, uint32_t mode)
{
	make_directory();
	gateway.plan.head.control.mode = mode;
	server_start(limits);
}

static inline void
server_begin(void)
{
	server_begin_with(&limits_short, 0660);
}

static inline void
server_end(void)
{
	int status;

	(void)close(server_stop_fd);
	ck_assert_int_eq(waitpid(server_pid, &status, 0), server_pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the server ended with status %#x", (unsigned)status);
	ck_assert_msg(access(socket_path, F_OK) == -1,
	    "the socket's file is still there");
	ck_assert_int_eq(rmdir(directory), 0);
}

/* Its clients. */

struct client {
	int fd;
	struct frame frame;
};

static inline struct client
client_connect(void)
{
	struct client client = {
	    .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_int_ne(client.fd, -1);
	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	ck_assert_int_eq(connect(client.fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	frame_init(&client.frame, (size_t)64 * MIB);
	return client;
}

static inline void
client_end(struct client *client)
{
	(void)close(client->fd);
	frame_release(&client->frame);
}

/* As much as the server takes: 0, or -errno once it has had enough. */
static inline int
client_send(const struct client *client, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = send(client->fd, bytes, length, MSG_NOSIGNAL);

		if (count == -1)
			return -errno;
		bytes += count;
		length -= (size_t)count;
	}
	return 0;
}

/* Text with its NUL. */
static inline void
client_say(const struct client *client, const char *text)
{
	ck_assert_int_eq(client_send(client, text, strlen(text) + 1), 0);
}

static inline ssize_t
client_read_some(struct client *client, int wait_ms)
{
	struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
	char *at;
	size_t room;
	ssize_t count;

	ck_assert_int_eq(frame_room(&client->frame, &at, &room), 0);
	if (poll(&poll_fd, 1, wait_ms) != 1)
		return -ETIMEDOUT;
	count = read(client->fd, at, room);
	if (count == -1)
		return -errno;
	frame_added(&client->frame, (size_t)count);
	return count;
}

/* The next reply, which the caller owns. */
static inline json_t *
client_hear(struct client *client)
{
	char *text;
	size_t length;
	json_t *reply;

	while (frame_next(&client->frame, &text, &length) == 0)
		ck_assert_int_gt(client_read_some(client, WAIT_MS), 0);
	reply = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(json_is_object(reply), "not an object: %s", text);
	return reply;
}

/* That the server ends the connection, within a time, saying no more. */
static inline void
client_expect_end(struct client *client)
{
	ssize_t count = client_read_some(client, WAIT_MS);

	ck_assert_msg(count == 0 || count == -ECONNRESET, "not the end but %zd",
	    count);
}

static inline void
client_expect_silence(struct client *client)
{
	ck_assert_int_eq(client_read_some(client, 50), -ETIMEDOUT);
}

static const char *
text_of(const json_t *reply, const char *key)
{
	const json_t *parameters = json_object_get(reply, "parameters");
	const char *text = json_string_value(json_object_get(parameters, key));

	return text == NULL ? "" : text;
}

static inline void
expect_error(const json_t *reply, const char *error, const char *key,
    const char *value)
{
	const char *got = json_string_value(json_object_get(reply, "error"));

	ck_assert_msg(got != NULL && strcmp(got, error) == 0, "not %s but %s",
	    error, got == NULL ? "a reply" : got);
	ck_assert_msg(key == NULL || strcmp(text_of(reply, key), value) == 0,
	    "%s is not %s but %s", key, value, text_of(reply, key));
}

/* Say text and expect this error; the connection stays. */
static inline void
refused(struct client *client, const char *text, const char *error,
    const char *key, const char *value)
{
	json_t *reply;

	client_say(client, text);
	reply = client_hear(client);
	expect_error(reply, error, key, value);
	json_decref(reply);
}

static inline void
expect_served(struct client *client)
{
	json_t *reply;

	client_say(client, CALL_INFO);
	reply = client_hear(client);
	ck_assert_str_eq(text_of(reply, "product"), "srvd");
	json_decref(reply);
}

static inline void
expect_service(void)
{
	struct client client = client_connect();

	expect_served(&client);
	client_end(&client);
}

static inline uint64_t
clock_ms(void)
{
	return clock_monotonic_ms();
}

/* How much slower than by itself it all runs: under sanitizers, valgrind. */
static inline uint64_t
unit_slowness(void)
{
	const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
	uint64_t times = text == NULL ? 1 : strtoull(text, NULL, 10);

	return times < 1 ? 1 : times;
}

/* Until the server has done something so many times. */
static inline void
wait_for(const _Atomic uint32_t *count, uint32_t times)
{
	uint64_t begin_ms = clock_ms();

	while (*count < times) {
		ck_assert_uint_lt(clock_ms() - begin_ms, WAIT_MS);
		(void)poll(NULL, 0, 5);
	}
}

static inline void
connect_silent(struct client *silent, int count)
{
	for (int i = 0; i < count; i++)
		silent[i] = client_connect();
}

#endif
