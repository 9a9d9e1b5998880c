/*
 * test_body - the memory that outlives a worker: sealed, checked, as laid out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/state/board.h"
#include "server/state/body.h"
#include "server/state/shm.h"
#include "tests/unit/child.h"

_Static_assert(offsetof(struct body_head, magic) == 0, "for all to see");
_Static_assert(offsetof(struct body_head, version) == 8, "and which one");
_Static_assert(sizeof(struct slot) == 256, "four cache lines");
_Static_assert(_Alignof(struct slot) == 64, "that begin at one");
_Static_assert(sizeof(struct flow) == 24, "two of them are in a slot");
_Static_assert(sizeof(struct body_pipe) == 16, "pipe2() writes the first 8");
_Static_assert(offsetof(struct body_pipe, fd) == 0, "pipe2() writes here");
_Static_assert(BODY_FD_FREE == 8, "0 to 7 are fixed");

static const struct plan plan = {
    .watchdog_ms = 4711,
    .uid = 12,
    .gid = 34,
    .groups_count = 2,
    .groups = {56, 78},
};

static struct body body;

static int
make(uint32_t slots_max, int drop)
{
	const struct body_spec spec = {
	    .row = 131,
	    .seat = 3,
	    .slots_max = slots_max,
	    .pipes_max = 10,
	    .first_id = 4,
	    .plan = &plan,
	    .drop = drop,
	};
	int fd = body_create(&spec);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(body_map(fd, 1, &body), 0);
	return fd;
}

START_TEST(a_new_body_is_empty)
{
	int fd = make(100, 1);
	const struct body_head *head = body.head;

	ck_assert_uint_eq(head->row, 131);
	ck_assert_uint_eq(head->seat, 3);
	ck_assert_uint_eq(head->slots_max, 100);
	ck_assert_uint_eq(head->slots_used, 0);
	ck_assert_uint_eq(head->pipes_max, 10);
	ck_assert_uint_eq(head->next_id, 4);
	ck_assert_uint_eq(head->watchdog_ms, 4711);
	ck_assert_uint_eq(head->uid, 12);
	ck_assert_uint_eq(head->gid, 34);
	ck_assert_uint_eq(head->groups_count, 2);
	ck_assert_uint_eq(head->groups[1], 78);
	ck_assert_uint_eq(atomic_load(&head->journal), 0);
	for (uint32_t i = 0; i < 100; i++) {
		ck_assert_uint_eq(body.slots[i].state, CONN_FREE);
		ck_assert_uint_eq((uintptr_t)&body.slots[i] % 64, 0);
	}
	ck_assert_ptr_eq((char *)body.head + body.size,
	    (char *)body.slots + shm_round(100 * sizeof(struct slot)));
	body_unmap(&body);
	ck_assert_ptr_null(body.head);
	body_unmap(&body);
	(void)close(fd);
}
END_TEST

/* Slots are never shared with what stands in the head, as read-only code
 * elsewhere relies on; and a gateway that drops nothing says so. */
START_TEST(slots_begin_at_a_page)
{
	int fd = make(1, 0);

	ck_assert_uint_eq(body.head->uid, PLAN_NO_ID);
	ck_assert_uint_eq(body.head->gid, PLAN_NO_ID);
	ck_assert_uint_eq(body.head->groups_count, 0);
	ck_assert_uint_eq((uintptr_t)body.slots,
	    (uintptr_t)body.head + shm_round(sizeof(struct body_head)));
	ck_assert_uint_eq(shm_round(1), shm_round(shm_round(1)));
	ck_assert_uint_eq(shm_round(shm_round(1) + 1), 2 * shm_round(1));
	ck_assert_uint_eq(shm_round(0), 0);
	body_unmap(&body);
	(void)close(fd);
}
END_TEST

/* A shorter one would be a SIGBUS for who maps it. */
START_TEST(nobody_changes_its_size)
{
	int fd = make(100, 0);
	off_t size = (off_t)body.size;

	ck_assert_int_lt(ftruncate(fd, size - 1), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(ftruncate(fd, 0), 0);
	ck_assert_int_lt(ftruncate(fd, size + 4096), 0);
	ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	body_unmap(&body);
	(void)close(fd);
}
END_TEST

struct damage {
	size_t offset;
	size_t size;
	uint64_t value;
	const char *says; /* a part of it */
};

#define FIELD(name) \
	offsetof(struct body_head, name), sizeof(((struct body_head *)0)->name)

static const struct damage damages[] = {
    {FIELD(magic), 0, "magic"},
    {FIELD(magic), BODY_MAGIC + 1, "magic"},
    {FIELD(version), BODY_VERSION + 1, "version"},
    {FIELD(size), 0, "size"},
    {FIELD(size), UINT64_MAX, "size"},
    {FIELD(slots_max), 0, "size"},
    {FIELD(slots_max), 1000, "size"},
    {FIELD(slots_max), UINT32_MAX, "size"},
    {FIELD(slots_used), 101, "slots used"},
    {FIELD(slots_used), UINT32_MAX, "slots used"},
    {FIELD(pipes_max), BODY_PIPES_MAX + 1, "pipes"},
    {FIELD(pipes_max), UINT32_MAX, "pipes"},
    {FIELD(groups_count), PLAN_GROUPS_MAX + 1, "groups"},
    {FIELD(row), BOARD_ROWS, "row"},
    {FIELD(seat), PLAN_WORKERS_MAX, "seat"},
    {FIELD(row), UINT32_MAX, "row"},
};

START_TEST(each_field_of_the_head_is_checked)
{
	static struct body_head good;
	struct body other;
	int fd = make(100, 0);

	ck_assert_ptr_null(body_head_fault(body.head, body.size));
	ck_assert_ptr_nonnull(body_head_fault(body.head, body.size - 1));
	memcpy(&good, body.head, sizeof(good));
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		const struct damage *damage = &damages[i];
		const char *says;

		memcpy((char *)body.head + damage->offset, &damage->value,
		    damage->size);
		says = body_head_fault(body.head, body.size);
		ck_assert_ptr_nonnull(says);
		ck_assert_ptr_nonnull(strstr(says, damage->says));
		ck_assert_int_eq(body_map(fd, 0, &other), -EINVAL);
		memcpy(body.head, &good, sizeof(good));
	}
	body.head->slots_used = 100;
	body.head->pipes_max = BODY_PIPES_MAX;
	body.head->groups_count = PLAN_GROUPS_MAX;
	body.head->row = BOARD_ROWS - 1;
	ck_assert_ptr_null(body_head_fault(body.head, body.size));
	body_unmap(&body);
	(void)close(fd);
}
END_TEST

START_TEST(what_is_no_body_is_not_mapped)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(body_map(-1, 0, &body), -EBADF);
	ck_assert_int_eq(body_map(fd, 0, &body), -EINVAL);
	(void)close(fd);
	fd = shm_create("no-body", sizeof(struct body_head) - 1);
	ck_assert_int_eq(body_map(fd, 0, &body), -EINVAL);
	(void)close(fd);
	fd = shm_create("no-body", sizeof(struct body_head) + 100000);
	ck_assert_int_eq(body_map(fd, 0, &body), -EINVAL);
	(void)close(fd);
}
END_TEST

static void
write_to_it(void *arg)
{
	(void)arg;
	(void)signal(SIGSEGV, SIG_DFL);
	(void)signal(SIGABRT, SIG_DFL);
	body.head->next_id = 1;
}

START_TEST(a_reader_maps_what_it_cannot_write)
{
	int fd = make(10, 0);
	int status;

	body_unmap(&body);
	ck_assert_int_eq(body_map(fd, 0, &body), 0);
	ck_assert_uint_eq(body.head->next_id, 4);
	status = child_run(write_to_it, NULL);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	body_unmap(&body);
	(void)close(fd);
}
END_TEST

START_TEST(a_star_has_two_sockets)
{
	struct plan_listener listener = {
	    .state = ROW_ACTIVE, .addr.kind = ADDR_ANY};

	ck_assert_uint_eq(body_listener_sockets(&listener), 2);
	listener.addr.kind = ADDR_TCP6;
	ck_assert_uint_eq(body_listener_sockets(&listener), 1);
	listener.state = ROW_EMPTY;
	ck_assert_uint_eq(body_listener_sockets(&listener), 0);
	listener.state = ROW_ACTIVE;
	listener.addr.kind = ADDR_UNIX;
	ck_assert_uint_eq(body_listener_sockets(&listener), 1);
}
END_TEST

START_TEST(a_journal_is_one_word)
{
	uint64_t none = 0;
	uint64_t word = JOURNAL(JOURNAL_CONN, UINT32_MAX);

	ck_assert_int_eq(JOURNAL_ACT_OF(word), JOURNAL_CONN);
	ck_assert_uint_eq(JOURNAL_SLOT_OF(word), UINT32_MAX);
	ck_assert_int_eq(JOURNAL_ACT_OF(none), JOURNAL_NONE);
	ck_assert_uint_eq(JOURNAL(JOURNAL_NONE, 0), 0);
}
END_TEST

UNIT_MAIN("body", a_new_body_is_empty, slots_begin_at_a_page,
    nobody_changes_its_size, each_field_of_the_head_is_checked,
    what_is_no_body_is_not_mapped, a_reader_maps_what_it_cannot_write,
    a_star_has_two_sockets, a_journal_is_one_word)
