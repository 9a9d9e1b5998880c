/*
 * test_control_places - more clients than there are places or descriptors,
 * and the socket's file.
 */
#include <sys/resource.h>

#include "tests/unit/control_server.h"

START_TEST(two_hundred_silent_ones_do_not_keep_a_good_one_out)
{
	static struct client silent[200];
	struct client good;

	server_begin();
	good = client_connect();
	expect_served(&good);
	connect_silent(silent, 200);
	for (int i = 0; i < 20; i++)
		expect_served(&good);
	/* When they have been idle for long enough they make room. */
	(void)poll(NULL, 0, (int)limits_short.idle_ms + 50);
	expect_service();
	expect_service();
	for (int i = 0; i < 200; i++)
		client_end(&silent[i]);
	expect_served(&good);
	client_end(&good);
	server_end();
}
END_TEST

START_TEST(a_recent_client_is_not_put_out_for_another)
{
	static struct client clients[65];
	static const struct control_limits limits = {
	    .clients = 64,
	    .kept = 8,
	    .idle_ms = 60000,
	    .half_ms = 60000,
	    .take_ms = 60000,
	    .pause_ms = 100,
	};

	server_begin_with(&limits, 0660);
	connect_silent(clients, 65);
	client_expect_end(&clients[64]);
	client_expect_silence(&clients[0]);
	for (int i = 0; i < 64; i++)
		expect_served(&clients[i]);
	client_end(&clients[0]);
	client_end(&clients[64]);
	/* The server may hear of the end after the next one's beginning. */
	for (;;) {
		clients[0] = client_connect();
		if (client_send(&clients[0], CALL_INFO, sizeof(CALL_INFO)) ==
			0 &&
		    client_read_some(&clients[0], WAIT_MS) > 0)
			break;
		client_end(&clients[0]);
	}
	for (int i = 0; i < 64; i++)
		client_end(&clients[i]);
	server_end();
}
END_TEST

START_TEST(without_descriptors_clients_wait_and_the_server_sleeps)
{
	struct client first;
	struct client waiting;
	struct rlimit before;
	struct rlimit none;
	struct timespec cpu;
	clockid_t clock;

	server_begin();
	first = client_connect();
	expect_served(&first);
	ck_assert_int_eq(prlimit(server_pid, RLIMIT_NOFILE, NULL, &before), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	ck_assert_int_eq(prlimit(server_pid, RLIMIT_NOFILE, &none, NULL), 0);
	waiting = client_connect();
	client_say(&waiting, CALL_INFO);
	(void)poll(NULL, 0, 500);
	expect_served(&first);
	client_expect_silence(&waiting);
	ck_assert_int_eq(clock_getcpuclockid(server_pid, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &cpu), 0);
	ck_assert_msg(cpu.tv_sec == 0 && cpu.tv_nsec < 200000000,
	    "it spun: %ld ms", cpu.tv_nsec / 1000000);
	ck_assert_int_eq(prlimit(server_pid, RLIMIT_NOFILE, &before, NULL), 0);
	json_decref(client_hear(&waiting));
	client_end(&first);
	client_end(&waiting);
	server_end();
}
END_TEST

static int
open_here(char why[256])
{
	struct control *control;
	int error;

	ck_assert_int_eq(loop_new(&gateway.loop), 0);
	error = control_open(&gateway, NULL, &control, why, 256);
	control_close(control);
	loop_free(gateway.loop);
	return error;
}

START_TEST(the_file_has_the_mode_and_group_of_the_plan)
{
	struct control *control;
	struct stat st;
	char why[256] = "";
	gid_t group = getgid();

	make_directory();
	(void)umask(0);
	if (geteuid() == 0)
		group = 65534;
	gateway.plan.head.control.gid = group;
	ck_assert_int_eq(loop_new(&gateway.loop), 0);
	ck_assert_msg(control_open(&gateway, NULL, &control, why, 256) == 0,
	    "%s", why);
	ck_assert_int_eq(stat(socket_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	ck_assert_uint_eq(st.st_gid, group);
	ck_assert_uint_eq(umask(0), 0);
	control_close(control);
	ck_assert_int_eq(access(socket_path, F_OK), -1);
	loop_free(gateway.loop);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(a_dead_socket_is_replaced_and_nothing_else)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char why[256] = "";
	int fd;

	make_directory();
	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(open_here(why), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(why, socket_path));
	ck_assert_int_eq(access(socket_path, F_OK), 0);
	(void)close(fd);
	ck_assert_msg(open_here(why) == 0, "%s", why);
	ck_assert_int_eq(access(socket_path, F_OK), -1);

	fd = open(socket_path, O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	ck_assert_int_eq(open_here(why), -EEXIST);
	ck_assert_int_eq(unlink(socket_path), 0);
	ck_assert_int_eq(symlink("/nonexistent", socket_path), 0);
	ck_assert_int_eq(open_here(why), -EEXIST);
	ck_assert_int_eq(unlink(socket_path), 0);

	ck_assert_int_eq(rmdir(directory), 0);
	ck_assert_int_eq(open_here(why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "directory"));
}
END_TEST

START_TEST(a_file_that_took_the_place_of_ours_is_left_alone)
{
	struct control *control;
	char why[256] = "";
	int fd;

	make_directory();
	ck_assert_int_eq(loop_new(&gateway.loop), 0);
	ck_assert_msg(control_open(&gateway, NULL, &control, why, 256) == 0,
	    "%s", why);
	ck_assert_int_eq(unlink(socket_path), 0);
	fd = open(socket_path, O_CREAT | O_WRONLY, 0600);
	control_close(control);
	loop_free(gateway.loop);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(unlink(socket_path), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(a_path_that_does_not_fit_is_refused)
{
	char why[256] = "";
	char path[200];

	make_directory();
	ck_assert_int_eq(rmdir(directory), 0);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	gateway.plan.head.control.path = string_add(path);
	ck_assert_int_eq(open_here(why), -ENAMETOOLONG);
	gateway.plan.head.control.path = string_add("a/b");
	ck_assert_int_eq(open_here(why), -EINVAL);
}
END_TEST

UNIT_MAIN("control_places", two_hundred_silent_ones_do_not_keep_a_good_one_out,
    a_recent_client_is_not_put_out_for_another,
    without_descriptors_clients_wait_and_the_server_sleeps,
    the_file_has_the_mode_and_group_of_the_plan,
    a_dead_socket_is_replaced_and_nothing_else,
    a_file_that_took_the_place_of_ours_is_left_alone,
    a_path_that_does_not_fit_is_refused)
