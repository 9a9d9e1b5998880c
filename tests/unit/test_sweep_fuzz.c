/*
 * test_sweep_fuzz - slots and tables full of anything: a sweep must give up
 * what does not hold together, and come to its end.
 */
#include <stddef.h>

#include "server/worker/sweep.h"
#include "tests/unit/body_kit.h"

#define ROUNDS 80

static struct kit kit;
static uint64_t seed;

static void
begin(void)
{
	kit_compile(&kit,
	    "user = nobody\nmax_connections = 16\n"
	    "service s { listen = 127.0.0.1:2 "
	    "backend a { address = builtin:echo } "
	    "backend b { address = 127.0.0.1:1 } "
	    "backend c { address = builtin:discard } }\n");
}

static uint32_t
draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % below;
}

/* A slot that a sweep would go on with, with sockets of its own. */
static void
sound_slot(struct slot *slot, uint32_t i)
{
	int client[2];
	int backend[2];

	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			client) == 0);
	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			backend) == 0);
	memset(slot, 0, sizeof(*slot));
	slot->id = 1 + (uint64_t)i * PLAN_WORKERS_MAX;
	slot->state = CONN_RELAYING;
	slot->client.kind = draw(2) ? ADDR_UNIX : ADDR_TCP4;
	slot->server.kind = draw(2) ? ADDR_UNIX : ADDR_TCP4;
	slot->fd[SIDE_CLIENT] = client[0];
	slot->fd[SIDE_BACKEND] = backend[0];
	slot->has_backend = 1;
	slot->tried_count = 1;
}

/* Fields of a slot, with what is wrong in them. */
struct damage {
	size_t offset;
	size_t size;
	uint64_t value;
};

#define FIELD(name) \
	offsetof(struct slot, name), sizeof(((struct slot *)0)->name)

static const struct damage damages[] = {
    {FIELD(id), 0},
    {FIELD(state), CONN_STATES},
    {FIELD(state), 255},
    {FIELD(state), CONN_ACCEPTING},
    {FIELD(dead_side), SIDES},
    {FIELD(tried_count), SLOT_TRIED_MAX + 1},
    {FIELD(fd[SIDE_CLIENT]), 0},
    {FIELD(fd[SIDE_CLIENT]), UINT32_MAX},
    {FIELD(fd[SIDE_CLIENT]), BODY_FD_EPOLL},
    {FIELD(fd[SIDE_BACKEND]), 0},
    {FIELD(fd[SIDE_BACKEND]), INT32_MAX},
    {FIELD(fd[SIDE_BACKEND]), KIT_FD_HIGH},
    {FIELD(service), 1},
    {FIELD(service), UINT32_MAX},
    {FIELD(listener), 1},
    {FIELD(listener), UINT32_MAX},
    {FIELD(backend), 3},
    {FIELD(backend), UINT32_MAX},
    {FIELD(has_backend), 0},
    {FIELD(builtin), ADDR_ECHO},
    {FIELD(builtin), ADDR_TCP4},
    {FIELD(builtin), 255},
    {FIELD(flows[0].state), FLOW_STATES},
    {FIELD(flows[1].state), 255},
    {FIELD(flows[0].pipe), 1},
    {FIELD(flows[1].pipe), KIT_PIPES},
    {FIELD(flows[0].pipe), KIT_PIPES + 1},
    {FIELD(flows[1].pipe), UINT16_MAX},
    {FIELD(flows[0].pulled), 1},
    {FIELD(flows[1].moved), UINT64_MAX},
};

static void
damage_slot(void *arg)
{
	const struct damage *damage = arg;
	struct slot *slots;

	kit_table(&kit);
	slots = kit.w.body.slots;
	for (uint32_t i = 0; i < 3; i++)
		sound_slot(&slots[i], i);
	kit.w.head->slots_used = 3;
	memcpy((char *)&slots[1] + damage->offset, &damage->value,
	    damage->size);
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slots[0].state == CONN_RELAYING);
	CHILD_CHECK(slots[1].state == CONN_FREE);
	CHILD_CHECK(slots[2].state == CONN_RELAYING);
	CHILD_CHECK(kit.w.live == 2);
	CHILD_CHECK(atomic_load(&kit.w.row->connections) == 2);
	CHILD_CHECK(kit_lines == 1);
	CHILD_CHECK(strstr(kit_line, "damaged") != NULL);
}

START_TEST(a_damaged_slot_costs_its_connection)
{
	begin();
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		int status = child_run(damage_slot, (void *)&damages[i]);

		ck_assert_msg(status == 0, "damage %zu: wait status %#x", i,
		    (unsigned)status);
	}
}
END_TEST

/* Two slots with one descriptor: the first keeps it. */
static void
share_descriptor(void *arg)
{
	struct slot *slots;

	(void)arg;
	kit_table(&kit);
	slots = kit.w.body.slots;
	sound_slot(&slots[0], 0);
	sound_slot(&slots[1], 1);
	slots[1].fd[SIDE_CLIENT] = slots[0].fd[SIDE_BACKEND];
	kit.w.head->slots_used = 2;
	CHILD_CHECK(sweep(&kit.w) == 0);
	CHILD_CHECK(slots[0].state == CONN_RELAYING);
	CHILD_CHECK(slots[1].state == CONN_FREE);
	CHILD_CHECK(kit_is_open(slots[0].fd[SIDE_BACKEND]));
}

START_TEST(a_descriptor_belongs_to_one)
{
	begin();
	child_passes(share_descriptor, NULL);
}
END_TEST

static void
scribble(void *base, size_t size, uint32_t times)
{
	static const uint64_t odd[] = {0, 1, 2, 5, 63, 64, 255, UINT16_MAX,
	    INT32_MAX, UINT32_MAX, 1ULL << 40, UINT64_MAX};

	for (uint32_t i = 0; i < times; i++) {
		size_t width = (size_t)1 << draw(4);
		uint64_t value =
		    draw(2) ? odd[draw(ARRAY_LEN(odd))] : draw(UINT32_MAX);

		if (width <= size)
			memcpy((char *)base +
				draw((uint32_t)(size - width + 1)),
			    &value, width);
	}
}

/* What the head says of its own size the worker checks before; the rest of
 * it may be anything. */
static void
fuzz_once(void)
{
	struct body_head *head = kit.w.head;
	size_t tables = offsetof(struct body_head, next_id);

	head->slots_used = 1 + draw(KIT_SLOTS);
	for (uint32_t i = 0; i < head->slots_used; i++) {
		if (draw(4) != 0)
			sound_slot(&kit.w.body.slots[i], i);
		kit.w.body.slots[i].state = (uint8_t)draw(CONN_STATES + 1);
		scribble(&kit.w.body.slots[i], sizeof(struct slot), draw(6));
	}
	for (uint32_t i = 0; i < KIT_PIPES; i++) {
		(void)!pipe2(head->pipes[i].fd, O_NONBLOCK);
		(void)!write(head->pipes[i].fd[1], "x", draw(2));
		head->pipes[i].bytes = 65536;
		head->pipes[i].state = (uint8_t)draw(4);
	}
	scribble(head->pipes, sizeof(head->pipes[0]) * KIT_PIPES, draw(6));
	scribble(&head->redo, sizeof(head->redo), draw(3));
	scribble(&head->death, sizeof(head->death), draw(3));
	scribble(head->listener_fd, sizeof(head->listener_fd), draw(20));
	if (draw(8) == 0)
		scribble((char *)head + tables,
		    offsetof(struct body_head, listener_fd) - tables, 10);
	if (draw(2) == 0)
		atomic_store(&head->journal,
		    JOURNAL(draw(6), draw(KIT_SLOTS + 2)));
	atomic_store(&head->deaths, draw(2));
	head->slots_used = 1 + draw(KIT_SLOTS);
}

static void
fuzz(void *arg)
{
	seed = *(const uint64_t *)arg;
	(void)signal(SIGPIPE, SIG_IGN);
	kit_table(&kit);
	fuzz_once();
	CHILD_CHECK(sweep(&kit.w) == 0);
	/* And once more, over what the first has left. */
	kit_revive(&kit);
	atomic_store(&kit.w.head->journal, JOURNAL(draw(4), draw(KIT_SLOTS)));
	CHILD_CHECK(sweep(&kit.w) == 0);
}

START_TEST(anything_is_survived)
{
	begin();
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		uint64_t begin_with = i * 0x9e3779b97f4a7c15ULL;
		int status = child_run(fuzz, &begin_with);

		ck_assert_msg(status == 0, "round %llu: wait status %#x",
		    (unsigned long long)i, (unsigned)status);
	}
}
END_TEST

UNIT_MAIN("sweep_fuzz", a_damaged_slot_costs_its_connection,
    a_descriptor_belongs_to_one, anything_is_survived)
