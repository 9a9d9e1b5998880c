/*
 * Relaying between every family of client and every family of backend, in
 * every shape that a stream can have: all pairs at once through one gateway.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "pair.h"

#define MIB (1024ULL * 1024)

/* The backends' families; each has a service of that name. */
enum {
	TO_TCP4,
	TO_TCP6,
	TO_UNIX,
	TO_ABSTRACT,
	TO_ECHO,
	TO_COUNT
};

static const char *const services[TO_COUNT] = {
    "tcp4", "tcp6", "unix", "abstract", "echo"};

struct fixture {
	struct gateway gateway;
	struct load *load;
	char backends[TO_COUNT][ADDR_TEXT_SIZE];
	char services[4096];
	bool ipv6;
	unsigned listeners; /* of each service */
};

static bool
family_is_here(const struct fixture *f, int to)
{
	return to != TO_TCP6 || f->ipv6;
}

/* One service: listeners of all families before one backend. */
static void
add_service(struct fixture *f, const char *name, const char *backend)
{
	size_t length = strlen(f->services);

	snprintf(f->services + length, sizeof f->services - length,
	    "service %s {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/in-%s\","
	    " \"unix:@srvd-e2e-%d-%s\"%s}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    name, e2e_dir(), name, (int)getpid(), name,
	    f->ipv6 ? ", \"[::1]:0\"" : "", backend);
}

static void
listen_at(struct fixture *f, int to, const char *format, const char *what)
{
	char address[ADDR_TEXT_SIZE];

	snprintf(address, sizeof address, "%s%s", format, what);
	load_listen(f->load, address, f->backends[to]);
}

static void
fixture_start(struct fixture *f)
{
	char path[E2E_PATH_SIZE];
	char name[64];

	memset(f, 0, sizeof *f);
	f->ipv6 = net_has_ipv6();
	f->listeners = f->ipv6 ? 4 : 3;
	if (!f->ipv6)
		e2e_skip("no IPv6 on this machine");
	f->load = load_new();
	listen_at(f, TO_TCP4, "127.0.0.1:0", "");
	if (f->ipv6)
		listen_at(f, TO_TCP6, "[::1]:0", "");
	listen_at(f, TO_UNIX, "unix:", e2e_path(path, "backend"));
	snprintf(name, sizeof name, "srvd-e2e-%d-backend", (int)getpid());
	listen_at(f, TO_ABSTRACT, "unix:@", name);
	strcpy(f->backends[TO_ECHO], "builtin:echo");
	for (int to = 0; to < TO_COUNT; to++) {
		if (family_is_here(f, to))
			add_service(f, services[to], f->backends[to]);
	}
	add_service(f, "discard", "builtin:discard");
	gateway_init(&f->gateway);
	gateway_start(&f->gateway, "%s", f->services);
}

static void
fixture_stop(struct fixture *f)
{
	load_free(f->load);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_stop(&f->gateway);
}

/* So many streams from every family of client to the service. */
static void
add_pairs(struct fixture *f, const char *service, const struct load_spec *spec,
    unsigned streams)
{
	char address[ADDR_TEXT_SIZE];

	for (unsigned n = 0; n < f->listeners; n++) {
		gateway_address(&f->gateway, service, n, address);
		load_add(f->load, address, spec, streams, streams);
	}
}

/* The same stream on all pairs at once, builtin:echo included. */
static void
run_pairs(const struct load_spec *spec, unsigned streams)
{
	char labels[TO_COUNT][64];
	struct fixture f;
	unsigned expected = 0;

	fixture_start(&f);
	for (int to = 0; to < TO_COUNT; to++) {
		struct load_spec one = *spec;

		if (!family_is_here(&f, to))
			continue;
		snprintf(labels[to], sizeof labels[to], "%s to %s", spec->label,
		    services[to]);
		one.label = labels[to];
		/* An echo knows of no turns. */
		if (to == TO_ECHO) {
			one.peer = PEER_ECHO;
			if (one.shape == LOAD_DOWN_FIRST)
				continue;
		}
		add_pairs(&f, services[to], &one, streams);
		expected += f.listeners * streams;
	}
	load_finish(f.load, 45000);
	load_expect_exact(f.load);
	ck_assert_uint_eq(load_counts(f.load)->done, expected);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/accepted"),
	    expected);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/deaths"), 0);
	fixture_stop(&f);
}

START_TEST(request_and_answer)
{
	const struct load_spec spec = {"request and answer", LOAD_PINGPONG,
	    .up = 512, .down = 512, .message = 512};

	run_pairs(&spec, 5);
}
END_TEST

START_TEST(many_messages)
{
	const struct load_spec spec = {"messages", LOAD_PINGPONG,
	    .up = 200ULL * 48, .down = 200ULL * 48, .message = 48};

	run_pairs(&spec, 3);
}
END_TEST

START_TEST(bulk_both_ways)
{
	const struct load_spec spec = {
	    "bulk", LOAD_BOTH, .up = 16 * MIB, .down = 16 * MIB};

	run_pairs(&spec, 1);
}
END_TEST

START_TEST(client_ends_first)
{
	const struct load_spec spec = {
	    "client ends first", LOAD_UP_FIRST, .up = 300000, .down = 500000};

	run_pairs(&spec, 2);
}
END_TEST

START_TEST(backend_ends_first)
{
	const struct load_spec spec = {"backend ends first", LOAD_DOWN_FIRST,
	    .up = 500000, .down = 300000};

	run_pairs(&spec, 2);
}
END_TEST

START_TEST(slow_reader)
{
	const struct load_spec spec = {"slow reader", LOAD_BOTH, .up = 3 * MIB,
	    .down = 3 * MIB, .read_max = 16384, .read_pause_ms = 5,
	    .receive_buffer = 16384};

	run_pairs(&spec, 1);
}
END_TEST

START_TEST(one_byte_writes)
{
	const struct load_spec spec = {"one-byte writes", LOAD_BOTH, .up = 5000,
	    .down = 5000, .write_max = 1};

	run_pairs(&spec, 2);
}
END_TEST

/* 64 one-byte writes from a Unix-domain socket fill a pipe of 256 KiB. */
START_TEST(one_byte_writes_to_slow_reader)
{
	const struct load_spec spec = {"one-byte writes, slow reader",
	    LOAD_BOTH, .up = 3000, .down = 3000, .write_max = 1,
	    .read_max = 100, .read_pause_ms = 10};

	run_pairs(&spec, 1);
}
END_TEST

START_TEST(nothing_but_an_end)
{
	const struct load_spec spec = {
	    "nothing back", LOAD_UP_FIRST, .up = LOAD_HEADER, .down = 0};

	run_pairs(&spec, 5);
}
END_TEST

START_TEST(discard)
{
	const struct load_spec spec = {
	    "discard", LOAD_UP_FIRST, PEER_DISCARD, .up = 16 * MIB};
	struct fixture f;

	fixture_start(&f);
	add_pairs(&f, "discard", &spec, 1);
	load_finish(f.load, 30000);
	load_expect_exact(f.load);
	ck_assert_uint_eq(load_counts(f.load)->done, f.listeners);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/bytes_up"),
	    (int64_t)(f.listeners * (16 * MIB)));
	fixture_stop(&f);
}
END_TEST

/* What the status says of bytes and connections is exact. */
START_TEST(counters)
{
	const struct load_spec spec = {
	    "counted", LOAD_BOTH, .up = 12345, .down = 54321};
	struct fixture f;

	fixture_start(&f);
	add_pairs(&f, "tcp4", &spec, 2);
	add_pairs(&f, "unix", &spec, 2);
	load_finish(f.load, 10000);
	load_expect_exact(f.load);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/bytes_up"),
	    4 * (int64_t)f.listeners * 12345);
	ck_assert_int_eq(gateway_number(&f.gateway, "totals/bytes_down"),
	    4 * (int64_t)f.listeners * 54321);
	ck_assert_int_eq(gateway_number(&f.gateway, "services/unix/accepted"),
	    2 * (int64_t)f.listeners);
	ck_assert_int_eq(gateway_number(&f.gateway,
			     "services/unix/backends/b/accepted"),
	    2 * (int64_t)f.listeners);
	fixture_stop(&f);
}
END_TEST

/* "*:port" takes both families on one port. */
START_TEST(both_families_on_one_port)
{
	struct gateway g;
	char bound[ADDR_TEXT_SIZE];
	char address[ADDR_TEXT_SIZE + 16];
	const char *const hosts[] = {"127.0.0.1", "[::1]"};

	if (!net_has_ipv6()) {
		e2e_skip("no IPv6 on this machine");
		return;
	}
	gateway_init(&g);
	gateway_start(&g,
	    "service any {\n	listen = {\"*:0\"}\n"
	    "	backend e { address = builtin:echo }\n}\n");
	gateway_address(&g, "any", 0, bound);
	ck_assert_ptr_nonnull(strrchr(bound, ':'));
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		int fd;

		snprintf(address, sizeof address, "%s%s", hosts[i],
		    strrchr(bound, ':'));
		fd = net_connect(address);
		net_say(fd, "hello");
		net_hear(fd, "hello");
		close(fd);
	}
	gateway_stop(&g);
}
END_TEST

/* fd goes with the bytes. */
static void
say_with(int to, const char *text, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)text, .iov_len = strlen(text)};
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof control,
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
	ck_assert_int_eq(sendmsg(to, &msg, MSG_NOSIGNAL), (int)strlen(text));
}

static void
expect_bytes_alone(int from, const char *text)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char got[64];
	struct iovec iov = {.iov_base = got, .iov_len = sizeof got};
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof control,
	};

	ck_assert_int_eq(recvmsg(from, &msg, 0), (int)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
	ck_assert_uint_eq(msg.msg_controllen, 0);
}

/* Descriptors end at the gateway, which keeps none; the bytes go on. */
START_TEST(passed_descriptors_are_not_relayed)
{
	struct pair_fixture f;
	struct pair p;
	struct pollfd pfd = {.events = POLLIN};
	int fds[2];

	pair_start(&f, "");
	p = pair_open(&f, SIDE_UNIX, SIDE_UNIX);
	ck_assert_int_eq(pipe(fds), 0);
	say_with(p.client, "there", fds[1]);
	expect_bytes_alone(p.server, "there");
	say_with(p.server, "and back", fds[1]);
	expect_bytes_alone(p.client, "and back");
	close(fds[1]);
	pfd.fd = fds[0];
	ck_assert_int_eq(poll(&pfd, 1, NET_TIMEOUT_MS), 1);
	ck_assert_int_eq(pfd.revents, POLLHUP);
	close(fds[0]);
	pair_close(&p);
	pair_stop(&f);
}
END_TEST

E2E_MAIN("relay", request_and_answer, many_messages, bulk_both_ways,
    client_ends_first, backend_ends_first, slow_reader, one_byte_writes,
    one_byte_writes_to_slow_reader, nothing_but_an_end, discard, counters,
    both_families_on_one_port, passed_descriptors_are_not_relayed)
