/*
 * Memory runs out: what the kernel kills costs no connection, and what can't
 * be made is tried again, said once in log and status.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "client.h"
#include "gateway.h"
#include "harness.h"
#include "limit.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "shortages.h"

#define ECHO_SERVICE(name)                                  \
	"service " name " {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend e { address = builtin:echo }\n}\n"

/* The kernel's OOM killer */

#define CGROUP      "/sys/fs/cgroup/memory/srvd-test-edges"
#define CGROUP_SIZE (UINT64_C(48) << 20)
#define KILLS       3
#define DECOYS      6

static bool
write_number(const char *path, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)number);
	return proc_write_file(path, text);
}

static bool
cgroup_make(void)
{
	(void)rmdir(CGROUP); /* of a test that failed */
	if (mkdir(CGROUP, 0755) != 0)
		return false;
	(void)proc_write_file(CGROUP "/memory.swappiness", "0");
	if (write_number(CGROUP "/memory.limit_in_bytes", CGROUP_SIZE))
		return true;
	(void)rmdir(CGROUP);
	return false;
}

static bool
cgroup_remove(void *arg)
{
	(void)arg;
	return rmdir(CGROUP) == 0;
}

static void
cgroup_enter(const struct gateway *g)
{
	pid_t all[GATEWAY_FAMILY_MAX];
	size_t count = proc_descendants(g->pid, all, GATEWAY_FAMILY_MAX);

	ck_assert(write_number(CGROUP "/cgroup.procs", g->pid));
	for (size_t i = 0; i < count; i++)
		ck_assert(write_number(CGROUP "/cgroup.procs", all[i]));
}

typedef void task_fn(void);

#define READY_FD 3

/*
 * A process in the group that does this, until it is killed.  Returns when it
 * is ready: has none of our descriptors (a socket that we close would stay
 * open) but READY_FD, and has closed that.
 */
static pid_t
start_in_cgroup(task_fn *task, int oom_score_adj)
{
	int ready[2];
	char none;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(ready[1], READY_FD) < 0 ||
		    close_range(READY_FD + 1, ~0U, 0) != 0 ||
		    !write_number("/proc/self/oom_score_adj", oom_score_adj) ||
		    !write_number(CGROUP "/cgroup.procs", getpid()))
			_exit(1);
		task();
		close(READY_FD);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &none, 1), 0);
	close(ready[0]);
	return pid;
}

/* Half of the memory, as a file: so that no process in the group is as large
 * as worker 0 is willing (run_out_of_memory). */
static void
take_half(void)
{
	static const char block[1 << 16];
	int fd = memfd_create("half", MFD_CLOEXEC);

	for (uint64_t taken = 0; taken < CGROUP_SIZE / 2; taken += sizeof block)
		if (write(fd, block, sizeof block) < 0)
			_exit(2);
}

/* What is left, and more. */
static void
take_rest(void)
{
	const size_t step = 1 << 20;

	close(READY_FD);
	for (uint64_t taken = 0; taken < 4 * CGROUP_SIZE; taken += step) {
		void *memory = mmap(NULL, step, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (memory == MAP_FAILED)
			_exit(2);
		memset(memory, 1, step);
	}
	_exit(3);
}

/* The kernel may go on when the hog is dead already and its memory not yet
 * free: decoys are nearer to it than master and holder. */
static void
take_nothing(void)
{
}

/* The first that the kernel takes is worker 0, the next is the hog. */
static void
run_out_of_memory(const struct gateway *g, struct load *load)
{
	pid_t worker = gateway_worker(g, 0);
	char path[48];
	pid_t pid;
	int status;

	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)worker);
	ck_assert_msg(proc_write_file(path, "1000"), "%s: %s", path,
	    strerror(errno));
	pid = start_in_cgroup(take_rest, 0);
	do {
		load_run(load, 20);
		status = proc_wait(pid, 0);
	} while (status == -1);
	ck_assert_msg(status == 128 + SIGKILL, "the hog ended with %d", status);
	gateway_expect_successor(g, 0, worker);
	ck_assert(!proc_is_alive(worker));
}

static void
expect_killed(const struct gateway *g)
{
	json_t *status = gateway_status(g);
	const json_t *death = gateway_find(status, "workers/0/last_death");

	ck_assert_str_eq(json_string_value(json_object_get(death, "cause")),
	    "killed");
	ck_assert_int_eq(json_integer_value(json_object_get(death, "signal")),
	    SIGKILL);
	ck_assert_int_eq(json_integer_value(json_object_get(death, "culprit")),
	    0);
	json_decref(status);
}

/* A worker that the kernel kills for want of memory is like any other: all
 * streams are exact. */
START_TEST(oom_killer)
{
	const struct load_spec messages = {"messages", LOAD_PINGPONG,
	    .up = 64ULL * 500, .down = 64ULL * 500, .message = 64};
	const struct load_spec bulk = {
	    "bulk", LOAD_BOTH, .up = 1 << 20, .down = 1 << 20};
	struct load *load = load_new();
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	pid_t decoys[DECOYS];

	if (!cgroup_make()) {
		e2e_skip("no memory controller of cgroup v1: %s",
		    strerror(errno));
		return;
	}
	load_listen(load, "127.0.0.1:0", address);
	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    address);
	cgroup_enter(&g);
	for (int i = 0; i < DECOYS; i++)
		decoys[i] = start_in_cgroup(i == 0 ? take_half : take_nothing,
		    i == 0 ? 0 : 400);
	gateway_address(&g, "s", 0, address);
	load_add(load, address, &messages, 20, 0);
	load_add(load, address, &bulk, 2, 0);
	load_run(load, 100);
	for (int i = 0; i < KILLS; i++)
		run_out_of_memory(&g, load);
	ck_assert_int_eq(gateway_number(&g, "workers/0/respawns"), KILLS);
	expect_killed(&g);
	load_stop_opening(load);
	load_finish(load, 20000);
	load_expect_exact(load);
	load_free(load);
	gateway_stop(&g);
	for (int i = 0; i < DECOYS; i++) {
		kill(decoys[i], SIGKILL);
		ck_assert_int_eq(proc_wait(decoys[i], 5000), 128 + SIGKILL);
	}
	ck_assert_msg(e2e_wait(cgroup_remove, NULL, 5000), "%s: %s", CGROUP,
	    strerror(errno));
}
END_TEST

/* Bodies that can't be made */

/* Shared memory may not be larger than this: too little for a body. */
#define SMALL ((rlim_t)300 << 10)

static void
expect_echo(const struct gateway *g, const char *service)
{
	char address[ADDR_TEXT_SIZE];
	int client = net_connect(gateway_address(g, service, 0, address));

	net_say(client, "question");
	net_hear(client, "question");
	close(client);
}

/* Some tries, until it may be made again. */
static void
expect_unstarted(const struct gateway *g, unsigned index)
{
	char words[48];

	snprintf(words, sizeof words, "can't start worker %u", index);
	shortage_expect_fault(g, index, "can't be started");
	e2e_pause(300);
	shortage_expect_said_once(g, words);
	limit_process(g->pid, RLIMIT_FSIZE, RLIM_INFINITY);
	gateway_expect_successor(g, index, 0);
	shortage_expect_fault(g, index, NULL);
	shortage_expect_said_once(g, words);
}

/* One more worker, which is a body. */
static void
grow_without_memory(struct gateway *g)
{
	struct client client;
	json_t *reply;

	limit_process(g->pid, RLIMIT_FSIZE, SMALL);
	g->workers = 2;
	gateway_configure(g, ECHO_SERVICE("s"));
	reload_send(g, &client, false);
	expect_unstarted(g, 1);
	reply = reload_receive(&client, RELOAD_TIMEOUT_MS);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

/* A body whose worker and holder are killed at once is replaced. */
static void
lose_body_without_memory(const struct gateway *g)
{
	pid_t worker = gateway_worker(g, 0);

	limit_process(g->pid, RLIMIT_FSIZE, SMALL);
	ck_assert_int_eq(kill(gateway_holder(g, 0), SIGKILL), 0);
	ck_assert_int_eq(kill(worker, SIGKILL), 0);
	expect_unstarted(g, 0);
}

/* What broke: it was said again with every try, for ever, and nowhere in the
 * status; and SIGXFSZ ended the master. */
START_TEST(bodies_without_memory)
{
	struct gateway g;
	int client;
	char address[ADDR_TEXT_SIZE];

	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g, ECHO_SERVICE("s"));
	client = net_connect(gateway_address(&g, "s", 0, address));
	grow_without_memory(&g);
	net_say(client, "question");
	net_hear(client, "question");
	close(client);
	lose_body_without_memory(&g);
	expect_echo(&g, "s");
	gateway_stop(&g);
}
END_TEST

/* A worker that can't be cloned */

static bool
has_no_worker(void *arg)
{
	return gateway_worker(arg, 0) == 0;
}

/* Its connections wait for it, and lose nothing.  What broke: nobody was told
 * why there was no worker. */
START_TEST(worker_without_process)
{
	struct gateway g;
	char address[ADDR_TEXT_SIZE];
	pid_t old;
	int client;

	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g, ECHO_SERVICE("s"));
	client = net_connect(gateway_address(&g, "s", 0, address));
	net_say(client, "question");
	net_hear(client, "question");
	limit_process(gateway_holder(&g, 0), RLIMIT_NPROC, 1);
	old = gateway_signal_worker(&g, 0, SIGKILL);
	ck_assert(e2e_wait(has_no_worker, &g, 5000));
	net_say(client, "meanwhile");
	ck_assert(net_is_silent(client, 300));
	shortage_expect_said_once(&g, "can't start its worker");
	limit_process(gateway_holder(&g, 0), RLIMIT_NPROC, RLIM_INFINITY);
	gateway_expect_successor(&g, 0, old);
	net_hear(client, "meanwhile");
	expect_echo(&g, "s");
	close(client);
	gateway_stop(&g);
}
END_TEST

/* The plan of a reload */

static json_t *
ask_client(struct client *client, const char *method)
{
	json_t *reply;

	ck_assert_int_eq(client_call(client, method, NULL, false), 0);
	reply = client_hear(client, NET_TIMEOUT_MS);
	ck_assert_ptr_nonnull(reply);
	return reply;
}

/* A reload that can't even begin says so where others do. */
START_TEST(plan_without_memory)
{
	struct gateway g;
	struct client client;
	json_t *reply;
	json_t *load;

	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g, ECHO_SERVICE("s"));
	gateway_configure(&g, ECHO_SERVICE("s") ECHO_SERVICE("more"));
	ck_assert_int_eq(client_open(&client, g.control), 0);
	json_decref(ask_client(&client, "GetStatus")); /* it has been taken */
	limit_process(g.pid, RLIMIT_NOFILE, (rlim_t)proc_fds(g.pid));
	reply = ask_client(&client, "Reload");
	ck_assert_str_eq(json_string_value(json_object_get(reply, "error")),
	    "io.srvd.Control.ReloadFailed");
	json_decref(reply);
	reply = ask_client(&client, "GetStatus");
	load =
	    gateway_find(json_object_get(reply, "parameters"), "last_reload");
	ck_assert(json_is_false(json_object_get(load, "ok")));
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(load,
					 "message")),
	    strerror(EMFILE)));
	json_decref(reply);
	shortage_expect_said_once(&g, "can't reload: ");
	limit_process(g.pid, RLIMIT_NOFILE, RLIM_INFINITY);
	reload_expect_done(&g);
	expect_echo(&g, "more");
	client_close(&client);
	gateway_stop(&g);
}
END_TEST

/* The start */

/* In a child: no memory file for this process and its own. */
static no_return void
run_without_memfd(const struct gateway *g)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_memfd_create, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
	    .len = ARRAY_LEN(filter),
	    .filter = filter,
	};
	int output_fd = open(g->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

	prctl(PR_SET_PDEATHSIG, SIGINT);
	if (dup2(output_fd, STDERR_FILENO) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(E2E_SKIPPED);
	execl(gateway_program(), "srvd", "-d", "-f", g->config, (char *)NULL);
	_exit(127);
}

/* What broke: a start without memory was laid to errors of the
 * configuration. */
START_TEST(start_without_memory)
{
	struct gateway g;
	pid_t pid;
	int status;

	gateway_init(&g);
	gateway_configure(&g, ECHO_SERVICE("s"));
	pid = fork();
	ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0)
		run_without_memfd(&g);
	status = proc_wait(pid, GATEWAY_TIMEOUT_MS);
	if (status == E2E_SKIPPED) {
		e2e_skip("no seccomp to forbid memory files with");
		return;
	}
	ck_assert_int_eq(status, 1);
	shortage_expect_said_once(&g, strerror(ENOMEM));
	ck_assert_uint_eq(shortage_lines(&g, "has errors"), 0);
	ck_assert_int_ne(access(g.control, F_OK), 0);
}
END_TEST

E2E_MAIN("edges_memory", oom_killer, bodies_without_memory,
    worker_without_process, plan_without_memory, start_without_memory)
