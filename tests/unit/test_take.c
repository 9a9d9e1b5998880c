/*
 * test_take - a worker that is handed connections, by a giver that may send
 * anything.
 */
#include "server/state/reason.h"
#include "server/worker/closing.h"
#include "tests/unit/take_kit.h"

static void
taken(void *arg)
{
	(void)arg;
	begin();
	CHILD_CHECK(send(gifts[0].client, "on the way", 10, 0) == 10);
	make_batch(3, 9);
	CHILD_CHECK(give() == 0);
	add_all();
	batch.records[1].flows[FLOW_UP].pulled = 500;
	batch.records[1].flows[FLOW_UP].moved = 500;
	CHILD_CHECK(give() == 3);
	CHILD_CHECK(kit.w.live == CONNS && live_in_row() == CONNS);
	CHILD_CHECK(atomic_load(&kit.w.row->backends[0].connections) == CONNS);
	CHILD_CHECK(atomic_load(&kit.w.row->services[0].accepted) == 0);
	expect_read(gifts[0].backend, "on the way");
	for (uint32_t i = 0; i < CONNS; i++)
		expect_relayed(i, "more");
	CHILD_CHECK(slot_of(1)->flows[FLOW_UP].moved == 504);
	/* Its end is passed on at once, though the giver has both sockets. */
	(void)shutdown(gifts[2].client, SHUT_WR);
	(void)shutdown(gifts[2].backend, SHUT_WR);
	kit_turn();
	kit_turn();
	CHILD_CHECK(slot_of(2)->state == CONN_FREE);
	CHILD_CHECK(slot_of(2)->reason == REASON_DONE);
	CHILD_CHECK(recv(gifts[2].client, &batch, 1, MSG_DONTWAIT) == 0);
	/* And epoll tells of them no more. */
	CHILD_CHECK(poller_wait(0) == 0);
	/* The giver goes. */
	(void)close(other_end);
	kit_turn();
	CHILD_CHECK(kit.w.head->take.transfer == 0);
	CHILD_CHECK(kit.w.live == CONNS - 1);
	expect_relayed(3, "at home");
}

START_TEST(a_batch_is_gone_on_with)
{
	plans_compile("");
	child_passes(taken, NULL);
}
END_TEST

/* Bytes wait in both pipes, and each goes where it belongs. */
static void
with_pipes(void *arg)
{
	struct transfer_record *r;
	int pair[2][2];

	(void)arg;
	begin();
	for (int i = 0; i < 2; i++)
		CHILD_CHECK(pipe2(pair[i], O_NONBLOCK) == 0);
	CHILD_CHECK(write(pair[0][1], "up", 2) == 2);
	CHILD_CHECK(write(pair[1][1], "down", 4) == 4);
	make_batch(1, 1);
	r = add_gift(0);
	r->flows[FLOW_UP] = (struct transfer_flow){
	    .pulled = 12, .moved = 10, .pipe_bytes = 65536, .has_pipe = 1};
	r->flows[FLOW_DOWN] = (struct transfer_flow){.pulled = 104,
	    .moved = 100,
	    .pipe_bytes = 65536,
	    .state = FLOW_DRAINING,
	    .has_pipe = 1};
	memcpy(batch.fds + 2, pair, sizeof(pair));
	batch.fds_count += 4;
	CHILD_CHECK(give() == 1);
	expect_read(gifts[0].backend, "up");
	expect_read(gifts[0].client, "down");
	CHILD_CHECK(recv(gifts[0].client, pair, 1, MSG_DONTWAIT) == 0);
	expect_relayed(0, "and on");
	CHILD_CHECK(slot_of(0)->flows[FLOW_UP].moved == 18);
	CHILD_CHECK(slot_of(0)->flows[FLOW_DOWN].moved == 104);
	CHILD_CHECK(kit.w.pipes.used == kit.w.pipes.free_count);
}

START_TEST(what_waits_in_pipes_comes_along)
{
	plans_compile("");
	child_passes(with_pipes, NULL);
}
END_TEST

/* The giver has seen a reset's bytes move later than this worker's round
 * began: that is no time that is over, and they go on to the backend. */
static void
from_a_later_round(void *arg)
{
	struct transfer_record *r;

	(void)arg;
	begin();
	make_batch(1, 1);
	r = add_gift(0);
	r->state = CONN_RESETTING;
	r->dead_side = SIDE_CLIENT;
	r->flows[FLOW_DOWN].state = FLOW_SHUT;
	r->active_ms = kit.w.now_ms + 5;
	CHILD_CHECK(give() == 1);
	CHILD_CHECK(slot_of(0)->state == CONN_RESETTING);
	CHILD_CHECK(kit.w.live == 1);
	CHILD_CHECK(send(gifts[0].client, "the rest", 8, 0) == 8);
	kit_turn();
	expect_read(gifts[0].backend, "the rest");
}

START_TEST(a_reset_is_passed_on_in_its_time)
{
	plans_compile("");
	child_passes(from_a_later_round, NULL);
}
END_TEST

/* One thing wrong with each, beside three that are right. */
static void
spoil(struct transfer_record *r, int what)
{
	switch (what) {
	case 0:
		r->id = 0;
		break;
	case 1:
		r->state = CONN_CLOSING;
		break;
	case 2:
		r->service = KIT_NEW; /* not in the plan */
		break;
	case 3:
		r->backend = UINT32_MAX;
		break;
	case 4:
		r->listener = 4711;
		break;
	case 5:
		r->flows[FLOW_DOWN].state = FLOW_STATES;
		break;
	case 6:
		r->flows[FLOW_UP].moved = 1;
		break;
	case 7:
		r->builtin = ADDR_ECHO;
		break;
	case 8:
		r->dead_side = SIDES;
		break;
	case 9:
		r->tried_count = SLOT_TRIED_MAX + 1;
		break;
	case 10: /* two sockets are no pipe */
		r->flows[FLOW_UP].has_pipe = 1;
		r->flows[FLOW_UP].pipe_bytes = 65536;
		batch.fds[batch.fds_count++] = gifts[0].client;
		batch.fds[batch.fds_count++] = gifts[0].client;
		break;
	default:
		r->has_backend = 0;
		break;
	}
}

static void
unsound(void *arg)
{
	const int *what = arg;
	int next;

	begin();
	next = dup(0);
	(void)close(next);
	make_batch(1, 1);
	add_all();
	spoil(&batch.records[CONNS - 1], *what);
	CHILD_CHECK(give() == 0);
	CHILD_CHECK(kit.w.live == 0 && !kit_is_open(next));
	CHILD_CHECK(is_silent(gifts[1].client));
	/* The next one. */
	make_batch(2, 2);
	add_all();
	CHILD_CHECK(give() == 2);
	expect_relayed(CONNS - 1, "all right");
}

START_TEST(a_batch_with_one_unsound_is_left)
{
	plans_compile("");
	for (int what = 0; what <= 11; what++)
		child_passes(unsound, &what);
}
END_TEST

/* No slots, no place for pipes, no descriptors: later perhaps. */
static void
no_room(void *arg)
{
	pid_t limiter;

	(void)arg;
	begin();
	make_batch(1, 1);
	add_all();
	kit.w.head->slots_used = kit.w.head->slots_max - 3;
	CHILD_CHECK(give() == 0 && kit.w.live == 0);
	kit.w.head->slots_used = 0;
	limiter = limit_descriptors((rlim_t)gifts[CONNS - 1].backend + 2);
	batch.head.nonce = 2;
	CHILD_CHECK(give() == 0 && kit.w.live == 0);
	CHILD_CHECK((kit.w.shortages & 1U << SHORT_DESCRIPTORS) != 0);
	limit_end(limiter);
	batch.head.nonce = 3;
	CHILD_CHECK(give() == 1 && kit.w.live == CONNS);
}

START_TEST(without_room_it_stays_with_the_giver)
{
	plans_compile("");
	child_passes(no_room, NULL);
}
END_TEST

/* What no giver says: its channel is left, and what came is not kept. */
static void
strange(void *arg)
{
	const int *what = arg;

	begin();
	make_batch(5, 1);
	(void)add_gift(0);
	CHILD_CHECK(give() == 5);
	make_batch(*what == 0 ? 5 : 6, 2);
	(void)add_gift(1);
	if (*what == 1)
		batch.head.version++;
	if (*what == 2)
		transfer_init(&batch, TRANSFER_HAVE);
	CHILD_CHECK(transfer_send(other_end, &batch) == 0);
	kit_turn();
	CHILD_CHECK(kit.w.head->take.transfer == 0);
	CHILD_CHECK(transfer_receive(other_end, &heard) == 0);
	CHILD_CHECK(kit.w.live == 1);
	expect_relayed(0, "mine");
	/* The same order again changes nothing. */
	CHILD_CHECK(!take_begin(&kit.w, KIT_TRANSFER, other_end));
}

START_TEST(a_strange_giver_is_left)
{
	plans_compile("");
	for (int what = 0; what < 3; what++)
		child_passes(strange, &what);
}
END_TEST

/* An order that came while it was nobody's to see. */
static void
ordered(void *arg)
{
	const uint64_t *later_us = arg;
	uint32_t left = *later_us == 0 ? CONNS - 1 : CONNS;

	begin();
	kit.w.now_us = 5000000;
	channel_init(&sent, CHANNEL_CLOSE);
	sent.request = 3;
	sent.filter.criteria = FILTER_ID;
	sent.filter.id = 1000003 + 2;
	closing_order(&kit.w, &sent);
	CHILD_CHECK(closing_run(&kit.w));
	make_batch(1, 1);
	add_all();
	batch.records[2].frozen_us += *later_us;
	CHILD_CHECK(give() == 1);
	CHILD_CHECK(kit.w.live == left);
	CHILD_CHECK(kit.w.head->closing.closed == CONNS - left);
}

START_TEST(an_order_to_close_reaches_it)
{
	uint64_t later_us = 0;

	plans_compile("");
	child_passes(ordered, &later_us);
	/* Given long after, it was meant by nobody. */
	later_us = 60000000;
	child_passes(ordered, &later_us);
}
END_TEST

/* Nobody reads the answers. */
static void
deaf(void *arg)
{
	int sent_count = 0;

	(void)arg;
	begin();
	make_batch(0, 1);
	for (; !take_owes(&kit.w); sent_count++) {
		CHILD_CHECK(transfer_send(other_end, &batch) == 0);
		kit_turn();
		CHILD_CHECK(sent_count < 10000);
	}
	CHILD_CHECK(take_wait(&kit.w, 1000) < 1000);
	while (transfer_receive(other_end, &heard) == 1)
		sent_count--;
	kit_turn();
	CHILD_CHECK(!take_owes(&kit.w));
	CHILD_CHECK(transfer_receive(other_end, &heard) == 1);
	CHILD_CHECK(sent_count == 1);
}

/* Another error than that: memory may be short, say. */
static void
unsendable(void *arg)
{
	int real;
	int fd;

	(void)arg;
	begin();
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	real = dup(kit.w.head->take.fd);
	/* One that is connected to nobody. */
	CHILD_CHECK(dup2(fd, kit.w.head->take.fd) >= 0);
	take_tell(&kit.w);
	CHILD_CHECK(take_owes(&kit.w));
	CHILD_CHECK(dup2(real, kit.w.head->take.fd) >= 0);
	take_run(&kit.w);
	CHILD_CHECK(!take_owes(&kit.w));
	CHILD_CHECK(transfer_receive(other_end, &heard) == 1);
	(void)close(other_end);
	take_tell(&kit.w);
	CHILD_CHECK(!take_owes(&kit.w));
}

START_TEST(an_answer_is_owed_until_it_is_given)
{
	plans_compile("");
	child_passes(deaf, NULL);
	child_passes(unsendable, NULL);
}
END_TEST

UNIT_MAIN("take", a_batch_is_gone_on_with, what_waits_in_pipes_comes_along,
    a_reset_is_passed_on_in_its_time, a_batch_with_one_unsound_is_left,
    without_room_it_stays_with_the_giver, a_strange_giver_is_left,
    an_order_to_close_reaches_it, an_answer_is_owed_until_it_is_given)
