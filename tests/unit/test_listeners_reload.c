/*
 * test_listeners_reload - the public sockets from one plan to the next, and
 * what is said when one can't be had.
 */
#include <errno.h>

#include "server/master/listeners.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"
#include "tests/unit/sockets.h"

static struct listeners listeners;
static char why[512];

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

static const struct plan *
load_next(const struct plan *previous, unsigned workers, const char *services)
{
	struct config_request request = {
	    .generation = previous == NULL ? 1 : previous->generation + 1,
	    .nofile = 20000,
	    .previous = previous,
	};
	struct config_result result;
	char text[4 * PATH_MAX];

	(void)snprintf(text, sizeof(text), "user = root\nworkers = %u\n%s",
	    workers, services);
	write_text("l.conf", text);
	request.path = path_of("l.conf");
	config_load(&request, &result);
	if (result.plan == NULL)
		show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	return result.plan;
}

/* Services a, b, … with these addresses and settings. */
static const struct plan *
next_plan(const struct plan *previous, unsigned workers, const char *a,
    const char *b)
{
	char text[3 * PATH_MAX];
	int n = snprintf(text, sizeof(text),
	    "service a {\n%s\nbackend x { address = builtin:echo }\n}\n", a);

	if (b != NULL)
		(void)snprintf(text + n, sizeof(text) - (size_t)n,
		    "service b {\n%s\nbackend x { address = builtin:echo "
		    "}\n}\n",
		    b);
	return load_next(previous, workers, text);
}

static bool
listens(int fd)
{
	return option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
}

START_TEST(what_is_prepared_does_not_listen)
{
	const struct plan *from;
	const struct plan *to;
	uint16_t port;
	int before;
	int fd;

	make_directory();
	from = next_plan(NULL, 2, "listen = 127.0.0.1:0", NULL);
	ck_assert_int_eq(listeners_open(&listeners, from, why, sizeof(why)), 0);
	fd = listeners_fd(&listeners, 0, 0);
	port = listeners.groups[0].bound.port;
	to = next_plan(from, 4, "listen = 127.0.0.1:0", "listen = 127.0.0.1:0");
	before = count_fds();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(listeners_prepare(&listeners, from, to, why,
				     sizeof(why)),
		    0);
		/* Two members more, and four new ones. */
		ck_assert_int_eq(count_fds(), before + 6);
		ck_assert(!listens(listeners_fd(&listeners, 0, 3)));
		ck_assert(!listens(listeners_fd(&listeners, 2, 0)));
		ck_assert_uint_ne(listeners.groups[2].bound.port, 0);
		if (i == 1)
			break;
		listeners_abort(&listeners);
		ck_assert_int_eq(count_fds(), before);
		ck_assert_int_eq(listeners_fd(&listeners, 2, 0), -1);
	}
	ck_assert_int_eq(listeners_listen(&listeners, from, to, why,
			     sizeof(why)),
	    0);
	listeners_commit(&listeners, to);
	listeners_abort(&listeners);
	/* Those of workers that are not there yet wait for them. */
	for (uint32_t w = 0; w < 4; w++) {
		ck_assert_int_eq(listens(listeners_fd(&listeners, 0, w)),
		    w < 2);
		ck_assert_int_eq(listens(listeners_fd(&listeners, 2, w)),
		    w < 2);
	}
	/* What was there is there still. */
	ck_assert_int_eq(listeners_fd(&listeners, 0, 0), fd);
	ck_assert_uint_eq(listeners.groups[0].bound.port, port);
	listeners_release(&listeners);
}
END_TEST

START_TEST(what_is_removed_goes_when_it_is_retired)
{
	const struct plan *from;
	const struct plan *to;
	int before;

	make_directory();
	from = next_plan(NULL, 2, "listen = 127.0.0.1:0", "listen = \"*:0\"");
	ck_assert_int_eq(listeners_open(&listeners, from, why, sizeof(why)), 0);
	to = next_plan(from, 2, "listen = 127.0.0.1:0", NULL);
	before = count_fds();
	ck_assert_int_eq(listeners_prepare(&listeners, from, to, why,
			     sizeof(why)),
	    0);
	ck_assert_int_eq(listeners_listen(&listeners, from, to, why,
			     sizeof(why)),
	    0);
	listeners_commit(&listeners, to);
	ck_assert(listens(listeners_fd(&listeners, 2, 0)));
	ck_assert(listens(listeners_fd(&listeners, 3, 0)));
	listeners_retire(&listeners, to);
	ck_assert_int_eq(listeners_fd(&listeners, 2, 0), -1);
	ck_assert_int_eq(listeners_fd(&listeners, 3, 0), -1);
	ck_assert_int_eq(count_fds(), before - 4);
	listeners_release(&listeners);
}
END_TEST

/* The address of a listener that goes may be the next one's at once. */
START_TEST(an_address_can_change_its_spelling)
{
	const struct plan *from;
	const struct plan *to;
	struct sockaddr_in sin;
	char one[64];
	char all[64];
	int fd;

	make_directory();
	fd = tcp_listener(&sin);
	(void)close(fd);
	(void)snprintf(one, sizeof(one), "listen = 127.0.0.1:%u",
	    ntohs(sin.sin_port));
	(void)snprintf(all, sizeof(all), "listen = 0.0.0.0:%u",
	    ntohs(sin.sin_port));
	from = next_plan(NULL, 2, one, NULL);
	ck_assert_int_eq(listeners_open(&listeners, from, why, sizeof(why)), 0);
	/* Both at once: no. */
	to = next_plan(from, 2, one, all);
	ck_assert_int_eq(listeners_prepare(&listeners, from, to, why,
			     sizeof(why)),
	    -EADDRINUSE);
	ck_assert_msg(strstr(why, "127.0.0.1:") != NULL &&
		strstr(why, "of service a") != NULL &&
		strstr(why, "service b can't listen on 0.0.0.0") != NULL,
	    "%s", why);
	to = next_plan(from, 2, all, NULL);
	ck_assert_int_eq(listeners_prepare(&listeners, from, to, why,
			     sizeof(why)),
	    0);
	ck_assert_int_eq(listeners_listen(&listeners, from, to, why,
			     sizeof(why)),
	    0);
	listeners_commit(&listeners, to);
	listeners_retire(&listeners, to);
	ck_assert_int_eq(listeners_fd(&listeners, 0, 0), -1);
	ck_assert(listens(listeners_fd(&listeners, 2, 0)));
	listeners_release(&listeners);
}
END_TEST

static mode_t
mode_of(const char *name)
{
	struct stat st;

	return lstat(path_of(name), &st) < 0 ? 0 : st.st_mode & 07777;
}

/* One listener at a path, with a setting more. */
static const struct plan *
unix_plan(const struct plan *previous, const char *name, const char *setting)
{
	char listen_on[PATH_MAX + 64];

	(void)snprintf(listen_on, sizeof(listen_on), "listen = \"unix:%s\"\n%s",
	    path_of(name), setting);
	return next_plan(previous, 2, listen_on, NULL);
}

static void
prepare(const struct plan *from, const struct plan *to)
{
	ck_assert_int_eq(listeners_prepare(&listeners, from, to, why,
			     sizeof(why)),
	    0);
}

START_TEST(the_file_of_a_kept_socket_changes)
{
	const struct plan *from;
	const struct plan *to;

	make_directory();
	from = unix_plan(NULL, "s", "mode = 600");
	ck_assert_int_eq(listeners_open(&listeners, from, why, sizeof(why)), 0);
	ck_assert_uint_eq(mode_of("s"), 0600);
	to = unix_plan(from, "s", "mode = 666");
	prepare(from, to);
	ck_assert_uint_eq(mode_of("s"), 0666);
	listeners_abort(&listeners);
	ck_assert_uint_eq(mode_of("s"), 0600);
	prepare(from, to);
	listeners_commit(&listeners, to);
	listeners_abort(&listeners);
	ck_assert_uint_eq(mode_of("s"), 0666);
	listeners_remove_files(&listeners);
	listeners_release(&listeners);
}
END_TEST

START_TEST(another_path_is_another_listener)
{
	const struct plan *from;
	const struct plan *to;

	make_directory();
	from = unix_plan(NULL, "s", "");
	ck_assert_int_eq(listeners_open(&listeners, from, why, sizeof(why)), 0);
	to = unix_plan(from, "t", "");
	prepare(from, to);
	ck_assert_uint_ne(mode_of("t"), 0);
	listeners_abort(&listeners);
	ck_assert_uint_eq(mode_of("t"), 0);
	prepare(from, to);
	listeners_commit(&listeners, to);
	ck_assert_uint_ne(mode_of("s"), 0);
	listeners_retire(&listeners, to);
	ck_assert_uint_eq(mode_of("s"), 0);
	ck_assert_uint_ne(mode_of("t"), 0);
	listeners_remove_files(&listeners);
	ck_assert_uint_eq(mode_of("t"), 0);
	listeners_release(&listeners);
}
END_TEST

START_TEST(options_of_a_kept_socket_change)
{
	const struct plan *from;
	const struct plan *to;
	int fd;

	make_directory();
	from = next_plan(NULL, 1, "listen = 127.0.0.1:0\nnodelay = true", NULL);
	ck_assert_int_eq(listeners_open(&listeners, from, why, sizeof(why)), 0);
	fd = listeners_fd(&listeners, 0, 0);
	to = next_plan(from, 1, "listen = 127.0.0.1:0\nnodelay = false", NULL);
	ck_assert_int_eq(listeners_prepare(&listeners, from, to, why,
			     sizeof(why)),
	    0);
	ck_assert(option(fd, IPPROTO_TCP, TCP_NODELAY));
	listeners_commit(&listeners, to);
	ck_assert(!option(fd, IPPROTO_TCP, TCP_NODELAY));
	ck_assert(listens(fd));
	listeners_release(&listeners);
}
END_TEST

/* Two spellings of one path: the first is not mistaken for a dead socket. */
START_TEST(one_file_has_one_listener)
{
	char listen_on[2 * PATH_MAX];
	const struct plan *plan;

	make_directory();
	(void)snprintf(listen_on, sizeof(listen_on),
	    "listen = {\"unix:%s/s\", \"unix:%s/./s\"}", directory, directory);
	plan = next_plan(NULL, 1, listen_on, NULL);
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)),
	    -EADDRINUSE);
	ck_assert_uint_eq(mode_of("s"), 0);
}
END_TEST

START_TEST(failures_say_what_to_do)
{
	char listen_on[PATH_MAX + 64];

	make_directory();
	(void)snprintf(listen_on, sizeof(listen_on),
	    "listen = \"unix:%s/none/s\"", directory);
	ck_assert_int_eq(listeners_open(&listeners,
			     next_plan(NULL, 1, listen_on, NULL), why,
			     sizeof(why)),
	    -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no directory /tmp/"));
	ck_assert_ptr_nonnull(strstr(why, "/none"));
	ck_assert_ptr_null(strstr(why, "/none/s;"));
	/* TEST-NET-1 (RFC 5737). */
	ck_assert_int_eq(listeners_open(&listeners,
			     next_plan(NULL, 1, "listen = 192.0.2.1:0", NULL),
			     why, sizeof(why)),
	    -EADDRNOTAVAIL);
	ck_assert_ptr_nonnull(strstr(why, "no interface"));
}
END_TEST

static void
listen_without_privileges(void *arg)
{
	const struct plan *const *plans = arg;

	CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHILD_CHECK(listeners_open(&listeners, plans[0], why, sizeof(why)) ==
	    -EACCES);
	CHILD_CHECK(strstr(why, "CAP_NET_BIND_SERVICE") != NULL);
	CHILD_CHECK(listeners_open(&listeners, plans[1], why, sizeof(why)) ==
	    -EACCES);
	CHILD_CHECK(strstr(why, "no file may be made") != NULL);
	CHILD_CHECK(listeners_open(&listeners, plans[2], why, sizeof(why)) ==
	    -EPERM);
	CHILD_CHECK(strstr(why, "only root may") != NULL);
}

/* Ports below 1024 may be open to all (ip_unprivileged_port_start). */
static bool
low_ports_are_for_root(void)
{
	char text[32] = "";
	FILE *file =
	    fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");

	if (file == NULL)
		return true;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	(void)fclose(file);
	return strtol(text, NULL, 10) > 1;
}

START_TEST(missing_privileges_are_named)
{
	char closed[PATH_MAX + 64];
	char open[PATH_MAX + 64];
	const struct plan *plans[3];

	if (geteuid() != 0 || !low_ports_are_for_root())
		return;
	make_directory();
	(void)snprintf(closed, sizeof(closed), "listen = \"unix:%s/s\"",
	    directory);
	ck_assert_int_eq(mkdir(path_of("open"), 0777), 0);
	ck_assert_int_eq(chmod(path_of("open"), 0777), 0);
	(void)snprintf(open, sizeof(open),
	    "listen = \"unix:%s/open/s\"\nowner = root", directory);
	plans[0] = next_plan(NULL, 1, "listen = 127.0.0.1:1", NULL);
	plans[1] = next_plan(NULL, 1, closed, NULL);
	ck_assert_int_eq(chmod(directory, 0711), 0);
	plans[2] = next_plan(NULL, 1, open, NULL);
	child_passes(listen_without_privileges, plans);
}
END_TEST

UNIT_MAIN("listeners_reload", what_is_prepared_does_not_listen,
    what_is_removed_goes_when_it_is_retired, an_address_can_change_its_spelling,
    the_file_of_a_kept_socket_changes, another_path_is_another_listener,
    options_of_a_kept_socket_change, one_file_has_one_listener,
    failures_say_what_to_do, missing_privileges_are_named)
