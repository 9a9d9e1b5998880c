/*
 * test_listeners - the public sockets, and who holds a port that is in use.
 */
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "server/master/listeners.h"
#include "server/master/port_owner.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"
#include "tests/unit/sockets.h"

static struct listeners listeners;
static char why[512];

static const struct plan *
plan_of(const char *listen, const char *more)
{
	char text[1024];
	struct config_result result;

	(void)snprintf(text, sizeof(text),
	    "user = nobody\nworkers = 3\nservice s {\nlisten = {%s}\n%s\n"
	    "backend a { address = builtin:echo }\n}\n",
	    listen, more);
	write_text("l.conf", text);
	result = load("l.conf", false);
	if (result.plan == NULL)
		show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	return result.plan;
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

START_TEST(each_worker_has_a_socket_of_its_own)
{
	const struct plan *plan;
	int before;

	make_directory();
	plan = plan_of("127.0.0.1:0", "");
	before = count_fds();
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)), 0);
	ck_assert_uint_ne(listeners.groups[0].bound.port, 0);
	for (uint32_t i = 0; i < 3; i++) {
		int fd = listeners_fd(&listeners, 0, i);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_ne(fd, listeners_fd(&listeners, 0, (i + 1) % 3));
		ck_assert(option(fd, SOL_SOCKET, SO_ACCEPTCONN));
		ck_assert(option(fd, SOL_SOCKET, SO_REUSEPORT));
		ck_assert(option(fd, SOL_SOCKET, SO_OOBINLINE));
		ck_assert(option(fd, IPPROTO_TCP, TCP_NODELAY));
	}
	ck_assert_int_eq(listeners_fd(&listeners, 0, 3),
	    listeners_fd(&listeners, 0, 0));
	ck_assert_int_eq(listeners_fd(&listeners, 1, 0), -1);
	ck_assert_int_eq(listeners_fd(&listeners, 2, 0), -1);
	listeners_release(&listeners);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(a_star_is_both_families)
{
	make_directory();
	ck_assert_int_eq(listeners_open(&listeners, plan_of("\"*:0\"", ""), why,
			     sizeof(why)),
	    0);
	ck_assert_int_eq(listeners.groups[0].bound.kind, ADDR_TCP4);
	ck_assert_int_eq(listeners.groups[1].bound.kind, ADDR_TCP6);
	ck_assert_uint_eq(listeners.groups[0].bound.port,
	    listeners.groups[1].bound.port);
	ck_assert(option(listeners_fd(&listeners, 1, 0), IPPROTO_IPV6,
	    IPV6_V6ONLY));
	listeners_release(&listeners);
}
END_TEST

/* Also one that shares its port: nothing stays bound, and it is named. */
START_TEST(a_port_in_use_is_an_error)
{
	struct sockaddr_in sin;
	char listen_on[128];
	int on = 1;
	int fd;
	int before;
	const struct plan *plan;

	make_directory();
	fd = tcp_listener(&sin);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
			     sizeof(on)),
	    0);
	(void)snprintf(listen_on, sizeof(listen_on),
	    "127.0.0.1:0, 127.0.0.1:%u", ntohs(sin.sin_port));
	plan = plan_of(listen_on, "");
	before = count_fds();
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)),
	    -EADDRINUSE);
	ck_assert_int_eq(count_fds(), before);
	/* This very process has it. */
	ck_assert_msg(strstr(why, "another socket of this") != NULL, "%s", why);
	ck_assert_ptr_nonnull(strstr(why, "service s"));
	(void)close(fd);
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)), 0);
	listeners_release(&listeners);
}
END_TEST

START_TEST(nobody_holds_a_free_port)
{
	struct sockaddr_in sin;
	struct addr addr;
	char text[128] = "x";
	uid_t uid;
	int fd = tcp_listener(&sin);

	addr_from_sockaddr(&addr, (struct sockaddr *)&sin, sizeof(sin));
	ck_assert_int_eq(port_owner(&addr, text, sizeof(text), &uid), getpid());
	ck_assert_uint_gt(strlen(text), 0);
	ck_assert_uint_eq(uid, getuid());
	(void)close(fd);
	ck_assert_int_eq(port_owner(&addr, text, sizeof(text), &uid), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(uid, PORT_OWNER_UNKNOWN);
	addr.kind = ADDR_UNIX;
	ck_assert_int_eq(port_owner(&addr, text, sizeof(text), &uid), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(uid, PORT_OWNER_UNKNOWN);
}
END_TEST

/* A socket that listens; addr is then where, with the port that was free. */
static int
listener_on(struct addr *addr, const char *text)
{
	struct sockaddr_storage ss;
	char error[128];
	socklen_t length;
	int fd;

	ck_assert_int_eq(addr_parse(text, ADDR_FOR_LISTEN, addr, error,
			     sizeof(error)),
	    0);
	length = (socklen_t)addr_to_sockaddr(addr, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, length), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	length = sizeof(ss);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &length), 0);
	addr_from_sockaddr(addr, (struct sockaddr *)&ss, length);
	return fd;
}

static pid_t
owner_at(const char *ip, uint16_t port)
{
	struct addr addr;
	char text[128];
	uid_t uid;

	(void)snprintf(text, sizeof(text), "%s:%u", ip, port);
	ck_assert_int_eq(addr_parse(text, ADDR_FOR_LISTEN, &addr, why,
			     sizeof(why)),
	    0);
	return port_owner(&addr, text, sizeof(text), &uid);
}

/* The same port of another address is not in the way. */
START_TEST(the_holder_is_that_of_the_address)
{
	static const struct {
		const char *held;
		const char *wanted;
		bool in_the_way;
	} rows[] = {
	    {"127.0.0.2:0", "127.0.0.2", true},
	    {"127.0.0.2:0", "0.0.0.0", true}, {"0.0.0.0:0", "127.0.0.2", true},
	    {"127.0.0.2:0", "127.0.0.3", false}, {"127.0.0.2:0", "[::]", false},
	    {"[::1]:0", "[::1]", true}, {"[::1]:0", "[::]", true},
	    {"[::1]:0", "[::2]", false}, {"[::1]:0", "0.0.0.0", false},
	    {"[::]:0", "127.0.0.2", true}, /* both families, as it is */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr addr;
		int fd = listener_on(&addr, rows[i].held);
		pid_t owner = owner_at(rows[i].wanted, addr.port);

		ck_assert_msg((owner == getpid()) == rows[i].in_the_way,
		    "%s holds %s: process %d", rows[i].held, rows[i].wanted,
		    owner);
		(void)close(fd);
	}
}
END_TEST

/* Which process it is is not for nobody to know, but whose it is. */
START_TEST(the_user_is_told_where_the_process_is_not)
{
	struct sockaddr_in sin;
	char listen_on[64];
	const struct plan *plan;
	pid_t child;
	int fd;

	if (geteuid() != 0)
		return;
	fd = tcp_listener(&sin);
	child = fork();
	if (child == 0)
		for (;;)
			(void)pause();
	(void)close(fd);
	(void)snprintf(listen_on, sizeof(listen_on), "127.0.0.1:%u",
	    ntohs(sin.sin_port));
	plan = plan_of(listen_on, "");
	ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)),
	    -EADDRINUSE);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(strstr(why, "by a process of the user with the number 0"),
	    "%s", why);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

static const struct plan *
unix_plan(const char *more)
{
	char listen_on[PATH_MAX + 16];

	(void)snprintf(listen_on, sizeof(listen_on), "\"unix:%s\"",
	    path_of("s"));
	return plan_of(listen_on, more);
}

START_TEST(a_unix_socket_is_shared_and_removed)
{
	struct stat st;

	make_directory();
	ck_assert_int_eq(listeners_open(&listeners, unix_plan("mode = 640"),
			     why, sizeof(why)),
	    0);
	ck_assert_int_eq(listeners_fd(&listeners, 0, 0),
	    listeners_fd(&listeners, 0, 2));
	ck_assert_int_eq(lstat(path_of("s"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	listeners_remove_files(&listeners);
	ck_assert_int_lt(lstat(path_of("s"), &st), 0);
	listeners_release(&listeners);
}
END_TEST

/* The folder may be somebody else's: nothing but the socket gets the mode. */
START_TEST(a_link_in_its_place_is_left_alone)
{
	static const struct listener_access all = {
	    .uid = PLAN_NO_ID, .gid = PLAN_NO_ID, .mode = 0666};
	struct listener_access before;
	struct listener_file file;
	struct listener_file link_file;
	char path[PATH_MAX];
	char other[PATH_MAX];
	struct stat st;
	int fds;

	make_directory();
	write_text("precious", "");
	(void)snprintf(other, sizeof(other), "%s", path_of("precious"));
	ck_assert_int_eq(chmod(other, 0600), 0);
	ck_assert_int_eq(listeners_open(&listeners, unix_plan(""), why,
			     sizeof(why)),
	    0);
	(void)snprintf(path, sizeof(path), "%s", path_of("s"));
	fds = count_fds();
	ck_assert_int_eq(listener_file_note(path, &file), 0);
	ck_assert_int_eq(listener_file_give(path, &file, &all), 0);
	ck_assert_int_eq(link(path, path_of("second")), 0);
	ck_assert_int_eq(listener_file_give(path, &file, &all), -EEXIST);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(listener_file_look(path, &file, &before), -ENOENT);
	ck_assert_int_eq(symlink(other, path), 0);
	ck_assert_int_eq(listener_file_give(path, &file, &all), -EEXIST);
	/* Even if it was there before it was noted. */
	ck_assert_int_eq(listener_file_note(path, &link_file), 0);
	ck_assert_int_eq(listener_file_give(path, &link_file, &all), -EEXIST);
	ck_assert_int_eq(stat(other, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(count_fds(), fds);
	listeners_release(&listeners);
}
END_TEST

START_TEST(only_a_dead_socket_is_replaced)
{
	struct listeners other = {0};
	char moved[PATH_MAX];
	struct stat st;

	make_directory();
	/* Dead: its file is left, nobody listens. */
	ck_assert_int_eq(listeners_open(&other, unix_plan(""), why,
			     sizeof(why)),
	    0);
	listeners_close(&other);
	ck_assert_int_eq(listeners_open(&listeners, unix_plan(""), why,
			     sizeof(why)),
	    0);
	/* Alive. */
	listeners_release(&other);
	ck_assert_int_eq(listeners_open(&other, unix_plan(""), why,
			     sizeof(why)),
	    -EADDRINUSE);
	ck_assert_int_eq(lstat(path_of("s"), &st), 0);
	listeners_remove_files(&listeners);
	listeners_release(&listeners);
	/* Another kind of file, and one that took our socket's place. */
	ck_assert_int_eq(listeners_open(&listeners, unix_plan(""), why,
			     sizeof(why)),
	    0);
	write_text("new", "precious");
	(void)snprintf(moved, sizeof(moved), "%s", path_of("new"));
	ck_assert_int_eq(rename(moved, path_of("s")), 0);
	listeners_remove_files(&listeners);
	listeners_release(&listeners);
	ck_assert_int_eq(listeners_open(&other, unix_plan(""), why,
			     sizeof(why)),
	    -EEXIST);
	ck_assert_int_eq(lstat(path_of("s"), &st), 0);
	ck_assert_int_eq(st.st_size, 8);
	ck_assert_ptr_nonnull(strstr(why, "another kind"));
}
END_TEST

UNIT_MAIN("listeners", each_worker_has_a_socket_of_its_own,
    a_star_is_both_families, a_port_in_use_is_an_error,
    nobody_holds_a_free_port, the_holder_is_that_of_the_address,
    the_user_is_told_where_the_process_is_not,
    a_unix_socket_is_shared_and_removed, a_link_in_its_place_is_left_alone,
    only_a_dead_socket_is_replaced)
