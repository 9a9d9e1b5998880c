/*
 * test_takeover_nonsense - what a master does not believe of those who answer
 * at doors, or can't understand.
 */
#include <errno.h>
#include <sys/mman.h>

#include "server/state/shm.h"
#include "tests/unit/takeover_kit.h"

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
versions_are_none(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], result.plan_fd};
	struct channel_message message;

	init_body(&message, row, 1);
	message.text_length--;
	CHILD_CHECK(hello(fd) == 0 && channel_send(fd, &message, fds, 3) == 0);
}

static void
versions_are_long(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], result.plan_fd};
	struct channel_message message;

	init_body(&message, row, 1);
	memset(message.text, '1', CHANNEL_TEXT_MAX);
	message.text_length = CHANNEL_TEXT_MAX;
	CHILD_CHECK(hello(fd) == 0 && channel_send(fd, &message, fds, 3) == 0);
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
	    versions_are_none,
	    versions_are_long,
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

/* Whoever speaks another version of one thing is refused at once, and told
 * which program to start. */

static void
says_another_version(int fd, uint32_t row)
{
	const int fds[] = {body_fd, board_fds[1], result.plan_fd};
	struct channel_message message;
	char *number;

	init_body(&message, row, 1);
	number = strstr(message.text, "transfer=");
	CHILD_CHECK(number != NULL);
	number[strlen("transfer=")]++;
	CHILD_CHECK(hello(fd) == 0 && channel_send(fd, &message, fds, 3) == 0);
}

static void
says_hello_in_another(int fd, uint32_t row)
{
	struct channel_message message;

	(void)row;
	channel_init(&message, CHANNEL_HELLO);
	message.version++;
	CHILD_CHECK(channel_send(fd, &message, NULL, 0) == 0);
}

START_TEST(another_version_is_refused_and_named)
{
	static const struct {
		play_fn *play;
		const char *words;
	} rows[] = {
	    {says_another_version, "(transfer: this "},
	    {says_hello_in_another, "(channel: this "},
	};
	char process[32];
	int before;
	int rc;

	begin();
	before = count_fds();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pid_t pid = body_at(5, rows[i].play, 2);

		ck_assert_ptr_null(collect(PATIENT_MS, &rc));
		ck_assert_msg(rc == -EPROTONOSUPPORT, "play %zu: %d %s", i, rc,
		    why);
		(void)snprintf(process, sizeof(process), "/proc/%d/exe", pid);
		ck_assert_msg(strstr(why, rows[i].words) != NULL &&
			strstr(why, process) != NULL,
		    "%s", why);
		ck_assert_int_eq(count_fds(), before);
		end(pid);
	}
}
END_TEST

UNIT_MAIN_PIDFDS("takeover nonsense", nonsense_is_refused,
    another_version_is_refused_and_named)
