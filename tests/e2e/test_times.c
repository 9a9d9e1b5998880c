/*
 * How long connections stand still: reported, with -V, and not judged.  What
 * is judged is that every byte comes back.
 *
 *  - a worker of 2,000 connections, 8 of them busy, is killed: from the kill
 *    until all of the busy ones have an answer again;
 *  - 5,000 connections are handed over to another worker: the longest that a
 *    busy one waits for an answer;
 *  - the program is replaced by itself under 5,000 connections: the longest
 *    that a new connection waits for its first answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"

#define BUSY           8
#define KILLS          50
#define HELD_FOR_KILLS 2000
#define HELD_FOR_MOVES 5000
#define EVENTS         64
#define PAUSE_MS       20

/* A backend that sends all back. */
struct mirror {
	pthread_t thread;
	int listen_fd;
	int epoll_fd;
	char address[ADDR_TEXT_SIZE];
};

/* Asks and waits for the answer, again and again. */
struct asker {
	pthread_t thread;
	char address[ADDR_TEXT_SIZE];
	bool is_new_each_time; /* connects for each question */
	int fd;
	uint32_t count;
	_Atomic uint64_t asked_us; /* when the question was sent, 0: answered */
	_Atomic uint64_t longest_us; /* that an answer took */
	_Atomic bool is_over;
};

struct fixture {
	struct gateway gateway;
	struct mirror mirror;
	char address[ADDR_TEXT_SIZE];
	int held[HELD_FOR_MOVES];
	unsigned held_count;
	struct asker askers[BUSY];
};

/* The backend */

static void
mirror_watch(const struct mirror *m, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	ck_assert_int_eq(epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
}

static void
mirror_answer(int fd)
{
	char text[64];
	ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);

	if (n > 0)
		(void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
	else if (n == 0 || errno != EAGAIN)
		close(fd);
}

static void
mirror_accept(const struct mirror *m)
{
	int fd = accept(m->listen_fd, NULL, NULL);

	if (fd >= 0)
		mirror_watch(m, fd);
}

static void *
mirror_run(void *arg)
{
	const struct mirror *m = arg;
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(m->epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == m->listen_fd)
				mirror_accept(m);
			else
				mirror_answer(events[i].data.fd);
		}
	}
	return NULL;
}

static void
mirror_start(struct mirror *m)
{
	m->listen_fd = net_listen("127.0.0.1:0", 4096, m->address);
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(m->epoll_fd, 0);
	mirror_watch(m, m->listen_fd);
	ck_assert_int_eq(pthread_create(&m->thread, NULL, mirror_run, m), 0);
}

/* Clients */

static void
ask_and_hear(int fd, uint32_t number)
{
	char text[16];
	char answer[16];
	ssize_t length = snprintf(text, sizeof text, "%09u", number);

	ck_assert(send(fd, text, (size_t)length, MSG_NOSIGNAL) == length);
	ck_assert(recv(fd, answer, (size_t)length, MSG_WAITALL) == length);
	ck_assert(memcmp(text, answer, (size_t)length) == 0);
}

static void
ask(struct asker *a)
{
	uint64_t took_us;

	atomic_store(&a->asked_us, clock_monotonic_us());
	if (a->is_new_each_time)
		a->fd = net_connect(a->address);
	ask_and_hear(a->fd, a->count++);
	took_us = clock_monotonic_us() - atomic_load(&a->asked_us);
	atomic_store(&a->asked_us, 0);
	if (took_us > atomic_load(&a->longest_us))
		atomic_store(&a->longest_us, took_us);
	if (a->is_new_each_time)
		close(a->fd);
}

static void *
asker_run(void *arg)
{
	struct asker *a = arg;

	while (!atomic_load(&a->is_over))
		ask(a);
	return NULL;
}

static void
asker_start(struct asker *a, const char *address, bool is_new_each_time)
{
	*a = (struct asker){.is_new_each_time = is_new_each_time};
	memcpy(a->address, address, ADDR_TEXT_SIZE);
	if (!is_new_each_time)
		a->fd = net_connect(address);
	ck_assert_int_eq(pthread_create(&a->thread, NULL, asker_run, a), 0);
}

static void
asker_stop(struct asker *a)
{
	atomic_store(&a->is_over, true);
	ck_assert_int_eq(pthread_join(a->thread, NULL), 0);
	if (!a->is_new_each_time)
		close(a->fd);
}

/* The longest answer since the last call, of one that is not there yet also. */
static uint64_t
take_longest_us(struct asker *askers, unsigned count)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t asked = atomic_load(&askers[i].asked_us);
		uint64_t now = clock_monotonic_us();
		uint64_t took = atomic_exchange(&askers[i].longest_us, 0);

		if (asked != 0 && now > asked && now - asked > took)
			took = now - asked;
		longest = took > longest ? took : longest;
	}
	return longest;
}

/* The gateway */

static void
configure(struct fixture *f)
{
	gateway_configure(&f->gateway,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    f->mirror.address);
}

/* False, and skipped, where there are not enough descriptors. */
static bool
start(struct fixture *f, unsigned workers, unsigned held)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * held + 500) {
		e2e_skip("%u connections need %u descriptors, not %lu", held,
		    2 * held + 500, (unsigned long)limit.rlim_cur);
		return false;
	}
	mirror_start(&f->mirror);
	gateway_init(&f->gateway);
	f->gateway.workers = workers;
	configure(f);
	gateway_run(&f->gateway);
	gateway_address(&f->gateway, "s", 0, f->address);
	for (f->held_count = 0; f->held_count < held; f->held_count++)
		f->held[f->held_count] = net_connect(f->address);
	gateway_expect_number(&f->gateway, "totals/connections", held);
	return true;
}

static void
stop(struct fixture *f)
{
	for (unsigned i = 0; i < f->held_count; i++) {
		if (i % 50 == 0) {
			net_say(f->held[i], "still there?");
			net_hear(f->held[i], "still there?");
		}
		close(f->held[i]);
	}
	gateway_stop(&f->gateway);
}

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct fixture fixture;

static uint64_t
time_kill_us(struct fixture *f, bool with_kill)
{
	pid_t worker;

	e2e_pause(PAUSE_MS);
	(void)take_longest_us(f->askers, BUSY);
	worker = gateway_worker(&f->gateway, 0);
	if (with_kill) {
		ck_assert_int_eq(kill(worker, SIGKILL), 0);
		gateway_expect_successor(&f->gateway, 0, worker);
	}
	e2e_pause(PAUSE_MS);
	return take_longest_us(f->askers, BUSY);
}

/* With a kill each time, or without: what the machine does by itself. */
static void
report_kills(struct fixture *f, bool with_kill)
{
	uint64_t took_us[KILLS];

	for (unsigned i = 0; i < KILLS; i++)
		took_us[i] = time_kill_us(f, with_kill);
	qsort(took_us, KILLS, sizeof took_us[0], by_size);
	fprintf(stderr,
	    "times: %u connections, %u busy, %s %u times: longest answer "
	    "median %" PRIu64 " us, worst %" PRIu64 " us\n",
	    HELD_FOR_KILLS, BUSY, with_kill ? "worker killed" : "looked at",
	    KILLS, took_us[KILLS / 2], took_us[KILLS - 1]);
}

START_TEST(a_kill)
{
	struct fixture *f = &fixture;

	if (!start(f, 1, HELD_FOR_KILLS))
		return;
	for (unsigned i = 0; i < BUSY; i++)
		asker_start(&f->askers[i], f->address, false);
	report_kills(f, false);
	report_kills(f, true);
	for (unsigned i = 0; i < BUSY; i++)
		asker_stop(&f->askers[i]);
	stop(f);
}
END_TEST

static void
report_longest(struct fixture *f, const char *what, unsigned count)
{
	fprintf(stderr,
	    "times: %u connections %s: longest answer %" PRIu64 " us\n",
	    f->held_count, what, take_longest_us(f->askers, count));
}

/* All of them: the one worker has lost its holder, and a fresh one is given
 * what it has. */
START_TEST(a_hand_over)
{
	struct fixture *f = &fixture;
	pid_t worker;

	if (!start(f, 1, HELD_FOR_MOVES))
		return;
	for (unsigned i = 0; i < BUSY; i++)
		asker_start(&f->askers[i], f->address, false);
	e2e_pause(PAUSE_MS);
	report_longest(f, "before a hand-over", BUSY);
	worker = gateway_worker(&f->gateway, 0);
	ck_assert_int_eq(kill(gateway_holder(&f->gateway, 0), SIGKILL), 0);
	gateway_expect_successor(&f->gateway, 0, worker);
	gateway_expect_number(&f->gateway, "workers/0/connections",
	    (int64_t)f->held_count + BUSY);
	e2e_pause(PAUSE_MS);
	report_longest(f, "handed over", BUSY);
	for (unsigned i = 0; i < BUSY; i++)
		asker_stop(&f->askers[i]);
	stop(f);
}
END_TEST

START_TEST(an_upgrade)
{
	struct fixture *f = &fixture;
	json_t *reply;

	if (!start(f, 2, HELD_FOR_MOVES))
		return;
	asker_start(&f->askers[0], f->address, true);
	asker_start(&f->askers[1], f->address, false);
	e2e_pause(PAUSE_MS);
	report_longest(f, "before an upgrade, one new after the other", 1);
	reply = gateway_call(&f->gateway, "Upgrade", NULL);
	ck_assert_ptr_nonnull(reply);
	ck_assert_ptr_null(json_object_get(reply, "error"));
	json_decref(reply);
	report_longest(f, "upgraded, one new after the other", 1);
	fprintf(stderr, "times: one of the others then: %" PRIu64 " us\n",
	    take_longest_us(f->askers + 1, 1));
	asker_stop(&f->askers[0]);
	asker_stop(&f->askers[1]);
	stop(f);
}
END_TEST

E2E_MAIN("times", a_kill, a_hand_over, an_upgrade)
