/*
 * test_passed - sockets that were passed: whose they are in a plan, and what
 * the listeners do with them.
 */
#include <errno.h>
#include <fcntl.h>

#include "common/clock.h"
#include "server/master/activation.h"
#include "server/master/listeners.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"
#include "tests/unit/sockets.h"

static struct passed_socket sockets[4];
static struct passed passed = {.sockets = sockets};
static struct listeners listeners = {.passed = &passed};
static char why[640];

static struct passed_socket *
add(const char *name, const char *address)
{
	struct passed_socket *socket = &sockets[passed.count++];

	socket->fd = -1;
	(void)snprintf(socket->name, sizeof(socket->name), "%s", name);
	ck_assert_int_eq(addr_parse(address, ADDR_FOR_LISTEN, &socket->addr,
			     why, sizeof(why)),
	    0);
	return socket;
}

static const struct passed_socket *
find(const char *address, unsigned which, uint32_t n)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(address, ADDR_FOR_LISTEN, &addr, why,
			     sizeof(why)),
	    0);
	if (addr.kind == ADDR_PASSED)
		addr.port = (uint16_t)which;
	return passed_find(&passed, &addr, n);
}

START_TEST(they_are_found_by_name_and_address)
{
	const struct passed_socket *a = add("a", "127.0.0.1:80");
	const struct passed_socket *b = add("b", "unix:/b");
	const struct passed_socket *c = add("a", "[::]:81");

	ck_assert_uint_eq(passed_count(&passed, "a"), 2);
	ck_assert_uint_eq(passed_count(&passed, ""), 0);
	ck_assert_uint_eq(passed_count(NULL, "a"), 0);
	ck_assert_ptr_eq(find("systemd:a", 0, 0), a);
	ck_assert_ptr_eq(find("systemd:a", 1, 0), c);
	ck_assert_ptr_null(find("systemd:a", 2, 0));
	ck_assert_ptr_null(find("systemd:a", 0, 1));
	ck_assert_ptr_null(find("systemd:c", 0, 0));
	ck_assert_ptr_eq(find("127.0.0.1:80", 0, 0), a);
	ck_assert_ptr_null(find("127.0.0.1:80", 0, 1));
	ck_assert_ptr_null(find("127.0.0.1:81", 0, 0));
	ck_assert_ptr_null(find("127.0.0.1:0", 0, 0));
	ck_assert_ptr_eq(find("unix:/b", 0, 0), b);
	ck_assert_ptr_null(find("unix:@b", 0, 0));
	/* Of both families there may be one, or one of each, or half. */
	ck_assert_ptr_null(find("*:81", 0, 0));
	ck_assert_ptr_eq(find("*:81", 0, 1), c);
	a = add("d", "*:81");
	ck_assert_ptr_eq(find("*:81", 0, 0), a);
	ck_assert_ptr_eq(find("*:81", 0, 1), a);
	ck_assert_ptr_eq(find("[::]:81", 0, 0), c);
	ck_assert_ptr_null(find("0.0.0.0:81", 0, 0));
}
END_TEST

/* After the plan previous, or NULL. */
static struct config_result
compile_after(const char *services, const struct plan *previous)
{
	static char text[2048];
	struct config_request request = {
	    .generation = previous == NULL ? 1 : previous->generation + 1,
	    .nofile = 20000,
	    .passed = &passed,
	    .previous = previous,
	};

	(void)snprintf(text, sizeof(text), "user = nobody\nworkers = 3\n%s",
	    services);
	write_text("p.conf", text);
	request.path = path_of("p.conf");
	return load_request(&request);
}

static struct config_result
compile(const char *services)
{
	return compile_after(services, NULL);
}

static const struct plan *
compile_good(const char *services)
{
	struct config_result result = compile(services);

	show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	return result.plan;
}

#define SERVICE_ON(name, address)                      \
	"service " name " {\nlisten = {" address "}\n" \
	"backend e { address = builtin:echo } }\n"

START_TEST(a_plan_says_which_are_passed)
{
	const struct plan *plan;

	make_directory();
	(void)add("web", "127.0.0.1:80");
	(void)add("web", "unix:/run/web");
	(void)add("six", "[::]:81");
	plan = compile_good(SERVICE_ON("s",
	    "\"systemd:web\", \"*:81\", 127.0.0.1:82")
		SERVICE_ON("t", "\"systemd:none\""));
	/* A name for two sockets is two rows. */
	ck_assert_uint_eq(plan->listeners.count, 5);
	ck_assert_uint_eq(plan_service(plan, 0)->listeners, 4);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(plan_listener(plan, i)->addr.port, i);
		ck_assert_uint_eq(plan_listener(plan, i)->passed, 1);
		ck_assert_str_eq(plan_string(plan,
				     plan_listener(plan, i)->text),
		    "systemd:web");
	}
	ck_assert_uint_eq(plan_listener(plan, 2)->passed, 2);
	ck_assert_uint_eq(plan_listener(plan, 3)->passed, 0);
	/* Binding will find that there is none. */
	ck_assert_uint_eq(plan_listener(plan, 4)->passed, 1);
}
END_TEST

static size_t
count_changes(const struct plan *from, const struct plan *to)
{
	struct config_change *changes;
	size_t count;

	ck_assert_int_eq(config_diff(from, to, &changes, &count), 0);
	free(changes);
	return count;
}

/* Each of the sockets of a name is known again, wherever it stands. */
START_TEST(a_reload_keeps_them)
{
	const struct plan *first;
	struct config_result next;
	struct config_result last;
	const char *fault;

	make_directory();
	(void)add("web", "127.0.0.1:80");
	(void)add("web", "127.0.0.1:81");
	first = compile_good(SERVICE_ON("s", "\"systemd:web\""));
	next = compile_after(SERVICE_ON("s", "\"systemd:web\""), first);
	ck_assert_uint_eq(count_changes(first, next.plan), 0);
	config_result_release(&next);

	next = compile_after(SERVICE_ON("t", "127.0.0.1:82, \"systemd:web\""),
	    first);
	ck_assert_int_eq(plan_check_succession(first, next.plan, &fault), 0);
	ck_assert_uint_eq(next.plan->listeners.count, 3);
	for (uint32_t i = 0; i < 2; i++) {
		const struct plan_listener *row = plan_listener(next.plan, i);

		ck_assert_uint_eq(row->born, first->generation);
		ck_assert_uint_eq(row->addr.port, i);
		ck_assert_uint_eq(row->passed, 1);
	}
	/* By its address it is another listener, which takes the same. */
	last = compile_after(SERVICE_ON("t", "127.0.0.1:80"), next.plan);
	ck_assert_int_eq(plan_check_succession(next.plan, last.plan, &fault),
	    0);
	ck_assert_uint_eq(plan_listener(last.plan, 0)->state, ROW_EMPTY);
	config_result_release(&next);
	config_result_release(&last);
}
END_TEST

/* An error in one line, and told once. */
static void
expect_doubled(const char *services, uint32_t line)
{
	struct config_result result = compile(services);

	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "p.conf", line, "listened on already"));
	config_result_release(&result);
}

START_TEST(one_socket_has_one_listener)
{
	make_directory();
	(void)add("web", "127.0.0.1:80");
	(void)add("any", "*:81");
	expect_doubled(SERVICE_ON("s", "\"systemd:web\"")
			   SERVICE_ON("t", "127.0.0.1:80"),
	    7);
	expect_doubled(SERVICE_ON("s", "\"*:81\", \"systemd:any\""), 4);
	expect_doubled(SERVICE_ON("s", "\"systemd:web\", \"systemd:web\""), 4);
	expect_doubled(SERVICE_ON("s", "\"systemd:no\", \"systemd:no\""), 4);
}
END_TEST

/* As many as there can be are no burden, neither to the child that compiles
 * (it has 20 s) nor to the master. */
START_TEST(there_may_be_thousands)
{
	const struct plan *plan;
	uint64_t began_ms;

	make_directory();
	passed.sockets = calloc(PLAN_LISTENERS_MAX, sizeof(*passed.sockets));
	ck_assert_ptr_nonnull(passed.sockets);
	passed.count = PLAN_LISTENERS_MAX;
	for (uint32_t i = 0; i < passed.count; i++)
		passed.sockets[i] = (struct passed_socket){
		    .fd = -1,
		    .addr = {.kind = ADDR_TCP4, .port = (uint16_t)(i + 1)},
		    .name = "web",
		};
	plan = compile_good(SERVICE_ON("s", "\"systemd:web\""));
	ck_assert_uint_eq(plan->listeners.count, PLAN_LISTENERS_MAX);
	began_ms = clock_monotonic_ms();
	activation_tell_missed(&passed, plan);
	ck_assert_uint_lt(clock_monotonic_ms() - began_ms, 5000);
	for (uint32_t i = 0; i < passed.count; i++)
		ck_assert(!passed.sockets[i].is_missed);
	free(passed.sockets);
}
END_TEST

START_TEST(the_effective_configuration_reads_back)
{
	struct config_result result;
	char text[4096];
	FILE *out = fmemopen(text, sizeof(text), "w");

	make_directory();
	write_text("p.conf",
	    "user = nobody\n" SERVICE_ON("s", "\"systemd:web\", 127.0.0.1:80"));
	result = load_good("p.conf", true);
	ck_assert_uint_eq(result.plan->listeners.count, 2);
	ck_assert_int_eq(config_print(result.plan, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_ptr_nonnull(strstr(text, "systemd:web"));
	write_text("q.conf", text);
	result = load_good("q.conf", true);
	ck_assert_uint_eq(plan_listener(result.plan, 0)->addr.kind,
	    ADDR_PASSED);
}
END_TEST

/* The master's own descriptor of it, which stays what it was. */
static int
listen_as(struct passed_socket *socket)
{
	struct sockaddr_in sin;

	socket->fd = tcp_listener(&sin);
	addr_from_sockaddr(&socket->addr, (struct sockaddr *)&sin, sizeof(sin));
	return socket->fd;
}

static int
is_listening(int fd)
{
	int value = 0;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value,
			     &length),
	    0);
	return value;
}

START_TEST(all_workers_share_it_and_nobody_closes_it)
{
	int fd = listen_as(add("web", "127.0.0.1:1"));
	const struct plan *plan;
	int before;
	int shared;

	make_directory();
	plan = compile_good(SERVICE_ON("s", "\"systemd:web\""));
	before = count_fds();
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)), 0);
	ck_assert_uint_eq(listeners.groups[0].count, 1);
	ck_assert(addr_equal(&listeners.groups[0].bound, &sockets[0].addr));
	shared = listeners_fd(&listeners, 0, 0);
	ck_assert_int_ne(shared, fd);
	ck_assert_int_eq(listeners_fd(&listeners, 0, 2), shared);
	ck_assert_int_ne(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(shared, F_GETFD) & FD_CLOEXEC, 0);
	/* A reload that is given up, and one that removes it. */
	ck_assert_int_eq(listeners_prepare(&listeners, plan, plan, why,
			     sizeof(why)),
	    0);
	listeners_abort(&listeners);
	ck_assert_int_eq(listeners_fd(&listeners, 0, 1), shared);
	listeners_release(&listeners);
	ck_assert_int_eq(count_fds(), before);
	ck_assert(is_listening(fd));
	ck_assert_int_eq(listeners_open(&listeners, plan, why, sizeof(why)), 0);
	listeners_release(&listeners);
}
END_TEST

START_TEST(what_is_not_there_is_explained)
{
	make_directory();
	ck_assert_int_eq(listeners_open(&listeners,
			     compile_good(SERVICE_ON("s", "\"systemd:web\"")),
			     why, sizeof(why)),
	    -ENOENT);
	ck_assert_msg(strstr(why, "FileDescriptorName=web") != NULL, "%s", why);
	(void)listen_as(add("one", "127.0.0.1:1"));
	(void)listen_as(add("two", "127.0.0.1:1"));
	ck_assert_int_eq(listeners_open(&listeners,
			     compile_good(SERVICE_ON("s", "\"systemd:web\"")),
			     why, sizeof(why)),
	    -ENOENT);
	ck_assert_msg(strstr(why, "those that were: one, two") != NULL, "%s",
	    why);
}
END_TEST

static int
open_with(const char *pid, const char *fds)
{
	struct passed taken;
	int rc;

	ck_assert_int_eq(setenv("LISTEN_PID", pid, 1), 0);
	ck_assert_int_eq(setenv("LISTEN_FDS", fds, 1), 0);
	ck_assert_int_eq(setenv("LISTEN_FDNAMES", "web", 1), 0);
	why[0] = '\0';
	rc = activation_open(&taken, why, sizeof(why));
	activation_close(&taken);
	ck_assert_ptr_null(getenv("LISTEN_PID"));
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
	return rc;
}

/* Of another process, and of none: the numbers are not open. */
START_TEST(an_environment_that_lies_is_refused)
{
	char self[16];

	(void)snprintf(self, sizeof(self), "%d", (int)getpid());
	ck_assert_int_eq(open_with("1", "1"), 0);
	ck_assert_int_lt(open_with(self, "x"), 0);
	ck_assert_ptr_nonnull(strstr(why, "LISTEN_FDS"));
	ck_assert_int_lt(open_with(self, "-1"), 0);
	ck_assert_int_lt(open_with(self, "3000"), 0);
	ck_assert_int_lt(open_with("x", "1"), 0);
}
END_TEST

UNIT_MAIN("passed", they_are_found_by_name_and_address,
    a_plan_says_which_are_passed, a_reload_keeps_them,
    one_socket_has_one_listener, there_may_be_thousands,
    the_effective_configuration_reads_back,
    all_workers_share_it_and_nobody_closes_it, what_is_not_there_is_explained,
    an_environment_that_lies_is_refused)
