/*
 * control_server - the control socket under test, and its clients.
 *
 * The real listener, clients and methods run in a child process on a real
 * socket, beneath a gateway that is made up here: this file stands in for the
 * master's status.  The tests are the clients.  When a test ends the child is
 * asked to close everything and must exit cleanly, so that a sanitizer's
 * finding in it fails the test.
 *
 * For one test program each: it defines the functions of status.h.
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
#include "server/master/status.h"
#include "tests/unit/unit.h"

#define WAIT_MS    10000
#define BACKENDS   2
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

/* The gateway: a master, its plan and its status, all made up. */

/* One allocation, as a real plan is: the head, the tables, the strings. */
struct fake_plan {
	struct plan head;
	struct plan_service services[2];
	struct plan_listener listeners[2];
	struct plan_backend backends[BACKENDS];
	char strings[512];
};

struct master {
	struct loop *loop;
	struct fake_plan plan;
	uint32_t workers;
	uint32_t strings_used;
	int stop_fd; /* closed by the test: end */
};

static struct master gateway;
static char directory[64];
static char socket_path[ADDR_PATH_SIZE];

static inline uint32_t
string_add(const char *text)
{
	uint32_t at = gateway.strings_used;
	size_t size = strlen(text) + 1;

	ck_assert_uint_le(at + size, sizeof(gateway.plan.strings));
	memcpy(gateway.plan.strings + at, text, size);
	gateway.strings_used += (uint32_t)size;
	return at;
}

static inline struct plan_table
table_at(size_t offset, uint32_t count)
{
	return (struct plan_table){.offset = (uint32_t)offset, .count = count};
}

static inline void
fill_services(struct fake_plan *plan)
{
	static const char *const names[] = {"redis", "web"};

	for (uint32_t i = 0; i < 2; i++) {
		plan->services[i] = (struct plan_service){
		    .state = ROW_ACTIVE,
		    .name = string_add(names[i]),
		    .first_listener = i,
		    .listeners = 1,
		    .first_backend = i,
		    .backends = 1,
		};
		plan->listeners[i] = (struct plan_listener){
		    .state = ROW_ACTIVE,
		    .next = PLAN_END,
		    .service = i,
		    .text = string_add(i == 0 ? "0.0.0.0:0" : "unix:@web"),
		};
		plan->backends[i] = (struct plan_backend){
		    .state = ROW_ACTIVE,
		    .next = PLAN_END,
		    .service = i,
		    .name = string_add("a"),
		    .text = string_add("10.0.0.11:6379"),
		};
	}
}

static inline void
fill_gateway(void)
{
	struct fake_plan *plan = &gateway.plan;

	memset(&gateway, 0, sizeof(gateway));
	gateway.strings_used = 1;
	gateway.workers = 2;
	plan->head = (struct plan){
	    .magic = PLAN_MAGIC,
	    .version = PLAN_VERSION,
	    .length = sizeof(*plan),
	    .generation = 7,
	    /* A path may be any bytes; a reply must be UTF-8. */
	    .config_path = string_add("/etc/srvd/\xff.conf"),
	    .max_connections = 100,
	    .control = {.path = string_add(socket_path),
		.mode = 0660,
		.gid = PLAN_NO_ID},
	    .services = table_at(offsetof(struct fake_plan, services), 2),
	    .listeners = table_at(offsetof(struct fake_plan, listeners), 2),
	    .backends =
		table_at(offsetof(struct fake_plan, backends), BACKENDS),
	};
	fill_services(plan);
	plan->head.strings = table_at(offsetof(struct fake_plan, strings),
	    sizeof(plan->strings));
}

struct loop *
master_loop(struct master *m)
{
	return m->loop;
}

const struct plan *
master_plan(const struct master *m)
{
	return &m->plan.head;
}

void
status_gateway(const struct master *m, struct gateway_status *status)
{
	*status = (struct gateway_status){
	    .uptime_s = 5,
	    .loaded_at_us = 1700000000000000,
	    .reload_ok = true,
	    .reload_at_us = 1700000000000000,
	    .workers = m->workers,
	};
}

void
status_worker(const struct master *m, uint32_t i, struct worker_status *status)
{
	(void)m;
	*status = (struct worker_status){
	    .pid = (pid_t)(100 + i),
	    .holder_pid = (pid_t)(200 + i),
	    .state = i == 0 ? "running" : "waiting",
	    .fault = i == 0 ? NULL : "its body is not its own",
	    .connections = 3,
	    .accepted = UINT64_MAX,
	    .has_death = i == 0,
	    .death_at_us = 1700000000000000,
	    .death_cause = "signal",
	    .death_signal = SIGSEGV,
	    .death_culprit = 17,
	};
}

void
status_listener_bound(const struct master *m, uint32_t listener,
    struct addr *bound)
{
	(void)m;
	memset(bound, 0, sizeof(*bound));
	bound->kind = listener == 0 ? ADDR_TCP4 : ADDR_UNIX;
	bound->port = 12345;
	(void)snprintf(bound->path, sizeof(bound->path), "@web");
}

void
status_service(const struct master *m, uint32_t service,
    struct service_status *status)
{
	(void)m;
	*status = (struct service_status){.connections = service};
}

void
status_backend(const struct master *m, uint32_t backend,
    struct backend_status *status)
{
	(void)m;
	*status = (struct backend_status){
	    .state = backend == 0 ? "up" : "down",
	    .admin = "ready",
	};
}

void
status_totals(const struct master *m, struct totals_status *status)
{
	(void)m;
	*status = (struct totals_status){.bytes_up = 1u << 30};
}

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
	fill_gateway();
}

static inline void
server_begin_with(const struct control_limits *limits, uint32_t mode)
{
	int ready[2];
	int stop[2];
	char byte;

	make_directory();
	gateway.plan.head.control.mode = mode;
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
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void
connect_silent(struct client *silent, int count)
{
	for (int i = 0; i < count; i++)
		silent[i] = client_connect();
}

#endif
