/*
 * test_takeover - what a master finds at doors, and how long it waits there.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>

#include "tests/unit/takeover_kit.h"

#define LIMIT_MS 300

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

/* Root removes what is another's if told whose it is. */
static void
expect_named(const char *path, uid_t owner, const char *words)
{
	struct doors other = {.is_open = false};

	ck_assert_int_eq(chown(path_of("control.bodies"), owner, (gid_t)-1), 0);
	ck_assert_int_eq(doors_open(&other, path, why, sizeof(why)), -EPERM);
	ck_assert_msg(strstr(why, words) != NULL, "%s", why);
}

START_TEST(whose_directory_it_is_is_told)
{
	const struct passwd *nobody = getpwnam("nobody");
	char path[128];
	char words[64];

	begin();
	(void)snprintf(path, sizeof(path), "%.127s", path_of("control"));
	doors_close(&master.doors, true);
	if (geteuid() != 0 || nobody == NULL)
		return; /* it can't be given away */
	(void)snprintf(words, sizeof(words),
	    "of user nobody (uid %u) with mode "
	    "0700",
	    nobody->pw_uid);
	ck_assert_int_eq(mkdir(path_of("control.bodies"), 0700), 0);
	expect_named(path, nobody->pw_uid, words);
	expect_named(path, 54321, "(uid 54321) with mode 0700");
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
	ck_assert_ptr_nonnull(strstr(why, "with mode 0750"));
	ck_assert_int_eq(rmdir(path_of("control.bodies")), 0);
	ck_assert_int_eq(symlink("/tmp", path_of("control.bodies")), 0);
	ck_assert_int_lt(doors_open(&other, path, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "a symbolic link of"));
	ck_assert_ptr_nonnull(strstr(why, "remove it"));
	ck_assert_int_eq(unlink(path_of("control.bodies")), 0);
	ck_assert_int_eq(doors_open(&other, path_of("no/control"), why,
			     sizeof(why)),
	    -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "make it"));
}
END_TEST

UNIT_MAIN_PIDFDS("takeover", what_there_is_is_found, nobody_is_there,
    ended_bodies_are_forgotten, unfinished_ones_are_not_waited_for_for_ever,
    only_listening_sockets_are_kept, whose_directory_it_is_is_told,
    the_directory_is_ours_alone)
