/*
 * test_takeover - what a master believes of those who answer at doors.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>

#include "server/master/master.h"
#include "server/master/takeover.h"
#include "server/state/channel.h"
#include "server/state/shm.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"
#include "tests/unit/sockets.h"

#define LIMIT_MS 300
/* Longer than anything takes that is to come to its end. */
#define PATIENT_MS 20000

static struct master master;
static struct config_result result;
static char why[512];
static int body_fd;
static int board_fds[2];
static int listener_fd;

/* A worker's lines */

static int
hello(int fd)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_HELLO);
	return channel_send(fd, &message, NULL, 0);
}

static int
tell_body(int fd, uint32_t row, uint64_t generation, const int fds[3])
{
	struct channel_message message;

	channel_init(&message, CHANNEL_BODY);
	message.first = row % PLAN_WORKERS_MAX;
	message.count = row;
	message.generation = generation;
	message.request = generation + 7;
	return channel_send(fd, &message, fds, 3);
}

static int
good_body(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], result.plan_fd};

	return tell_body(fd, row, 1, fds);
}

static int
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

static int
inventory(int fd)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_INVENTORY);
	return channel_send(fd, &message, NULL, 0);
}

/* Bodies: a process each, which plays its part for all who come. */

typedef void play_fn(int fd, uint32_t row);

static pid_t
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

static void
end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static void
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

static struct takeover *
collect(uint64_t limit_ms, int *rc)
{
	return takeover_collect(&master, limit_ms, why, sizeof(why), rc);
}

static void
play_well(int fd, uint32_t row)
{
	CHILD_CHECK(hello(fd) == 0);
	CHILD_CHECK(good_body(fd, row) == 0);
	CHILD_CHECK(tell_socket(fd, 0, listener_fd) == 0);
	CHILD_CHECK(inventory(fd) == 0);
}

START_TEST(what_there_is_is_found)
{
	const struct plan_listener *row;
	const struct found_socket *socket;
	struct takeover *t;
	uint32_t at = 0;
	pid_t pids[2];
	int before;
	int rc;

	begin();
	before = count_fds();
	pids[0] = body_at(0, play_well, 2);
	pids[1] = body_at(PLAN_WORKERS_MAX, play_well, 2);
	t = collect(PATIENT_MS, &rc);
	ck_assert_msg(t != NULL, "%s", why);
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(t->count, 2);
	ck_assert_int_eq(t->taken[0].worker_pid, pids[0]);
	/* Its parent is this process: no holder. */
	ck_assert_int_eq(t->taken[0].holder_pid, 0);
	ck_assert_uint_eq(t->taken[0].generation, 1);
	ck_assert_uint_eq(t->last_generation, 8);
	ck_assert_uint_eq(t->plan->generation, 1);
	/* Both have sent the same socket. */
	ck_assert_uint_eq(t->found.count, 1);
	row = plan_listener(t->plan, 0);
	socket = found_next(&t->found, &at, row, 0, &row->addr);
	ck_assert_ptr_nonnull(socket);
	ck_assert_ptr_null(found_next(&t->found, &at, row, 0, &row->addr));
	at = 0;
	ck_assert_ptr_null(found_next(&t->found, &at, row, 1, &row->addr));
	rc = takeover_board(t);
	ck_assert_int_ge(rc, 0);
	ck_assert_int_eq(fcntl(rc, F_GETFL) & O_ACCMODE, O_RDWR);
	close(rc);
	takeover_release(t);
	ck_assert_int_eq(count_fds(), before);
	end(pids[0]);
	end(pids[1]);
}
END_TEST

START_TEST(nobody_is_there)
{
	int rc;

	begin();
	ck_assert_ptr_null(collect(PATIENT_MS, &rc));
	ck_assert_int_eq(rc, 0);
}
END_TEST

/* One that says nothing and goes, and at last is not there any more; and one
 * that never was. */
START_TEST(ended_bodies_are_forgotten)
{
	pid_t pid;
	int rc;

	begin();
	pid = body_at(3, NULL, 3);
	ck_assert_int_eq(waitpid(body_at(4, NULL, 0), NULL, 0) > 0, 1);
	ck_assert_ptr_null(collect(PATIENT_MS, &rc));
	ck_assert_int_eq(rc, 0);
	ck_assert(!doors_has(&master.doors, 3));
	ck_assert(!doors_has(&master.doors, 4));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* Nonsense */

static int
unsealed(size_t size)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHILD_CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static void
body_is_no_memory(int fd, uint32_t row)
{
	const int fds[] = {listener_fd, board_fds[1], result.plan_fd};

	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 1, fds) == 0);
}

static void
body_is_unsealed(int fd, uint32_t row)
{
	const int fds[] = {unsealed(1 << 20), board_fds[1], result.plan_fd};

	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 1, fds) == 0);
}

static void
body_is_anothers(int fd, uint32_t row)
{
	int fds[] = {-1, board_fds[1], result.plan_fd};

	CHILD_CHECK(seteuid(65534) == 0);
	fds[0] = shm_create("srvd-body", 1 << 20);
	CHILD_CHECK(fds[0] >= 0 && seteuid(0) == 0);
	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 1, fds) == 0);
}

static void
board_is_a_body(int fd, uint32_t row)
{
	const int fds[] = {body_fd, body_fd, result.plan_fd};

	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 1, fds) == 0);
}

static void
row_is_another(int fd, uint32_t row)
{
	CHILD_CHECK(hello(fd) == 0 && good_body(fd, row + 1) == 0);
}

static void
plan_is_unsealed(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], unsealed(4096)};

	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 1, fds) == 0 &&
	    inventory(fd) == 0);
}

static void
plan_is_a_body(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], body_fd};

	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 1, fds) == 0 &&
	    inventory(fd) == 0);
}

static void
plan_has_another_generation(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], result.plan_fd};

	CHILD_CHECK(hello(fd) == 0 && tell_body(fd, row, 2, fds) == 0 &&
	    inventory(fd) == 0);
}

static void
socket_is_none(int fd, uint32_t row)
{
	CHILD_CHECK(hello(fd) == 0 && good_body(fd, row) == 0 &&
	    tell_socket(fd, 0, body_fd) == 0);
}

static void
socket_is_a_datagrams(int fd, uint32_t row)
{
	CHILD_CHECK(hello(fd) == 0 && good_body(fd, row) == 0 &&
	    tell_socket(fd, 0, socket(AF_INET, SOCK_DGRAM, 0)) == 0);
}

static void
sockets_are_miscounted(int fd, uint32_t row)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_SOCKETS);
	message.count = 2;
	message.text_length = 2 * sizeof(struct channel_socket);
	memset(message.text, 0, message.text_length);
	CHILD_CHECK(hello(fd) == 0 && good_body(fd, row) == 0 &&
	    channel_send(fd, &message, &listener_fd, 1) == 0);
}

START_TEST(nonsense_is_refused)
{
	static play_fn *const plays[] = {
	    body_is_no_memory,
	    body_is_unsealed,
	    board_is_a_body,
	    row_is_another,
	    plan_is_unsealed,
	    plan_is_a_body,
	    plan_has_another_generation,
	    socket_is_none,
	    socket_is_a_datagrams,
	    sockets_are_miscounted,
	    body_is_anothers,
	};
	/* Only root can make memory that is another user's. */
	size_t count = ARRAY_LEN(plays) - (geteuid() != 0);
	int before;
	int rc;

	begin();
	before = count_fds();
	for (size_t i = 0; i < count; i++) {
		pid_t pid = body_at(5, plays[i], 2);

		ck_assert_ptr_null(collect(PATIENT_MS, &rc));
		ck_assert_msg(rc == -EPROTO, "play %zu: %d %s", i, rc, why);
		ck_assert_ptr_nonnull(strstr(why, "body 5"));
		ck_assert_int_eq(count_fds(), before);
		end(pid);
	}
}
END_TEST

/* A worker whose successor goes on where it died is asked again from the
 * beginning; one that never comes to an end is not waited for for ever. */

static void
says_nothing(int fd, uint32_t row)
{
	(void)row;
	CHILD_CHECK(fd >= 0);
}

static void
says_no_hello(int fd, uint32_t row)
{
	CHILD_CHECK(good_body(fd, row) == 0);
}

static void
has_no_body(int fd, uint32_t row)
{
	(void)row;
	CHILD_CHECK(hello(fd) == 0 && inventory(fd) == 0);
}

static void
speaks_in_tongues(int fd, uint32_t row)
{
	(void)row;
	CHILD_CHECK(send(fd, "hello", 5, MSG_NOSIGNAL) == 5);
}

static void
says_hello_twice(int fd, uint32_t row)
{
	pid_t pid;

	CHILD_CHECK(hello(fd) == 0 && good_body(fd, row) == 0);
	pid = fork();
	if (pid == 0)
		_exit(hello(fd) == 0 && inventory(fd) == 0 ? 0 : 1);
	CHILD_CHECK(waitpid(pid, NULL, 0) == pid);
}

START_TEST(unfinished_ones_are_not_waited_for_for_ever)
{
	static play_fn *const plays[] = {
	    says_nothing,
	    says_no_hello,
	    has_no_body,
	    speaks_in_tongues,
	    says_hello_twice,
	};
	int before;
	int rc;

	begin();
	before = count_fds();
	for (size_t i = 0; i < ARRAY_LEN(plays); i++) {
		pid_t pid = body_at(1, plays[i], 1000);

		ck_assert_ptr_null(collect(LIMIT_MS, &rc));
		ck_assert_msg(rc == -ETIMEDOUT, "play %zu: %d %s", i, rc, why);
		ck_assert_ptr_nonnull(strstr(why, "srvd: worker 1"));
		ck_assert_int_eq(count_fds(), before);
		end(pid);
	}
}
END_TEST

/* A client's socket has the address of the one it was accepted on. */
static void
sends_a_client(int fd, uint32_t row)
{
	int pair[2];

	tcp_pair(pair);
	CHILD_CHECK(hello(fd) == 0 && good_body(fd, row) == 0 &&
	    tell_socket(fd, 0, pair[1]) == 0 && inventory(fd) == 0);
}

START_TEST(only_listening_sockets_are_kept)
{
	struct takeover *t;
	pid_t pid;
	int rc;

	begin();
	pid = body_at(0, sends_a_client, 2);
	t = collect(PATIENT_MS, &rc);
	ck_assert_ptr_nonnull(t);
	ck_assert_uint_eq(t->found.count, 0);
	takeover_release(t);
	end(pid);
}
END_TEST

START_TEST(the_directory_is_ours_alone)
{
	struct doors other = {.is_open = false};
	char path[128];

	begin();
	(void)snprintf(path, sizeof(path), "%.127s", path_of("control"));
	/* Locked, by another open file. */
	ck_assert_int_eq(doors_open(&other, path, why, sizeof(why)), -EBUSY);
	doors_close(&master.doors, true);
	ck_assert_int_ne(access(path_of("control.bodies"), F_OK), 0);
	ck_assert_int_eq(mkdir(path_of("control.bodies"), 0700), 0);
	ck_assert_int_eq(chmod(path_of("control.bodies"), 0750), 0);
	ck_assert_int_eq(doors_open(&other, path, why, sizeof(why)), -EPERM);
	ck_assert_int_eq(rmdir(path_of("control.bodies")), 0);
	ck_assert_int_eq(symlink("/tmp", path_of("control.bodies")), 0);
	ck_assert_int_lt(doors_open(&other, path, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "remove it"));
	ck_assert_int_eq(unlink(path_of("control.bodies")), 0);
	ck_assert_int_eq(doors_open(&other, path_of("no/control"), why,
			     sizeof(why)),
	    -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "make it"));
}
END_TEST

UNIT_MAIN("takeover", what_there_is_is_found, nobody_is_there,
    ended_bodies_are_forgotten, nonsense_is_refused,
    unfinished_ones_are_not_waited_for_for_ever,
    only_listening_sockets_are_kept, the_directory_is_ours_alone)
