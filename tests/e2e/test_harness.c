/*
 * The tools of these tests, tried without a gateway: checked streams are exact
 * when client and backend are connected directly, and every fault that a relay
 * between them could have is seen.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "software.h"
#include "tests/free_port.h"

static void
run_direct(const char *listen_on)
{
	static const struct load_spec specs[] = {
	    {"both", LOAD_BOTH, .up = 300000, .down = 200001},
	    {"pingpong", LOAD_PINGPONG, .up = 6400, .down = 6400,
		.message = 64},
	    {"up first", LOAD_UP_FIRST, .up = 100000, .down = 70000},
	    {"down first", LOAD_DOWN_FIRST, .up = 100000, .down = 70000},
	    {"bytes", LOAD_BOTH, .up = 3000, .down = 3000, .write_max = 1},
	    {"slow", LOAD_BOTH, .up = 30000, .down = 30000, .read_max = 1000,
		.read_pause_ms = 2},
	    {"pauses", LOAD_BOTH, .up = 30000, .down = 30000, .write_max = 500,
		.write_pause_ms = 2},
	    {"client resets", LOAD_BOTH, .up = 300000, .down = 200001,
		.resets = LOAD_CLIENT, .reset_at = 150000},
	    {"server resets", LOAD_PINGPONG, .up = 6400, .down = 6400,
		.message = 64, .resets = LOAD_SERVER, .reset_at = 1000},
	    {"server resets behind an end", LOAD_UP_FIRST, .up = 100000,
		.down = 70000, .resets = LOAD_SERVER, .reset_at = 69999},
	    {"leaves", LOAD_BOTH, .up = 100, .down = 100, .resets = LOAD_CLIENT,
		.reset_at = LOAD_HEADER - 1},
	};
	struct load *load = load_new();
	char bound[ADDR_TEXT_SIZE];

	load_listen(load, listen_on, bound);
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		load_add(load, bound, &specs[i], 4, 12);
	load_finish(load, 10000);
	load_expect_exact(load);
	ck_assert_uint_eq(load_counts(load)->done, 12 * ARRAY_LEN(specs));
	load_free(load);
}

START_TEST(streams_are_exact)
{
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];

	run_direct("127.0.0.1:0");
	run_direct("unix:@srvd-e2e-direct");
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "direct"));
	run_direct(address);
	if (net_has_ipv6())
		run_direct("[::1]:0");
	else
		e2e_skip("no IPv6 on this machine");
}
END_TEST

enum fault {
	FAULT_NONE,
	FAULT_FLIP,
	FAULT_DROP,
	FAULT_DOUBLE,
	FAULT_CUT,
	FAULT_LOSE
};

/* Pass what comes from one side to the other until it ends, however; one fault
 * at byte 1000. */
static void
pass_badly(int from, int to, enum fault fault)
{
	char data[1000];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(from, data, sizeof data, 0)) > 0) {
		size_t length = (size_t)n;
		bool here = total <= 1000 && total + length > 1000;

		total += length;
		if (here && fault == FAULT_FLIP)
			data[length - 1] ^= 1;
		if (here && fault == FAULT_DROP)
			length--;
		if (here && fault == FAULT_CUT)
			break;
		if (fault == FAULT_LOSE && total > 1000)
			continue;
		(void)send(to, data, length, MSG_NOSIGNAL);
		if (here && fault == FAULT_DOUBLE)
			(void)send(to, data, 1, MSG_NOSIGNAL);
	}
	if (n < 0 && fault == FAULT_LOSE)
		net_reset(to);
	else
		shutdown(to, SHUT_WR);
}

/* A relay of one connection with a fault, as a process of its own. */
static pid_t
bad_relay(int listen_fd, const char *backend, enum fault fault)
{
	pid_t pid = fork();

	ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		int client = net_accept(listen_fd);
		int server = net_connect(backend);

		pass_badly(client, server, fault);
		pass_badly(server, client, FAULT_NONE);
		_exit(0);
	}
	close(listen_fd);
	return pid;
}

static const struct load_spec through_bad_relay = {
    "through a bad relay", LOAD_UP_FIRST, .up = 5000, .down = 5000};

/* cut: it is said to be told to close the connection. */
static void
run_spec(const struct load_spec *spec, enum fault fault, bool cut,
    unsigned lost, unsigned wrong)
{
	struct load *load = load_new();
	char backend[ADDR_TEXT_SIZE];
	char relay[ADDR_TEXT_SIZE];
	int listen_fd = net_listen("127.0.0.1:0", 8, relay);
	const struct load_counts *counts = load_counts(load);
	pid_t pid;

	load_listen(load, "127.0.0.1:0", backend);
	pid = bad_relay(listen_fd, backend, fault);
	load_add(load, relay, spec, 1, 1);
	load_turn(load, 0);
	if (cut)
		ck_assert_uint_eq(load_cut(load, spec->label), 1);
	load_finish(load, 5000);
	ck_assert_msg(counts->lost == lost && counts->wrong == wrong &&
		counts->done == 1 - lost - wrong,
	    "fault %d: %u lost, %u wrong (%s)", (int)fault, counts->lost,
	    counts->wrong, counts->errors);
	load_free(load);
	ck_assert_int_eq(proc_wait(pid, 5000), 0);
}

static void
run_fault(enum fault fault, unsigned lost, unsigned wrong)
{
	run_spec(&through_bad_relay, fault, false, lost, wrong);
}

START_TEST(faults_are_seen)
{
	run_fault(FAULT_NONE, 0, 0);
	run_fault(FAULT_FLIP, 0, 1);
	run_fault(FAULT_DROP, 0, 1);
	run_fault(FAULT_DOUBLE, 0, 1);
	run_fault(FAULT_CUT, 1, 0);
}
END_TEST

/* An end is made of a reset, or what came before it is lost. */
START_TEST(faults_at_a_reset_are_seen)
{
	struct load_spec spec = through_bad_relay;

	spec.resets = LOAD_CLIENT;
	spec.reset_at = 3000;
	run_spec(&spec, FAULT_NONE, false, 0, 1);
	run_spec(&spec, FAULT_LOSE, false, 0, 1);
	run_spec(&spec, FAULT_FLIP, false, 0, 1);
}
END_TEST

START_TEST(only_who_is_cut_may_end_early)
{
	struct load_spec spec = through_bad_relay;

	run_spec(&spec, FAULT_CUT, true, 0, 0);
	run_spec(&spec, FAULT_FLIP, true, 0, 1);
	spec.shape = LOAD_BOTH;
	spec.lasts = true;
	run_spec(&spec, FAULT_CUT, false, 1, 0);
	run_spec(&spec, FAULT_CUT, true, 0, 0);
}
END_TEST

/* Directly connected they are taken out of the stream; no gateway does that. */
START_TEST(urgent_bytes_are_sent)
{
	const struct load_spec spec = {
	    "urgent", LOAD_BOTH, .up = 5000, .down = 16, .urgent_each = 1000};
	struct load *load = load_new();
	char bound[ADDR_TEXT_SIZE];

	load_listen(load, "127.0.0.1:0", bound);
	load_add(load, bound, &spec, 1, 1);
	load_finish(load, 5000);
	ck_assert_uint_eq(load_counts(load)->done, 0);
	load_free(load);
}
END_TEST

START_TEST(nobody_listening_is_a_loss)
{
	const struct load_spec spec = {"refused", .up = 100, .down = 100};
	struct load *load = load_new();
	char bound[ADDR_TEXT_SIZE];
	int fd = net_bind("127.0.0.1:0", bound);

	load_add(load, bound, &spec, 1, 3);
	load_finish(load, 5000);
	ck_assert_uint_eq(load_counts(load)->lost, 3);
	load_free(load);
	close(fd);
}
END_TEST

START_TEST(ends_are_told_apart)
{
	char bound[ADDR_TEXT_SIZE];
	int listen_fd = net_listen("127.0.0.1:0", 8, bound);
	int client = net_connect(bound);
	int server = net_accept(listen_fd);

	net_say(client, "hello");
	net_hear(server, "hello");
	ck_assert_int_eq(net_end_within(server, 50), NET_OPEN);
	ck_assert(net_is_silent(server, 10));
	shutdown(client, SHUT_WR);
	net_expect_end(server, NET_CLOSED);
	net_reset(server);
	net_expect_end(client, NET_RESET);
	close(client);
	close(listen_fd);
}
END_TEST

static bool
has_three_fds(void *arg)
{
	const pid_t *pid = arg;

	return proc_fds(*pid) == 3;
}

START_TEST(processes_are_described)
{
	char text[64];
	const char *const argv[] = {"sleep", "30", NULL};
	char path[E2E_PATH_SIZE];
	pid_t pid = proc_spawn(argv, e2e_path(path, "sleep.log"));
	pid_t children[4];
	uint64_t end = e2e_now_ms() + 5000;

	do
		proc_cmdline(pid, text, sizeof text);
	while (strcmp(text, "sleep 30") != 0 && e2e_now_ms() < end);
	ck_assert_str_eq(text, "sleep 30");
	proc_comm(pid, text, sizeof text);
	ck_assert_str_eq(text, "sleep");
	proc_status(pid, "NoNewPrivs", text, sizeof text);
	ck_assert_msg(strcmp(text, "0") == 0 || strcmp(text, "1") == 0,
	    "NoNewPrivs: \"%s\"", text);
	ck_assert_uint_eq(proc_descendants(getpid(), children, 4), 1);
	ck_assert_int_eq(children[0], pid);
	/* While it starts it has a library open now and then. */
	ck_assert(e2e_wait(has_three_fds, &pid, 5000));
	ck_assert(proc_is_alive(pid));
	kill(pid, SIGKILL);
	ck_assert_int_eq(proc_wait(pid, 5000), 128 + SIGKILL);
	ck_assert(!proc_is_alive(pid));
	ck_assert(proc_has_program("sh"));
	ck_assert(!proc_has_program("no-such-program"));
}
END_TEST

/* A server that is to listen there finds them free. */
START_TEST(no_dial_gets_a_free_port)
{
	int first = software_free_port();
	unsigned end = free_port_end();

	ck_assert_int_ne(first, software_free_port());
	if (end > FREE_PORT_FIRST)
		ck_assert_uint_lt((unsigned)first, end);
}
END_TEST

E2E_MAIN("harness", no_dial_gets_a_free_port, streams_are_exact,
    faults_are_seen, faults_at_a_reset_are_seen, only_who_is_cut_may_end_early,
    urgent_bytes_are_sent, nobody_listening_is_a_loss, ends_are_told_apart,
    processes_are_described)
