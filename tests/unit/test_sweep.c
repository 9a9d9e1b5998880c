/*
 * test_sweep - a body as a dead worker may leave it, and what becomes of it.
 *
 * Each case is a child with a body's descriptor table (body_kit.h).
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <sys/ioctl.h>

#include "server/state/reason.h"
#include "server/worker/relay.h"
#include "server/worker/sweep.h"
#include "tests/unit/sweep_kit.h"

static void
begin(void)
{
	kit_compile(&kit,
	    "user = nobody\nmax_connections = 16\n"
	    "service s { listen = 127.0.0.1:2 "
	    "backend a { address = builtin:echo } }\n");
}

/* States */

static void
each_state(void *arg)
{
	struct slot *slot[6];
	struct relayed relaying;
	int client[6];

	(void)arg;
	kit_table(&kit);
	slot[0] = put_slot(0, CONN_FREE);
	slot[1] = put_slot(1, CONN_ACCEPTING);
	slot[2] = put_slot(2, CONN_ACCEPTING);
	client[2] = give_socket(slot[2], SIDE_CLIENT);
	slot[3] = put_slot(3, CONN_DIALING);
	client[3] = give_socket(slot[3], SIDE_CLIENT);
	relaying = put_relayed(4, CONN_RELAYING);
	slot[5] = put_slot(5, CONN_CLOSING);
	client[5] = give_socket(slot[5], SIDE_CLIENT);
	slot[5]->flows[0].pipe = put_pipe("lost");
	slot[5]->flows[0].pulled = 4;
	slot[5]->flows[1].pipe = put_pipe("");
	atomic_store(&kit.w.row->connections, 4711);

	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot[0]->state == CONN_FREE);
	CHILD_CHECK(slot[1]->state == CONN_FREE);
	CHILD_CHECK(slot[2]->state == CONN_RELAYING);
	CHILD_CHECK(slot[3]->state == CONN_RELAYING);
	CHILD_CHECK(relaying.slot->state == CONN_RELAYING);
	CHILD_CHECK(slot[5]->state == CONN_FREE);
	CHILD_CHECK(send(client[2], "x", 1, MSG_NOSIGNAL) == 1);
	CHILD_CHECK(recv(client[5], &kept, 1, 0) == 0);

	CHILD_CHECK(live_in_row() == 3);
	CHILD_CHECK(kit.w.live == 3 && kit.w.free_count == 3);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[0].connections) == 3);
	CHILD_CHECK(atomic_load(&kit.w.row->services[0].accepted) == 2);
	CHILD_CHECK(kit.w.head->pipes[0].state == PIPE_NONE);
	CHILD_CHECK(kit.w.head->pipes[1].state == PIPE_READY);
	CHILD_CHECK(kit.w.pipes.used == kit.w.pipes.free_count);
	CHILD_CHECK(atomic_load(&kit.w.head->journal) == 0);
	CHILD_CHECK(kit_lines == 0);
}

START_TEST(each_state_is_gone_on_with)
{
	begin();
	child_passes(each_state, NULL);
}
END_TEST

static void
no_plan(void *arg)
{
	(void)arg;
	kit_table(&kit);
	kit.w.head->plans[0].generation = 0;
	(void)put_slot(0, CONN_ACCEPTING);
	(void)put_relayed(1, CONN_RELAYING);
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(kit.w.live == 0 && kit.w.free_count == 2);
	CHILD_CHECK(kit.w.head->plans[0].fd == 0);
}

START_TEST(without_a_plan_nothing_goes_on)
{
	begin();
	child_passes(no_plan, NULL);
}
END_TEST

/* Descriptors */

static void
adoption(void *arg)
{
	struct slot *slot;
	int pair[2];

	(void)arg;
	kit_table(&kit);
	slot = put_slot(1, CONN_ACCEPTING);
	(void)put_slot(2, CONN_ACCEPTING);
	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ==
	    0);
	/* The peer gets the other number, and what comes after is a gap. */
	keep(pair[1]);
	CHILD_CHECK(dup2(BODY_FD_NULL, 40) == 40);
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_ACCEPT, 1));
	atomic_store(&kit.w.head->deaths, 1);
	kit.w.head->death.cause = DEATH_KILLED;
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_RELAYING);
	CHILD_CHECK(slot->fd[SIDE_CLIENT] == pair[0]);
	CHILD_CHECK(kit.w.live == 1);
	CHILD_CHECK(!kit_is_open(40));
	CHILD_CHECK(atomic_load(&kit.w.row->services[0].accepted) == 1);
}

START_TEST(an_accepted_socket_is_adopted)
{
	begin();
	child_passes(adoption, NULL);
}
END_TEST

/* What is in the lowest gap is not a client: closed, and the claim with it. */
static void
no_adoption(void *arg)
{
	int act = *(const int *)arg;
	int fd;

	kit_table(&kit);
	(void)put_slot(0, CONN_ACCEPTING);
	fd = act == JOURNAL_ACCEPT ? socket(AF_UNIX, SOCK_STREAM, 0)
				   : dup(BODY_FD_NULL);
	if (act == JOURNAL_ACCEPT) {
		struct sockaddr_un {
			sa_family_t family;
			char path[8];
		} autobind = {.family = AF_UNIX};

		CHILD_CHECK(bind(fd, (struct sockaddr *)&autobind,
				sizeof(sa_family_t)) == 0);
		CHILD_CHECK(listen(fd, 1) == 0);
	}
	atomic_store(&kit.w.head->journal, JOURNAL((enum journal_act)act, 0));
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(kit.w.body.slots[0].state == CONN_FREE);
	CHILD_CHECK(!kit_is_open(fd));
}

START_TEST(other_strays_are_closed)
{
	static const int acts[] = {
	    JOURNAL_NONE, JOURNAL_ACCEPT, JOURNAL_CONN, 200};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(acts); i++)
		child_passes(no_adoption, (void *)&acts[i]);
}
END_TEST

/* Pipes */

static void
pipes_case(void *arg)
{
	struct body_pipe *pipes;
	struct relayed r;
	int making[2];

	(void)arg;
	kit_table(&kit);
	pipes = kit.w.head->pipes;
	r = put_relayed(0, CONN_RELAYING);
	(void)put_pipe("");
	(void)put_pipe("a damaged slot's");
	r.slot->flows[FLOW_UP].pipe = put_pipe("abc");
	r.slot->flows[FLOW_UP].pulled = 3;
	(void)put_pipe("");
	pipes[3].state = PIPE_MAKING;
	memcpy(making, pipes[3].fd, sizeof(making));

	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(pipes[0].state == PIPE_READY);
	CHILD_CHECK(pipes[1].state == PIPE_NONE);
	CHILD_CHECK(!kit_is_open(pipes[1].fd[0]));
	CHILD_CHECK(pipes[2].state == PIPE_READY);
	CHILD_CHECK(pipes[3].state == PIPE_NONE);
	CHILD_CHECK(!kit_is_open(making[0]) && !kit_is_open(making[1]));
	CHILD_CHECK(kit.w.pipes.used == 2);
	CHILD_CHECK(kit.w.pipes.free_count == 1 && kit.w.pipes.free[0] == 1);
	CHILD_CHECK(r.slot->flows[FLOW_UP].pipe == 3);
}

START_TEST(pipes_are_sorted)
{
	begin();
	child_passes(pipes_case, NULL);
}
END_TEST

/* pipe2() has succeeded, nothing more: such a pipe must not be used as one
 * that holds 0 bytes, since a splice of 0 bytes looks like an end. */
static void
unsized_pipe(void *arg)
{
	uint16_t number = 0;

	(void)arg;
	kit_table(&kit);
	(void)put_pipe("");
	kit.w.head->pipes[0].bytes = 0;
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(pipes_take(&kit.w.pipes, &number));
	CHILD_CHECK(kit.w.head->pipes[number - 1].bytes > 0);
}

START_TEST(a_pipe_without_a_size_is_not_used)
{
	begin();
	child_passes(unsized_pipe, NULL);
}
END_TEST

/* Flows */

/* A slot that says something else than its pipe: since it was worked on, or
 * since it is damaged. */
struct stale {
	uint64_t pulled;
	uint64_t moved;
	bool worked_on;
};

static void
stale_flow(void *arg)
{
	const struct stale *stale = arg;
	struct relayed r;

	kit_table(&kit);
	r = put_relayed(0, CONN_RELAYING);
	r.slot->flows[FLOW_UP].pipe = put_pipe("abc");
	r.slot->flows[FLOW_UP].pulled = stale->pulled;
	r.slot->flows[FLOW_UP].moved = stale->moved;
	CHILD_CHECK(send(r.client, "def", 3, 0) == 3);
	if (stale->worked_on)
		atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_CONN, 0));
	CHILD_CHECK(sweep(&kit.w) == 0);
	/* A damaged one is given up, with what its pipe holds. */
	if (!stale->worked_on && stale->pulled - stale->moved != 3) {
		CHILD_CHECK(r.slot->state == CONN_FREE);
		CHILD_CHECK(kit.w.pipes.free_count == 0);
		return;
	}
	relay_on_event(&kit.w, r.slot, SIDE_BACKEND, EPOLLOUT);
	relay_on_event(&kit.w, r.slot, SIDE_CLIENT, EPOLLIN);
	expect_read(r.backend, "abcdef");
	CHILD_CHECK(r.slot->flows[FLOW_UP].pipe == 0);
	CHILD_CHECK(r.slot->flows[FLOW_UP].moved == 106);
}

START_TEST(the_pipe_is_the_truth)
{
	/* 100 bytes went before, and "abc" is in the pipe. */
	static const struct stale stales[] = {{103, 100, true},
	    {100, 100, true}, {103, 99, true}, {103, 0, true},
	    {103, 100, false}, {100, 100, false}, {102, 100, false}};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(stales); i++)
		child_passes(stale_flow, (void *)&stales[i]);
}
END_TEST

/* A connection's end that was cut off */

/* A slot's end of a TCP connection; the other is returned and kept. */
static int
give_tcp(struct slot *slot, enum side side)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int peer = socket(AF_INET, SOCK_STREAM, 0);

	CHILD_CHECK(bind(listener, (struct sockaddr *)&sin, length) == 0);
	CHILD_CHECK(listen(listener, 1) == 0);
	CHILD_CHECK(getsockname(listener, (struct sockaddr *)&sin, &length) ==
	    0);
	CHILD_CHECK(connect(peer, (struct sockaddr *)&sin, length) == 0);
	slot->fd[side] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	CHILD_CHECK(slot->fd[side] >= BODY_FD_FREE);
	(void)close(listener);
	if (side == SIDE_CLIENT)
		slot->client.kind = ADDR_TCP4;
	else
		slot->server.kind = ADDR_TCP4;
	return keep(peer);
}

static void
cut_off(void *arg)
{
	const enum conn_end *end = arg;
	struct slot *slot;
	int peers[SIDES];
	char byte;

	kit_table(&kit);
	slot = put_slot(0, CONN_RELAYING);
	peers[SIDE_CLIENT] = give_tcp(slot, SIDE_CLIENT);
	peers[SIDE_BACKEND] = give_tcp(slot, SIDE_BACKEND);
	slot->has_backend = 1;
	slot->tried_count = 1;
	slot->tally = TALLY_ACCEPTED | TALLY_CONNECTED;
	if (*end == END_CLEAN) {
		slot->flows[FLOW_UP].state = FLOW_SHUT;
		slot->flows[FLOW_DOWN].state = FLOW_SHUT;
	}
	slot->end = (uint8_t)*end;
	slot->reason = REASON_DONE;
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_CONN, 0));
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slot->state == CONN_FREE);
	for (unsigned side = 0; side < SIDES; side++) {
		ssize_t n = recv(peers[side], &byte, 1, 0);

		CHILD_CHECK(*end == END_RESET ? n < 0 && errno == ECONNRESET
					      : n == 0);
	}
}

/* Whoever dies between the decision and the deed has decided. */
START_TEST(an_end_is_the_end_that_was_meant)
{
	static const enum conn_end ends[] = {
	    END_CLEAN, END_SHUTDOWN, END_RESET};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		child_passes(cut_off, (void *)&ends[i]);
}
END_TEST

/* Whom to blame */

struct blame {
	enum death_cause cause;
	enum journal_act act;
	bool closes;
};

static void
blame(void *arg)
{
	const struct blame *b = arg;
	struct relayed r;
	struct relayed other;

	kit_table(&kit);
	other = put_relayed(0, CONN_RELAYING);
	r = put_relayed(1, CONN_RELAYING);
	if (b->closes)
		r.slot->flows[FLOW_UP].pipe = put_pipe("not for others");
	kit.w.head->death.cause = b->cause;
	atomic_store(&kit.w.head->deaths, 1);
	atomic_store(&kit.w.head->journal, JOURNAL(b->act, 1));
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(other.slot->state == CONN_RELAYING);
	CHILD_CHECK((r.slot->state == CONN_FREE) == b->closes);
	CHILD_CHECK(atomic_load(&kit.w.row->culprits) == b->closes);
	/* The counts say that the pipe is empty, and it is not. */
	if (b->closes)
		CHILD_CHECK(kit.w.head->pipes[0].state == PIPE_NONE);
	CHILD_CHECK(kit.w.head->death.culprit ==
	    (b->closes ? 1 + BOARD_ROWS : 0));
	CHILD_CHECK(live_in_row() == (b->closes ? 1 : 2));
	if (b->closes)
		CHILD_CHECK(r.slot->reason ==
		    (b->cause == DEATH_WATCHDOG ? REASON_WATCHDOG
						: REASON_CULPRIT));
}

START_TEST(a_culprit_alone_is_closed)
{
	static const struct blame blames[] = {
	    {DEATH_SIGNAL, JOURNAL_CONN, true},
	    {DEATH_WATCHDOG, JOURNAL_CONN, true},
	    {DEATH_SIGNAL, JOURNAL_ACCEPT, true},
	    {DEATH_SIGNAL, JOURNAL_NONE, false},
	    {DEATH_KILLED, JOURNAL_CONN, false},
	    {DEATH_EXIT, JOURNAL_CONN, false},
	    {DEATH_NONE, JOURNAL_CONN, false},
	};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(blames); i++)
		child_passes(blame, (void *)&blames[i]);
}
END_TEST

/* The sweep's own death: at its first line in the log. */

static jmp_buf death;

static void
die_of_a_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
	log_open(kit_log, LEVEL_DEBUG);
	longjmp(death, 1);
}

static void
sweep_twice(void)
{
	struct slot *damaged = put_slot(0, CONN_RELAYING);

	damaged->listener = UINT32_MAX;
	if (setjmp(death) == 0) {
		log_open(die_of_a_line, LEVEL_DEBUG);
		(void)!sweep(&kit.w);
		CHILD_CHECK(false);
	}
	kit_revive(&kit);
	kit.w.head->death.cause = DEATH_KILLED;
	CHILD_CHECK(sweep(&kit.w) == 0);
}

static void
second_death_of_flow(void *arg)
{
	struct relayed r;

	(void)arg;
	kit_table(&kit);
	r = put_relayed(1, CONN_RELAYING);
	CHILD_CHECK(send(r.client, "def", 3, 0) == 3);
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_CONN, 1));
	r.slot->flows[FLOW_UP].pipe = put_pipe("abc");
	r.slot->flows[FLOW_UP].at_mark = 1;
	sweep_twice();
	CHILD_CHECK(r.slot->flows[FLOW_UP].at_mark == 0);
	expect_read(r.backend, "abcdef");
}

static void
second_death_of_accept(void *arg)
{
	struct slot *slot;
	int pair[2];

	(void)arg;
	kit_table(&kit);
	slot = put_slot(1, CONN_ACCEPTING);
	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ==
	    0);
	keep(pair[1]);
	atomic_store(&kit.w.head->journal, JOURNAL(JOURNAL_ACCEPT, 1));
	sweep_twice();
	CHILD_CHECK(slot->state == CONN_RELAYING);
	CHILD_CHECK(slot->fd[SIDE_CLIENT] == pair[0]);
}

/* What the first death left to be done is still done after a second one. */
START_TEST(a_sweep_may_die_too)
{
	begin();
	child_passes(second_death_of_flow, NULL);
	child_passes(second_death_of_accept, NULL);
}
END_TEST

UNIT_MAIN("sweep", each_state_is_gone_on_with, without_a_plan_nothing_goes_on,
    an_accepted_socket_is_adopted, other_strays_are_closed, pipes_are_sorted,
    a_pipe_without_a_size_is_not_used, the_pipe_is_the_truth,
    an_end_is_the_end_that_was_meant, a_culprit_alone_is_closed,
    a_sweep_may_die_too)
