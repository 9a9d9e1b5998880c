/*
 * test_take_deaths - a worker that is handed connections dies, and so may all
 * of its body.
 */
#include <signal.h>

#include "tests/unit/take_kit.h"

/* Deaths: slots as they are between two stores. */

enum got {
	GOT_PLACED,    /* a slot, and no more */
	GOT_WRITTEN,   /* all of it */
	GOT_COMMITTED, /* the one store */
	GOT_STATE,     /* it is ours, and looks like one that is frozen */
	GOT_OWNED,
};

static void
write_slots(enum got got)
{
	struct transfer_message copy = batch;
	const int *fds = copy.fds;

	for (uint32_t i = 0; i < CONNS; i++) {
		struct slot *slot = conn_place(&kit.w, copy.head.batch);

		for (uint32_t n = 0; n < transfer_fds_of(&copy.records[i]); n++)
			copy.fds[fds - copy.fds + n] = dup(fds[n]);
		if (got != GOT_PLACED || i < CONNS - 1)
			record_unpack(&kit.w, &copy.records[i], fds, slot);
		fds += transfer_fds_of(&copy.records[i]);
		if (got >= GOT_STATE && i < 2)
			slot->state = CONN_RELAYING;
		if (got >= GOT_OWNED && i < 2)
			slot->batch = 0;
	}
	if (got >= GOT_COMMITTED)
		kit.w.head->take.batch = copy.head.batch;
}

static void
death(void *arg)
{
	const enum got *got = arg;
	bool is_ours = *got >= GOT_COMMITTED;
	int pair[2];

	begin();
	CHILD_CHECK(pipe2(pair, O_NONBLOCK) == 0);
	keep(pair[0]);
	keep(pair[1]);
	make_batch(4, 1);
	add_all();
	/* An empty pipe of the giver's. */
	batch.records[CONNS - 1].flows[FLOW_UP] =
	    (struct transfer_flow){.has_pipe = 1, .pipe_bytes = 65536};
	batch.fds[batch.fds_count++] = pair[0];
	batch.fds[batch.fds_count++] = pair[1];
	write_slots(*got);
	kit_die();
	kit_die();
	CHILD_CHECK(kit.w.live == (is_ours ? CONNS : 0));
	CHILD_CHECK(live_in_row() == kit.w.live);
	for (int i = 0; i < 2; i++) {
		CHILD_CHECK(transfer_receive(other_end, &heard) == 1);
		CHILD_CHECK(heard.head.nonce == 0);
		CHILD_CHECK(heard.head.batch == (is_ours ? 4 : 0));
	}
	if (!is_ours)
		CHILD_CHECK(kit.w.pipes.used == 0);
	for (uint32_t i = 0; i < CONNS; i++) {
		CHILD_CHECK(is_silent(gifts[i].client));
		if (is_ours)
			expect_relayed(i, "ours");
	}
	make_batch(5, 2);
	CHILD_CHECK(give() == (is_ours ? 4 : 0));
}

START_TEST(one_store_makes_them_ours)
{
	plans_compile("");
	for (enum got got = GOT_PLACED; got <= GOT_OWNED; got++)
		child_passes(death, &got);
}
END_TEST

/* What the giver had heard when the first byte moved. */
static uint32_t heard_batch;

static void
on_first_byte(int number)
{
	struct iovec iov = {
	    .iov_base = &heard.head, .iov_len = sizeof(heard.head)};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	(void)signal(number, SIG_IGN);
	if (recvmsg(other_end, &header, MSG_DONTWAIT) > 0)
		heard_batch = heard.head.batch;
}

static void
told_first(void *arg)
{
	const bool *is_successor = arg;

	begin();
	CHILD_CHECK(send(gifts[0].client, "x", 1, 0) == 1);
	CHILD_CHECK(signal(SIGIO, on_first_byte) != SIG_ERR);
	CHILD_CHECK(fcntl(gifts[0].backend, F_SETOWN, getpid()) == 0);
	CHILD_CHECK(fcntl(gifts[0].backend, F_SETFL, O_NONBLOCK | O_ASYNC) ==
	    0);
	make_batch(4, 1);
	add_all();
	if (*is_successor) {
		write_slots(GOT_COMMITTED);
		kit_die();
	} else {
		CHILD_CHECK(transfer_send(other_end, &batch) == 0);
		kit_turn();
	}
	CHILD_CHECK(heard_batch == 4);
	CHILD_CHECK(transfer_receive(other_end, &heard) == -EAGAIN);
}

START_TEST(the_giver_is_told_before_a_byte_moves)
{
	bool is_successor = false;

	plans_compile("");
	child_passes(told_first, &is_successor);
	is_successor = true;
	child_passes(told_first, &is_successor);
}
END_TEST

UNIT_MAIN("take deaths", one_store_makes_them_ours,
    the_giver_is_told_before_a_byte_moves)
