/*
 * takeover_kit - a master that looks for bodies, and processes that answer at
 * their doors.
 */
#ifndef SRVD_TESTS_TAKEOVER_KIT_H
#define SRVD_TESTS_TAKEOVER_KIT_H

#include <string.h>

#include "server/master/master.h"
#include "server/master/takeover.h"
#include "server/state/channel.h"
#include "server/state/versions.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"
#include "tests/unit/sockets.h"

/* Longer than anything takes that is to come to its end. */
#define PATIENT_MS 20000

static struct master master;
static struct config_result result;
static char why[512];
static int body_fd;
static int board_fds[2];
static int listener_fd;

/* A worker's lines */

static inline int
hello(int fd)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_HELLO);
	return channel_send(fd, &message, NULL, 0);
}

static inline void
init_body(struct channel_message *message, uint32_t row, uint64_t generation)
{
	channel_init(message, CHANNEL_BODY);
	message->first = row % PLAN_WORKERS_MAX;
	message->count = row;
	message->generation = generation;
	message->request = generation + 7;
	versions_write(message->text);
	message->text_length = (uint32_t)strlen(message->text);
}

static inline int
tell_body(int fd, uint32_t row, uint64_t generation, const int fds[3])
{
	struct channel_message message;

	init_body(&message, row, generation);
	return channel_send(fd, &message, fds, 3);
}

static inline int
good_body(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], result.plan_fd};

	return tell_body(fd, row, 1, fds);
}

static inline int
tell_socket(int fd, uint32_t number, int socket_fd)
{
	const struct channel_socket socket = {.number = number, .seat = 0};
	struct channel_message message;

	channel_init(&message, CHANNEL_SOCKETS);
	message.count = 1;
	message.text_length = sizeof(socket);
	memcpy(message.text, &socket, sizeof(socket));
	return channel_send(fd, &message, &socket_fd, 1);
}

static inline int
inventory(int fd)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_INVENTORY);
	return channel_send(fd, &message, NULL, 0);
}

/* Bodies: a process each, which plays its part for all who come. */

typedef void play_fn(int fd, uint32_t row);

static inline pid_t
body_at(uint32_t row, play_fn *play, unsigned times)
{
	int door = doors_make(&master.doors, row);
	pid_t pid;

	ck_assert_int_ge(door, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)alarm(30);
		for (; times > 0; times--) {
			struct pollfd come = {.fd = door, .events = POLLIN};
			struct pollfd go = {.events = 0};

			(void)poll(&come, 1, -1);
			go.fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
			if (play != NULL)
				play(go.fd, row);
			/* Until the master has had enough of it. */
			if (play != NULL && times > 1)
				(void)poll(&go, 1, -1);
			close(go.fd);
		}
		_exit(0);
	}
	close(door);
	return pid;
}

static inline void
end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static inline void
begin(void)
{
	struct body_spec spec = {.row = 0, .slots_max = 4, .pipes_max = 8};

	make_directory();
	write_text("t.conf",
	    "user = nobody\nservice s { listen = 127.0.0.1:0 "
	    "backend b { address = builtin:echo } }\n");
	result = load_good("t.conf", false);
	spec.plan = result.plan;
	body_fd = body_create(&spec);
	ck_assert_int_ge(body_fd, 0);
	ck_assert_int_eq(board_create(&board_fds[0], &board_fds[1]), 0);
	listener_fd = tcp_listener(&(struct sockaddr_in){.sin_port = 0});
	ck_assert_int_eq(doors_open(&master.doors, path_of("control"), why,
			     sizeof(why)),
	    0);
}

static inline struct takeover *
collect(uint64_t limit_ms, int *rc)
{
	return takeover_collect(&master, limit_ms, why, sizeof(why), rc);
}

#endif
