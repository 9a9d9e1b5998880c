/*
 * test_give - a worker that hands connections over, and a taker that answers as
 * it likes, or not at all.
 */
#include "server/state/reason.h"
#include "server/worker/closing.h"
#include "server/worker/drain.h"
#include "server/worker/review.h"
#include "tests/unit/give_kit.h"

#define CONNS 4

static struct relayed conns[CONNS];

/* Up to the batch with all connections. */
static void
begin(uint32_t count)
{
	kit_join(CHANNEL_GIVE, count);
	for (uint32_t i = 0; i < CONNS; i++)
		conns[i] = kit_relay(i);
	kit_turn();
	CHILD_CHECK(kit_hears(0));
	CHILD_CHECK(!slot_is_frozen(conns[0].slot));
	kit_say_have(heard.head.nonce, 0);
	if (count == CHANNEL_ALL)
		CHILD_CHECK(kit_hears(CONNS));
	else
		CHILD_CHECK(kit_hears(count));
}

static uint32_t
count_frozen(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < CONNS; i++)
		count += slot_is_frozen(conns[i].slot);
	return count;
}

static void
retire(void)
{
	/* What keep() put there is not the worker's. */
	for (uint32_t i = 0; i < kept; i++)
		let_go(i);
	channel_init(&told, CHANNEL_RETIRE);
	CHILD_CHECK(channel_send(master_end, &told, NULL, 0) == 0);
	orders_on_event(&kit.w);
	CHILD_CHECK(kit.w.head->listener_fd[KIT_SOCKET_OLD] == 0);
}

static void
given(void *arg)
{
	int fds[2];

	(void)arg;
	begin(CHANNEL_ALL);
	memcpy(fds, conns[1].slot->fd, sizeof(fds));
	CHILD_CHECK(count_frozen() == CONNS);
	CHILD_CHECK(heard.fds_count == 2 * CONNS);
	CHILD_CHECK(heard.records[1].id == conns[1].slot->id);
	retire();
	drain_run(&kit.w);
	CHILD_CHECK(!kit.w.is_done);
	kit_say_have(heard.head.nonce, heard.head.batch);
	CHILD_CHECK(kit.w.live == 0 && live_in_row() == 0);
	CHILD_CHECK(!kit_is_open(fds[0]) && !kit_is_open(fds[1]));
	CHILD_CHECK(kit_tells(CHANNEL_GIVEN));
	CHILD_CHECK(told.count == CONNS && told.is_reset == 0);
	drain_run(&kit.w);
	CHILD_CHECK(kit.w.is_done);
	/* They go on elsewhere, and nobody has noticed. */
	CHILD_CHECK(is_silent(conns[1].client) && is_silent(conns[1].backend));
	CHILD_CHECK(send(heard.fds[2], "x", 1, 0) == 1);
	expect_read(conns[1].client, "x");
	CHILD_CHECK(transfer_receive(other_end, &heard) == 0);
	CHILD_CHECK(atomic_load(&kit.w.head->access_head) == 0);
}

START_TEST(what_the_taker_has_is_closed_here)
{
	plans_compile("");
	child_passes(given, NULL);
}
END_TEST

/* Whatever happens to a connection meanwhile happens after the answer. */
static void
frozen(void *arg)
{
	(void)arg;
	begin(CHANNEL_ALL);
	CHILD_CHECK(send(conns[0].client, "early", 5, 0) == 5);
	(void)close(conns[1].client);
	kit_turn();
	kit_turn();
	CHILD_CHECK(is_silent(conns[0].backend));
	channel_init(&sent, CHANNEL_CLOSE);
	sent.request = 3;
	sent.filter.criteria = FILTER_ID;
	sent.filter.id = conns[2].slot->id;
	kit.w.now_us++;
	closing_order(&kit.w, &sent);
	CHILD_CHECK(closing_run(&kit.w));
	review_begin(&kit.w);
	review_run(&kit.w);
	CHILD_CHECK(count_frozen() == CONNS && !kit.w.review.is_on);
	CHILD_CHECK(transfer_receive(other_end, &heard) == -EAGAIN);
	/* They stay: the one is closed as it was ordered. */
	kit_say_have(kit.w.head->give.nonce, 0);
	CHILD_CHECK(count_frozen() == 0);
	expect_read(conns[0].backend, "early");
	CHILD_CHECK(conns[2].slot->state == CONN_FREE);
	CHILD_CHECK(conns[2].slot->reason == REASON_CLOSED);
	CHILD_CHECK(kit.w.head->closing.closed == 1);
	expect_moves(&conns[3], "on");
}

START_TEST(a_frozen_one_is_left_alone)
{
	plans_compile("");
	child_passes(frozen, NULL);
}
END_TEST

static void
refused(void *arg)
{
	(void)arg;
	begin(CHANNEL_ALL);
	kit_say_have(heard.head.nonce - 1, heard.head.batch);
	CHILD_CHECK(count_frozen() == CONNS);
	transfer_close_fds(&heard);
	kit_say_have(heard.head.nonce, heard.head.batch - 1);
	CHILD_CHECK(count_frozen() == 0 && kit.w.live == CONNS);
	for (uint32_t i = 0; i < CONNS; i++)
		expect_moves(&conns[i], "still here");
	CHILD_CHECK(transfer_receive(other_end, &heard) == -EAGAIN);
	CHILD_CHECK(give_wait(&kit.w, 1000) > 0);
	/* Half as many, until it goes. */
	for (uint32_t limit = GIVE_BATCH / 2; limit > 1; limit /= 2) {
		kit.w.now_ms += 100;
		kit_turn();
		CHILD_CHECK(kit_hears(limit < CONNS ? limit : CONNS));
		transfer_close_fds(&heard);
		kit_say_have(heard.head.nonce, 0);
	}
	kit.w.now_ms += 100;
	kit_turn();
	CHILD_CHECK(kit_hears(1));
	CHILD_CHECK(heard.records[0].id == conns[0].slot->id);
	kit_say_have(heard.head.nonce, 0);
	kit.w.now_ms += 100;
	kit_turn();
	/* One that can't be taken holds up nobody. */
	CHILD_CHECK(kit_hears(1));
	CHILD_CHECK(heard.records[0].id == conns[1].slot->id);
	kit_say_have(heard.head.nonce, heard.head.batch);
	CHILD_CHECK(kit_hears(2));
	CHILD_CHECK(kit.w.live == CONNS - 1);
}

START_TEST(what_is_refused_is_tried_in_smaller_batches)
{
	plans_compile("");
	child_passes(refused, NULL);
}
END_TEST

static void
some(void *arg)
{
	(void)arg;
	begin(3);
	kit_say_have(heard.head.nonce, heard.head.batch);
	CHILD_CHECK(kit_tells(CHANNEL_GIVEN) && told.count == 3);
	CHILD_CHECK(kit.w.live == 1 && count_frozen() == 0);
	CHILD_CHECK(transfer_receive(other_end, &heard) == 0);
	expect_moves(&conns[3], "stays");
	/* The order again, for which the master has the end no more. */
	CHILD_CHECK(!give_begin(&kit.w, KIT_TRANSFER, 3, other_end));
	CHILD_CHECK(!give_is_on(&kit.w));
}

/* The last word can't be said just now: it is, as soon as it can. */
static void
unsaid(void *arg)
{
	int real;
	int fd;

	(void)arg;
	begin(3);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	real = dup(BODY_FD_CHANNEL);
	/* One that is connected to nobody. */
	CHILD_CHECK(dup2(fd, BODY_FD_CHANNEL) >= 0);
	kit_say_have(heard.head.nonce, heard.head.batch);
	CHILD_CHECK(give_is_on(&kit.w));
	CHILD_CHECK(dup2(real, BODY_FD_CHANNEL) >= 0);
	kit.w.now_ms += 1000;
	give_run(&kit.w);
	CHILD_CHECK(!give_is_on(&kit.w));
	CHILD_CHECK(kit_tells(CHANNEL_GIVEN) && told.count == 3);
}

START_TEST(the_last_word_is_said)
{
	plans_compile("");
	child_passes(unsaid, NULL);
}
END_TEST

START_TEST(so_many_as_were_ordered)
{
	plans_compile("");
	child_passes(some, NULL);
}
END_TEST

static void
end_of_taker(void *arg)
{
	const bool *dies = arg;

	begin(CHANNEL_ALL);
	/* What it said last counts still. */
	if (*dies)
		kit_die();
	(void)close(other_end);
	kit_turn();
	kit_turn();
	CHILD_CHECK(count_frozen() == 0 && kit.w.live == CONNS);
	CHILD_CHECK(kit_tells(CHANNEL_GIVEN));
	CHILD_CHECK(told.count == 0 && told.is_reset == 1);
	for (uint32_t i = 0; i < CONNS; i++)
		expect_moves(&conns[i], "back");
}

START_TEST(without_a_taker_all_are_ours_again)
{
	bool dies = false;

	plans_compile("");
	child_passes(end_of_taker, &dies);
	dies = true;
	child_passes(end_of_taker, &dies);
}
END_TEST

/* It said that they are its own, in answer to nothing, and is gone with what it
 * had read of them: going on with them would leave that out. */
static void
end_with_them(void *arg)
{
	const bool *dies = arg;

	begin(CHANNEL_ALL);
	kit_say_have(0, heard.head.batch);
	CHILD_CHECK(count_frozen() == CONNS);
	if (*dies)
		kit_die();
	(void)close(other_end);
	transfer_close_fds(&heard);
	kit_turn();
	kit_turn();
	CHILD_CHECK(count_frozen() == 0 && kit.w.live == 0);
	CHILD_CHECK(kit_tells(CHANNEL_GIVEN));
	CHILD_CHECK(told.count == CONNS && told.is_reset == 1);
	CHILD_CHECK(recv(conns[0].client, &heard, 1, MSG_DONTWAIT) == 0);
}

START_TEST(what_the_taker_had_ends_with_it)
{
	bool dies = false;

	plans_compile("");
	child_passes(end_with_them, &dies);
	dies = true;
	child_passes(end_with_them, &dies);
}
END_TEST

/* Two batches' worth of answers after a death. */
static void
death(void *arg)
{
	const bool *are_taken = arg;
	uint32_t batch;
	uint64_t nonce;

	begin(CHANNEL_ALL);
	batch = heard.head.batch;
	nonce = heard.head.nonce;
	kit_die();
	kit_die();
	CHILD_CHECK(count_frozen() == CONNS && kit.w.live == CONNS);
	CHILD_CHECK(live_in_row() == CONNS);
	CHILD_CHECK(send(conns[0].client, "mine", 4, 0) == 4);
	kit_turn();
	CHILD_CHECK(is_silent(conns[0].backend));
	/* The answer to the dead worker's question answers none of ours. */
	kit_say_have(nonce, batch);
	CHILD_CHECK(count_frozen() == CONNS);
	if (!*are_taken)
		transfer_close_fds(&heard);
	CHILD_CHECK(kit_hears(0) && heard.head.nonce > nonce);
	kit_say_have(heard.head.nonce, *are_taken ? batch : batch - 1);
	CHILD_CHECK(kit.w.live == (*are_taken ? 0 : CONNS));
	if (!*are_taken) {
		expect_read(conns[0].backend, "mine");
		CHILD_CHECK(kit_hears(CONNS));
	}
}

START_TEST(a_successor_makes_certain)
{
	bool are_taken = false;

	plans_compile("");
	child_passes(death, &are_taken);
	are_taken = true;
	child_passes(death, &are_taken);
}
END_TEST

/* A taker's successor has nothing of what was asked: it is asked again. */
static void
new_taker(void *arg)
{
	uint64_t nonce;
	uint32_t batch;

	(void)arg;
	begin(CHANNEL_ALL);
	nonce = heard.head.nonce;
	batch = heard.head.batch;
	kit_say_have(0, batch);
	CHILD_CHECK(count_frozen() == CONNS);
	CHILD_CHECK(kit_hears(0) && heard.head.nonce > nonce);
	kit_say_have(nonce, 0);
	CHILD_CHECK(count_frozen() == CONNS);
	kit_say_have(heard.head.nonce, batch);
	CHILD_CHECK(kit.w.live == 0);
}

START_TEST(a_new_taker_is_asked_again)
{
	plans_compile("");
	child_passes(new_taker, NULL);
}
END_TEST

/* How far it got with closing what is the taker's. */
static void
half_left(void *arg)
{
	const int *got = arg;
	struct slot *slot;
	uint16_t pipe;

	begin(CHANNEL_ALL);
	slot = conns[0].slot;
	/* The taker's. */
	keep(dup(slot->fd[SIDE_CLIENT]));
	keep(dup(slot->fd[SIDE_BACKEND]));
	/* Empty, and the taker's: it must not be thought free. */
	slot->flows[FLOW_UP].pipe = put_pipe("");
	pipe = slot->flows[FLOW_UP].pipe;
	kit.w.pipes.used++;
	if (*got >= 1)
		slot->state = CONN_CLOSING;
	if (*got >= 2)
		kit.w.head->pipes[pipe - 1].state = PIPE_NONE;
	if (*got >= 3)
		slot->flows[FLOW_UP].pipe = 0;
	if (*got >= 4)
		conn_close_side(slot, SIDE_CLIENT);
	kit_die();
	CHILD_CHECK((slot->state == CONN_FREE) == (*got > 0));
	CHILD_CHECK(kit.w.live == (*got > 0 ? CONNS - 1U : CONNS));
	kit_turn();
	CHILD_CHECK(kit_hears(0));
	kit_say_have(heard.head.nonce, kit.w.head->give.batch);
	CHILD_CHECK(kit.w.live == 0);
	CHILD_CHECK(kit.w.head->pipes[pipe - 1].state == PIPE_NONE);
	CHILD_CHECK(kit.w.pipes.used == kit.w.pipes.free_count);
	CHILD_CHECK(is_silent(conns[0].client) && is_silent(conns[0].backend));
}

START_TEST(a_death_while_leaving_is_made_good)
{
	plans_compile("");
	for (int got = 0; got <= 4; got++)
		child_passes(half_left, &got);
}
END_TEST

/* Not fit now: they follow when they are. */
static void
unfit(void *arg)
{
	struct relayed r;

	(void)arg;
	kit_join(CHANNEL_GIVE, CHANNEL_ALL);
	r = put_relayed(0, CONN_DIALING);
	kit.w.live++;
	kit_turn();
	CHILD_CHECK(kit_hears(0));
	kit_say_have(heard.head.nonce, 0);
	CHILD_CHECK(transfer_receive(other_end, &heard) == -EAGAIN);
	CHILD_CHECK(give_wait(&kit.w, 1000) > 0);
	r.slot->state = CONN_RELAYING;
	kit.w.now_ms += 20;
	kit_turn();
	CHILD_CHECK(kit_hears(1));
}

START_TEST(one_that_dials_follows_later)
{
	plans_compile("");
	child_passes(unfit, NULL);
}
END_TEST

UNIT_MAIN("give", what_the_taker_has_is_closed_here, a_frozen_one_is_left_alone,
    what_is_refused_is_tried_in_smaller_batches, so_many_as_were_ordered,
    the_last_word_is_said, without_a_taker_all_are_ours_again,
    what_the_taker_had_ends_with_it, a_successor_makes_certain,
    a_new_taker_is_asked_again, a_death_while_leaving_is_made_good,
    one_that_dials_follows_later)
