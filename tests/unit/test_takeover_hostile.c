/*
 * test_takeover_hostile - a worker at its door that would have a new master
 * wait for ever, or do what it could not do itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/clock.h"
#include "server/master/master.h"
#include "server/master/takeover.h"
#include "server/state/channel.h"
#include "server/state/versions.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"

#define LIMIT_MS 400
#define SLACK_MS 1500
#define FLOODERS 8

static struct master kit;
static char why[640];

/* What a master made for its worker. */
static int body_fd;
static int board_fd;
static int board_read_fd;
static int plan_fd;
static int door_fd;
static struct config_result compiled;

static struct channel_message message;

static void
open_kit(void)
{
	const struct body_spec spec = {.slots_max = 8, .pipes_max = 8};
	struct body_spec of = spec;

	make_directory();
	write_text("kit.conf", "user = nobody\n" SERVICE);
	compiled = load("kit.conf", false);
	ck_assert_ptr_nonnull(compiled.plan);
	plan_fd = compiled.plan_fd;
	of.plan = compiled.plan;
	of.first_id = 1;
	body_fd = body_create(&of);
	ck_assert_int_ge(body_fd, 0);
	ck_assert_int_eq(board_create(&board_fd, &board_read_fd), 0);
	ck_assert_int_eq(doors_open(&kit.doors, path_of("control"), why,
			     sizeof(why)),
	    0);
	door_fd = doors_make(&kit.doors, 0);
	ck_assert_int_ge(door_fd, 0);
}

/* The worker's side. */

static int channel;

static void
say(enum channel_type type)
{
	channel_init(&message, type);
	CHILD_CHECK(channel_send(channel, &message, NULL, 0) == 0);
}

static void
say_body(uint64_t generation, uint64_t request, int plan)
{
	const int fds[] = {body_fd, board_read_fd, plan};

	channel_init(&message, CHANNEL_BODY);
	message.generation = generation;
	message.request = request;
	versions_write(message.text);
	message.text_length = (uint32_t)strlen(message.text);
	CHILD_CHECK(channel_send(channel, &message, fds, 3) == 0);
}

static void
be_there(void)
{
	struct pollfd door = {.fd = door_fd, .events = POLLIN};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHILD_CHECK(poll(&door, 1, -1) == 1);
	channel = accept(door_fd, NULL, NULL);
	CHILD_CHECK(channel >= 0);
	(void)close(door_fd);
	say(CHANNEL_HELLO);
}

static void
say_last_number(void)
{
	be_there();
	say_body(1, UINT64_MAX, plan_fd);
	say(CHANNEL_INVENTORY);
}

/* Many who speak for one, so that there is always something to hear. */
static void
flood(void)
{
	be_there();
	for (int i = 0; i < FLOODERS && fork() != 0; i++)
		;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	channel_init(&message, CHANNEL_LOG);
	for (;;) {
		ssize_t rc = send(channel, &message,
		    offsetof(struct channel_message, text), MSG_NOSIGNAL);

		if (rc < 0)
			return;
	}
}

/* More sockets than a body has places for. */
static void
send_many(void)
{
	struct channel_socket as[CHANNEL_SOCKETS_MAX] = {{0, 0}};
	int fds[CHANNEL_SOCKETS_MAX];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t rc = 0;

	CHILD_CHECK(listen(fd, 1) == 0);
	be_there();
	say_body(1, 1, plan_fd);
	for (size_t i = 0; i < CHANNEL_SOCKETS_MAX; i++)
		fds[i] = fd;
	channel_init(&message, CHANNEL_SOCKETS);
	message.count = CHANNEL_SOCKETS_MAX;
	message.text_length = sizeof(as);
	memcpy(message.text, as, sizeof(as));
	while (rc == 0 || rc == -EAGAIN || rc == -ETOOMANYREFS)
		rc = channel_send(channel, &message, fds, message.count);
}

/* How the master's search for such a worker ends. */
static int
collect(void (*be)(void))
{
	struct takeover *t;
	pid_t pid = fork();
	int rc;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		be();
		(void)pause();
		_exit(0);
	}
	t = takeover_collect(&kit, LIMIT_MS, why, sizeof(why), &rc);
	ck_assert((t != NULL) == (rc == 0));
	takeover_release(t);
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return rc;
}

START_TEST(a_number_is_left_for_the_next_plan)
{
	open_kit();
	ck_assert_int_eq(collect(say_last_number), -EPROTO);
}
END_TEST

START_TEST(a_flood_ends_in_time)
{
	uint64_t begun = clock_monotonic_ms();

	open_kit();
	ck_assert_int_eq(collect(flood), -ETIMEDOUT);
	ck_assert_uint_lt(clock_monotonic_ms() - begun, LIMIT_MS + SLACK_MS);
}
END_TEST

START_TEST(sockets_have_a_limit)
{
	open_kit();
	ck_assert_int_eq(collect(send_many), -EPROTO);
}
END_TEST

/* Sockets */

/* Bytes that nobody takes, and a close that would wait for that. */
START_TEST(a_close_does_not_wait)
{
	static const struct linger linger = {.l_onoff = 1, .l_linger = 30};
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t length = sizeof(at);
	struct found found = {.count = 0};
	char bytes[4096] = "";
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)alarm(10);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, length), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&at,
			     &length),
	    0);
	(void)connect(fd, (struct sockaddr *)&at, length);
	ck_assert_int_ge(accept(listening, NULL, NULL), 0);
	while (send(fd, bytes, sizeof(bytes), 0) > 0)
		;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
			     sizeof(linger)),
	    0);
	ck_assert_int_eq(found_add(&found, fd,
			     &(struct found_socket){.row = 0}),
	    0);
	ck_assert_uint_eq(found.count, 0);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
}
END_TEST

/* A file where a worker likes is none of ours to remove. */
START_TEST(only_configured_files_are_removed)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct found found = {.count = 0};
	char line[256];
	int fds[2];

	make_directory();
	(void)snprintf(line, sizeof(line),
	    "user = nobody\nservice s { listen = \"unix:%s/in\" "
	    "backend b { address = builtin:echo } }\n",
	    directory);
	write_text("kit.conf", line);
	compiled = load("kit.conf", false);
	ck_assert_ptr_nonnull(compiled.plan);
	found.plan = compiled.plan;
	for (int i = 0; i < 2; i++) {
		(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s",
		    directory, i == 0 ? "in" : "out");
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(bind(fds[i], (struct sockaddr *)&at,
				     sizeof(at)),
		    0);
		ck_assert_int_eq(listen(fds[i], 1), 0);
		ck_assert_int_eq(found_add(&found, fds[i],
				     &(struct found_socket){.row = 0}),
		    0);
	}
	found_remove_files(&found);
	ck_assert_int_lt(access(path_of("in"), F_OK), 0);
	ck_assert_int_eq(access(path_of("out"), F_OK), 0);
	found_release(&found);
}
END_TEST

UNIT_MAIN_PIDFDS("takeover hostile", a_number_is_left_for_the_next_plan,
    a_flood_ends_in_time, sockets_have_a_limit, a_close_does_not_wait,
    only_configured_files_are_removed)
