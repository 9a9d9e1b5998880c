/*
 * test_board - what all processes see: who may write what.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/state/board.h"
#include "server/state/shm.h"
#include "tests/unit/unit.h"

static int fd = -1;
static int read_fd = -1;

static void
make(void)
{
	ck_assert_int_eq(board_create(&fd, &read_fd), 0);
}

static void
drop(void)
{
	(void)close(fd);
	(void)close(read_fd);
}

START_TEST(rows_stand_on_pages_of_their_own)
{
	size_t page = shm_round(1);

	ck_assert_uint_ge(board_row_offset(0), sizeof(struct board_head));
	for (uint32_t i = 0; i < BOARD_ROWS; i++) {
		ck_assert_uint_eq(board_row_offset(i) % page, 0);
		ck_assert_uint_ge(board_row_offset(i + 1),
		    board_row_offset(i) + sizeof(struct board_row));
	}
	ck_assert_uint_eq(board_size(), board_row_offset(BOARD_ROWS));
}
END_TEST

START_TEST(what_one_writes_all_see)
{
	struct board board;
	struct board_head *head;
	struct board_row *row;
	uint32_t last = BOARD_ROWS - 1;

	make();
	ck_assert_int_eq(board_map(read_fd, &board), 0);
	head = board_map_head(fd);
	row = board_map_row(fd, last);
	ck_assert_ptr_nonnull(head);
	ck_assert_ptr_nonnull(row);
	atomic_store(&head->generation, 7);
	atomic_store(&row->backends[PLAN_BACKENDS_MAX - 1].failed, 9);
	ck_assert_uint_eq(atomic_load(&board.head->generation), 7);
	ck_assert_uint_eq(atomic_load(&board_row(&board, last)
					   ->backends[PLAN_BACKENDS_MAX - 1]
					   .failed),
	    9);
	ck_assert_uint_eq(atomic_load(&board_row(&board, 0)->connections), 0);
	drop();
}
END_TEST

START_TEST(a_readers_descriptor_cannot_write)
{
	const uid_t uid = geteuid();
	char path[64];
	void *map;

	make();
	ck_assert_ptr_null(shm_map(read_fd, 0, board_size(),
	    PROT_READ | PROT_WRITE));
	ck_assert_int_eq(errno, EACCES);
	ck_assert_ptr_null(board_map_head(read_fd));
	ck_assert_ptr_null(board_map_row(read_fd, 0));
	map = shm_map(read_fd, 0, board_size(), PROT_READ);
	ck_assert_ptr_nonnull(map);
	ck_assert_int_lt(mprotect(map, board_size(), PROT_READ | PROT_WRITE),
	    0);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_lt(pwrite(read_fd, "x", 1, 0), 0);
	ck_assert_int_lt(ftruncate(read_fd, 0), 0);
	/* By way of /proc only its owner could; nobody else has a mode bit. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", read_fd);
	if (uid == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		ck_assert_int_eq(fchmod(fd, 0), 0);
	ck_assert_int_lt(open(path, O_RDWR | O_CLOEXEC), 0);
	/* The leak checker can't trace us otherwise. */
	ck_assert_int_eq(seteuid(uid), 0);
	drop();
}
END_TEST

START_TEST(nobody_changes_its_size)
{
	make();
	ck_assert_int_lt(ftruncate(fd, 0), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(ftruncate(fd, (off_t)board_size() + 4096), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(read_fd, F_GETFD) & FD_CLOEXEC, 0);
	drop();
}
END_TEST

START_TEST(failures_are_told)
{
	struct board board;

	ck_assert_int_lt(shm_create("huge", (size_t)1 << 63), 0);
	ck_assert_int_lt(shm_reopen(-1), 0);
	ck_assert_int_eq(board_map(-1, &board), -EBADF);
}
END_TEST

UNIT_MAIN("board", rows_stand_on_pages_of_their_own, what_one_writes_all_see,
    a_readers_descriptor_cannot_write, nobody_changes_its_size,
    failures_are_told)
