/*
 * test_dial - a connect whose end the dead worker did not see, or never began.
 *
 * The first backend's port is bound here and listened on or not; the second
 * is a Unix-domain socket that takes everyone.  Each case is a child with a
 * body's descriptor table (body_kit.h) whose sweep finds the slot dialing.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "server/state/reason.h"
#include "server/worker/sweep.h"
#include "tests/unit/sweep_kit.h"
#include "tests/unit/unit.h"

static struct sockaddr_in first;

/* A socket for the first backend's port, which others can try to reach. */
static int
bind_first(void)
{
	socklen_t length = sizeof(first);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	first = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&first, length), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&first, &length),
	    0);
	return fd;
}

static int
listen_second(char *name, size_t size)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int length = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "srvd-test-dial-%d", getpid());
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(name, size, "%.60s", sun.sun_path + 1);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun,
			     (socklen_t)(sizeof(sa_family_t) + 1 + length)),
	    0);
	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

static void
compile(void)
{
	char name[64];
	char text[512];

	(void)listen_second(name, sizeof(name));
	(void)snprintf(text, sizeof(text),
	    "user = nobody\nmax_connections = 16\n"
	    "service s { listen = 127.0.0.1:2\n"
	    "backend a { address = 127.0.0.1:%u }\n"
	    "backend b { address = unix:@%s } }\n",
	    ntohs(first.sin_port), name);
	kit_compile(&kit, text);
}

/* A slot that dials the first backend. */
static struct slot *
put_dialing(void)
{
	struct slot *slot = put_slot(0, CONN_DIALING);

	(void)give_socket(slot, SIDE_CLIENT);
	slot->fd[SIDE_BACKEND] =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHILD_CHECK(slot->fd[SIDE_BACKEND] >= BODY_FD_FREE);
	slot->server.kind = ADDR_TCP4;
	slot->tally = TALLY_ACCEPTED;
	slot->has_backend = 1;
	slot->tried_count = 1;
	return slot;
}

static int
connect_first(const struct slot *slot)
{
	return connect(slot->fd[SIDE_BACKEND], (struct sockaddr *)&first,
	    sizeof(first));
}

static uint64_t
failed_dials(void)
{
	return atomic_load(&kit.w.row->backends[0].failed);
}

static void
connected(void *arg)
{
	struct slot *slot;

	(void)arg;
	kit_table(&kit);
	slot = put_dialing();
	CHILD_CHECK(connect_first(slot) < 0 && errno == EINPROGRESS);
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_RELAYING && slot->backend == 0);
	CHILD_CHECK(failed_dials() == 0);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[0].accepted) == 1);
}

START_TEST(connected_unseen_is_relayed)
{
	int fd = bind_first();

	ck_assert_int_eq(listen(fd, 16), 0);
	compile();
	child_passes(connected, NULL);
	(void)close(fd);
}
END_TEST

static void
refused(void *arg)
{
	struct slot *slot;
	int error = 0;
	socklen_t length = sizeof(error);

	kit_table(&kit);
	slot = put_dialing();
	CHILD_CHECK(connect_first(slot) < 0 && errno == EINPROGRESS);
	/* The kernel tells of the error once: here, the dead worker. */
	if (arg != NULL) {
		CHILD_CHECK(getsockopt(slot->fd[SIDE_BACKEND], SOL_SOCKET,
				SO_ERROR, &error, &length) == 0);
		CHILD_CHECK(error == ECONNREFUSED);
	}
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_RELAYING && slot->backend == 1);
	CHILD_CHECK(slot->tried_count == 2 && failed_dials() == 1);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[0].connections) == 0);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[1].connections) == 1);
}

START_TEST(failed_unseen_tries_the_next_backend)
{
	static int told = 1;
	int fd = bind_first();

	compile();
	child_passes(refused, NULL);
	child_passes(refused, &told);
	(void)close(fd);
}
END_TEST

/* A listener whose backlog is full lets a SYN wait. */
static void
pending(void *arg)
{
	struct slot *slot;
	int filler[8];
	int backend;

	(void)arg;
	kit_table(&kit);
	for (size_t i = 0; i < ARRAY_LEN(filler); i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(filler[i], (struct sockaddr *)&first,
		    sizeof(first));
	}
	slot = put_dialing();
	backend = slot->fd[SIDE_BACKEND];
	CHILD_CHECK(connect_first(slot) < 0 && errno == EINPROGRESS);
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_DIALING);
	CHILD_CHECK(slot->fd[SIDE_BACKEND] == backend && slot->backend == 0);
	CHILD_CHECK((slot->side_flags[SIDE_BACKEND] & SIDE_WATCHED) != 0);
	CHILD_CHECK(slot->tried_count == 1 && failed_dials() == 0);
	/* And its timeout runs: it is due within the default's 5 s. */
	CHILD_CHECK(timers_wait(&kit.w.timers, kit.w.now_ms, 60000) <= 5100);
}

START_TEST(pending_goes_on_waiting)
{
	int fd = bind_first();

	ck_assert_int_eq(listen(fd, 0), 0);
	compile();
	child_passes(pending, NULL);
	(void)close(fd);
}
END_TEST

/* The worker died before it called connect(): nobody failed. */
static void
never_begun(void *arg)
{
	struct slot *slot;

	(void)arg;
	kit_table(&kit);
	slot = put_dialing();
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_CONN, 0));
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_DIALING && slot->backend == 0);
	CHILD_CHECK(slot->tried_count == 1 && failed_dials() == 0);
	CHILD_CHECK((slot->side_flags[SIDE_BACKEND] & SIDE_WATCHED) != 0);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[0].connections) == 1);
}

START_TEST(never_begun_counts_as_untried)
{
	int fd = bind_first();

	ck_assert_int_eq(listen(fd, 16), 0);
	compile();
	child_passes(never_begun, NULL);
	(void)close(fd);
}
END_TEST

/* It died when the backend stood among the tried ones already, and was not
 * the connection's yet: a client is not turned away for that. */
static void
never_had(void *arg)
{
	struct slot *slot;

	(void)arg;
	kit_table(&kit);
	slot = put_dialing();
	(void)close(slot->fd[SIDE_BACKEND]);
	slot->fd[SIDE_BACKEND] = 0;
	slot->has_backend = 0;
	slot->tried_count = 2;
	slot->tried[0] = 1;
	slot->tried[1] = 0;
	slot->tally |= TALLY_FAILED;
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_DIALING && slot->backend == 0);
	CHILD_CHECK(slot->tried_count == 2 && failed_dials() == 0);
}

START_TEST(never_had_counts_as_untried)
{
	int fd = bind_first();

	ck_assert_int_eq(listen(fd, 16), 0);
	compile();
	child_passes(never_had, NULL);
	(void)close(fd);
}
END_TEST

/* It died when the failure was counted, and the attempt not yet over: whoever
 * is tried next must not pass for the one that failed. */
static void
counted(void *arg)
{
	struct slot *slot;

	(void)arg;
	kit_table(&kit);
	slot = put_dialing();
	slot->tally |= TALLY_FAILED;
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_CONN, 0));
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_RELAYING && slot->backend == 1);
	CHILD_CHECK(slot->tried_count == 2 && failed_dials() == 0);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[0].connections) == 0);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[1].connections) == 1);
}

START_TEST(counted_as_failed_is_not_tried_again)
{
	int fd = bind_first();

	ck_assert_int_eq(listen(fd, 16), 0);
	compile();
	child_passes(counted, NULL);
	(void)close(fd);
}
END_TEST

/* A worker crashed on a client that it had just been given: that is a
 * connection like others, which was accepted and ends as the culprit. */
static void
crashed_in_accept(void *arg)
{
	struct slot *slot;
	int client;

	(void)arg;
	kit_table(&kit);
	slot = put_slot(0, CONN_ACCEPTING);
	client = give_socket(slot, SIDE_CLIENT);
	kit.w.head->death.cause = DEATH_SIGNAL;
	atomic_store(&kit.w.head->deaths, 1);
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_ACCEPT, 0));
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_FREE);
	CHILD_CHECK(slot->reason == REASON_CULPRIT);
	CHILD_CHECK(kit.w.head->death.culprit == slot->id);
	CHILD_CHECK(atomic_load(&kit.w.row->culprits) == 1);
	CHILD_CHECK(atomic_load(&kit.w.row->services[0].accepted) == 1);
	CHILD_CHECK(live_in_row() == 0);
	CHILD_CHECK(recv(client, &kept, 1, 0) == 0);
}

START_TEST(a_culprit_in_accept_is_counted)
{
	int fd = bind_first();

	compile();
	child_passes(crashed_in_accept, NULL);
	(void)close(fd);
}
END_TEST

UNIT_MAIN("dial", connected_unseen_is_relayed,
    failed_unseen_tries_the_next_backend, pending_goes_on_waiting,
    never_begun_counts_as_untried, never_had_counts_as_untried,
    counted_as_failed_is_not_tried_again, a_culprit_in_accept_is_counted)
