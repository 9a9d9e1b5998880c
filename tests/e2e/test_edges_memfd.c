/*
 * Memory files that can't be made while the gateway runs: a reload is refused,
 * a fresh body is made later, and connections go on.
 *
 * Every memfd_create of srvd is asked for at a process of the test's (seccomp,
 * user notification), which refuses it for as long as the test wants.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "shortages.h"

#define ECHO_SERVICE(name)                                  \
	"service " name " {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend e { address = builtin:echo }\n}\n"

struct fixture {
	struct gateway gateway;
	volatile bool *refuses; /* shared with who answers */
	pid_t pid;              /* his; -1: there is no such thing here */
	int client;
};

/* From here on this process and its children have to ask; returns where they
 * do, or -1. */
static int
ask_for_memfds(void)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_memfd_create, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
	    .len = ARRAY_LEN(filter),
	    .filter = filter,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static no_return void
answer_all(int listener_fd, const volatile bool *refuses)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {0};

		/* Whoever asked may be gone. */
		if (ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
			continue;
		answer.id = call.id;
		if (*refuses)
			answer.error = -ENOMEM;
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

/* False if it can't be tried here. */
static bool
fixture_start(struct fixture *f)
{
	int listener_fd = ask_for_memfds();
	char address[ADDR_TEXT_SIZE];

	if (listener_fd < 0) {
		e2e_skip("no seccomp to answer for the kernel with: %s",
		    strerror(errno));
		return false;
	}
	f->refuses = mmap(NULL, sizeof *f->refuses, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(f->refuses != MAP_FAILED);
	f->pid = fork();
	ck_assert_msg(f->pid >= 0, "fork: %s", strerror(errno));
	if (f->pid == 0)
		answer_all(listener_fd, f->refuses);
	close(listener_fd);
	gateway_init(&f->gateway);
	f->gateway.workers = 1;
	gateway_start(&f->gateway, ECHO_SERVICE("s"));
	f->client = net_connect(gateway_address(&f->gateway, "s", 0, address));
	return true;
}

static void
expect_going_on(const struct fixture *f)
{
	net_say(f->client, "question");
	net_hear(f->client, "question");
}

static void
fixture_stop(struct fixture *f)
{
	close(f->client);
	gateway_stop(&f->gateway);
	ck_assert_int_eq(kill(f->pid, SIGKILL), 0);
	ck_assert_int_eq(proc_wait(f->pid, 5000), 128 + SIGKILL);
}

START_TEST(a_plan)
{
	struct fixture f;

	if (!fixture_start(&f))
		return;
	expect_going_on(&f);
	gateway_configure(&f.gateway, ECHO_SERVICE("s") ECHO_SERVICE("more"));
	*f.refuses = true;
	reload_expect_refused(&f.gateway, "ReloadFailed", strerror(ENOMEM));
	shortage_expect_said_once(&f.gateway, "can't reload: ");
	expect_going_on(&f);
	*f.refuses = false;
	reload_expect_done(&f.gateway);
	expect_going_on(&f);
	fixture_stop(&f);
}
END_TEST

/* Its worker has lost its holder, so a fresh body is to take over. */
START_TEST(a_body)
{
	struct fixture f;
	pid_t worker;

	if (!fixture_start(&f))
		return;
	expect_going_on(&f);
	worker = gateway_worker(&f.gateway, 0);
	*f.refuses = true;
	ck_assert_int_eq(kill(gateway_holder(&f.gateway, 0), SIGKILL), 0);
	shortage_expect_said_once(&f.gateway, "can't start worker 0");
	expect_going_on(&f);
	e2e_pause(300); /* some tries */
	shortage_expect_said_once(&f.gateway, "can't start worker 0");
	expect_going_on(&f);
	ck_assert(proc_is_alive(worker));
	*f.refuses = false;
	gateway_expect_successor(&f.gateway, 0, worker);
	shortage_expect_fault(&f.gateway, 0, NULL);
	expect_going_on(&f);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("edges_memfd", a_plan, a_body)
