/*
 * test_orders - the master's messages, and what the worker says to them: a
 * reload as it goes over the channel.
 */
#include "server/state/reason.h"
#include "server/worker/orders.h"
#include "tests/unit/plan_kit.h"

static int master_end; /* of the channel */
static int master_old;
static int master_new;

static struct channel_message heard;
static struct channel_extra heard_extra;

/* The first message that is no log line; CHANNEL_TYPES: there is none. */
static enum channel_type
hear(void)
{
	do {
		int rc = channel_receive(master_end, &heard, &heard_extra);

		if (rc != 1)
			return CHANNEL_TYPES;
		CHILD_CHECK(heard_extra.fds_count == 0);
	} while (heard.type == CHANNEL_LOG);
	return (enum channel_type)heard.type;
}

static bool
hears(enum channel_type type, uint64_t generation)
{
	return hear() == type && heard.generation == generation;
}

static void
order(enum channel_type type, uint64_t generation, int fd)
{
	sent.type = type;
	sent.generation = generation;
	CHILD_CHECK(channel_send(master_end, &sent, &fd, fd >= 0) == 0);
	if (fd >= 0)
		(void)close(fd);
	channel_init(&sent, CHANNEL_STOP);
}

static void
order_plan(uint64_t generation, enum kit_content content)
{
	order(CHANNEL_PLAN, generation, plans_make(generation, content));
}

static void
order_socket(uint64_t generation, uint32_t listener, int fd)
{
	sent.first = 2 * listener;
	sent.count = 1;
	order(CHANNEL_LISTENERS, generation, fd);
}

/* A worker with a channel that follows plan 1. */
static void
begin(void)
{
	int pair[2];

	(void)plans_begin(&master_old);
	CHILD_CHECK(channel_open(pair) == 0);
	CHILD_CHECK(dup2(pair[1], BODY_FD_CHANNEL) == BODY_FD_CHANNEL);
	(void)close(pair[1]);
	master_end = keep(pair[0]);
	orders_open(&kit.w);
	CHILD_CHECK(hears(CHANNEL_HELLO, 1));
	CHILD_CHECK(heard_extra.pid == getpid());
	channel_init(&sent, CHANNEL_STOP);
}

static void
round_of_the_loop(void)
{
	orders_on_event(&kit.w);
	orders_check(&kit.w);
	orders_follow(&kit.w);
}

static void
reload(void *arg)
{
	(void)arg;
	begin();
	order_plan(2, PLAN_NEW);
	round_of_the_loop();
	CHILD_CHECK(hear() == CHANNEL_TYPES);
	order_socket(2, KIT_LISTENER_NEW, make_listener(&master_new));
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_READY, 2));
	CHILD_CHECK(hear() == CHANNEL_TYPES);
	/* All of it again: the same answer, and nothing left open. */
	order_plan(2, PLAN_NEW);
	order_socket(2, KIT_LISTENER_NEW, dup(master_new));
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_READY, 2) && hears(CHANNEL_READY, 2));
	commit(2);
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_FOLLOWS, 2));
	round_of_the_loop();
	CHILD_CHECK(hear() == CHANNEL_TYPES);
}

START_TEST(a_reload_is_answered)
{
	plans_compile("");
	child_passes(reload, NULL);
}
END_TEST

/* Messages of the next reload lie in the channel when the commit of this one
 * has not been seen: it is followed first. */
static void
in_a_row(void *arg)
{
	(void)arg;
	begin();
	order_plan(2, PLAN_BOTH);
	order_socket(2, KIT_LISTENER_NEW, make_listener(&master_new));
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_READY, 2));
	commit(2);
	order_plan(3, PLAN_OLD);
	orders_on_event(&kit.w);
	CHILD_CHECK(hears(CHANNEL_FOLLOWS, 2));
	CHILD_CHECK(hears(CHANNEL_READY, 3));
	order(CHANNEL_ABORT, 3, -1);
	order_plan(4, PLAN_OLD);
	orders_on_event(&kit.w);
	CHILD_CHECK(hears(CHANNEL_READY, 4));
}

START_TEST(reloads_follow_each_other)
{
	plans_compile("");
	child_passes(in_a_row, NULL);
}
END_TEST

static void
refusal(void *arg)
{
	struct slot *slot;

	(void)arg;
	begin();
	slot = put_slot(7, CONN_DIALING);
	slot->service = KIT_NEW; /* as good as removed in plan 1 */
	order_plan(2, PLAN_OLD);
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_REFUSED, 2));
	CHILD_CHECK(heard.text_length > 0);
	CHILD_CHECK(memmem(heard.text, heard.text_length, "try again", 9) !=
	    NULL);
	order(CHANNEL_ABORT, 2, -1);
	slot->state = CONN_FREE;
	order_plan(3, PLAN_OLD);
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_READY, 3));
}

START_TEST(a_refusal_says_why)
{
	plans_compile("");
	child_passes(refusal, NULL);
}
END_TEST

/* The plan was the last that the predecessor took from the channel, and died
 * with: the sockets behind it are no reason to refuse. */
static void
plan_lost(void *arg)
{
	(void)arg;
	begin();
	order_socket(2, KIT_LISTENER_NEW, make_listener(&master_new));
	round_of_the_loop();
	CHILD_CHECK(hear() == CHANNEL_TYPES);
	order_plan(2, PLAN_NEW);
	order_socket(2, KIT_LISTENER_NEW, dup(master_new));
	round_of_the_loop();
	CHILD_CHECK(hears(CHANNEL_READY, 2));
}

START_TEST(sockets_without_their_plan_are_waited_for)
{
	plans_compile("");
	child_passes(plan_lost, NULL);
}
END_TEST

/* The channel was full when it was ready, and when it followed: a hello says
 * where it is, and makes the master ask again. */
static void
full_channel(void *arg)
{
	int filled = 0;

	(void)arg;
	begin();
	channel_init(&heard, CHANNEL_LOG);
	while (channel_send(BODY_FD_CHANNEL, &heard, NULL, 0) == 0)
		filled++;
	CHILD_CHECK(filled > 0);
	order_plan(2, PLAN_OLD);
	orders_on_event(&kit.w);
	commit(2);
	orders_follow(&kit.w);
	CHILD_CHECK(kit.w.owes_hello);
	orders_check(&kit.w);
	CHILD_CHECK(kit.w.owes_hello);
	CHILD_CHECK(hear() == CHANNEL_TYPES);
	orders_check(&kit.w);
	CHILD_CHECK(!kit.w.owes_hello);
	CHILD_CHECK(hears(CHANNEL_HELLO, 2));
	CHILD_CHECK(hear() == CHANNEL_TYPES);
}

START_TEST(a_full_channel_loses_no_answer)
{
	plans_compile("");
	child_passes(full_channel, NULL);
}
END_TEST

static void
close_order(void *arg)
{
	struct relayed r[2];

	(void)arg;
	begin();
	for (uint32_t i = 0; i < 2; i++) {
		r[i] = put_relayed(i, CONN_RELAYING);
		kit.w.live++;
	}
	sent.request = 11;
	sent.filter.criteria = FILTER_ID;
	sent.filter.id = r[1].slot->id;
	order(CHANNEL_CLOSE, 0, -1);
	round_of_the_loop();
	CHILD_CHECK(hear() == CHANNEL_CLOSED);
	CHILD_CHECK(heard.request == 11 && heard.count == 1);
	CHILD_CHECK(r[0].slot->state == CONN_RELAYING);
	CHILD_CHECK(r[1].slot->state == CONN_FREE);
	CHILD_CHECK(r[1].slot->reason == REASON_CLOSED);
	/* Told again, since the answer was lost: the same. */
	sent.request = 11;
	sent.filter.criteria = FILTER_ID;
	sent.filter.id = r[1].slot->id;
	order(CHANNEL_CLOSE, 0, -1);
	round_of_the_loop();
	CHILD_CHECK(hear() == CHANNEL_CLOSED);
	CHILD_CHECK(heard.request == 11 && heard.count == 1);
}

START_TEST(a_close_is_answered_with_a_count)
{
	plans_compile("");
	child_passes(close_order, NULL);
}
END_TEST

static void
level_order(void *arg)
{
	(void)arg;
	begin();
	sent.first = CHANNEL_ALL;
	sent.level = LEVEL_WARN;
	order(CHANNEL_LEVEL, 0, -1);
	sent.first = KIT_OLD;
	sent.level = LEVEL_DEBUG;
	order(CHANNEL_LEVEL, 0, -1);
	round_of_the_loop();
	CHILD_CHECK(kit.w.log_level == LEVEL_WARN);
	CHILD_CHECK(kit.w.levels[KIT_OLD] == LEVEL_DEBUG + 1);
	CHILD_CHECK(log_wants(LEVEL_DEBUG));
}

START_TEST(levels_are_taken)
{
	plans_compile("");
	child_passes(level_order, NULL);
}
END_TEST

UNIT_MAIN("orders", a_reload_is_answered, reloads_follow_each_other,
    a_refusal_says_why, sockets_without_their_plan_are_waited_for,
    a_full_channel_loses_no_answer, a_close_is_answered_with_a_count,
    levels_are_taken)
