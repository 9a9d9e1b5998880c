/*
 * board - what all processes of a gateway may see; see board.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/state/board.h"
#include "server/state/shm.h"

/* Rows are mapped one by one: each begins on a page, of any machine. */
#define PAGE_MAX    65536u
#define ROUND_UP(x) (((x) + PAGE_MAX - 1) / PAGE_MAX * PAGE_MAX)
#define ROW_SIZE    ROUND_UP(sizeof(struct board_row))
#define FIRST_ROW   ROUND_UP(sizeof(struct board_head))

size_t
board_row_offset(uint32_t i)
{
	return FIRST_ROW + i * ROW_SIZE;
}

size_t
board_size(void)
{
	return board_row_offset(BOARD_ROWS);
}

static int
init_head(int fd)
{
	struct board_head *head = board_map_head(fd);

	if (head == NULL)
		return -errno;
	head->magic = BOARD_MAGIC;
	head->version = BOARD_VERSION;
	head->rows = BOARD_ROWS;
	munmap(head, sizeof(*head));
	return 0;
}

int
board_create(int *fd, int *read_fd)
{
	int rc;

	*fd = shm_create("srvd-board", board_size());
	if (*fd < 0)
		return *fd;
	rc = init_head(*fd);
	*read_fd = rc < 0 ? rc : shm_reopen(*fd);
	if (*read_fd >= 0)
		return 0;
	rc = *read_fd;
	close(*fd);
	*fd = -1;
	return rc;
}

int
board_map(int read_fd, struct board *board)
{
	struct stat st;
	char *base;

	if (fstat(read_fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)board_size())
		return -EINVAL;
	base = shm_map(read_fd, 0, board_size(), PROT_READ);
	if (base == NULL)
		return -errno;
	board->head = (const struct board_head *)base;
	board->rows = base + board_row_offset(0);
	if (board->head->magic == BOARD_MAGIC &&
	    board->head->version == BOARD_VERSION &&
	    board->head->rows == BOARD_ROWS)
		return 0;
	munmap(base, board_size());
	return -EINVAL;
}

void
board_unmap(struct board *board)
{
	if (board->head != NULL)
		munmap((void *)board->head, board_size());
	board->head = NULL;
	board->rows = NULL;
}

struct board_head *
board_map_head(int fd)
{
	return shm_map(fd, 0, sizeof(struct board_head),
	    PROT_READ | PROT_WRITE);
}

struct board_row *
board_map_row(int fd, uint32_t i)
{
	return shm_map(fd, board_row_offset(i), sizeof(struct board_row),
	    PROT_READ | PROT_WRITE);
}

const struct board_row *
board_row(const struct board *board, uint32_t i)
{
	return (const struct board_row *)(board->rows + board_row_offset(i) -
	    board_row_offset(0));
}

int
board_clear_row(int fd, uint32_t i)
{
	struct board_row *row = board_map_row(fd, i);

	if (row == NULL)
		return -errno;
	atomic_store(&row->connections, 0);
	atomic_store(&row->shortages, 0);
	atomic_store(&row->accepts, 0);
	munmap(row, sizeof(*row));
	return 0;
}

static void
set_bit(_Atomic uint64_t *words, uint32_t i, bool is_set)
{
	uint64_t bit = UINT64_C(1) << i % 64;

	if (is_set)
		atomic_fetch_or(&words[i / 64], bit);
	else
		atomic_fetch_and(&words[i / 64], ~bit);
}

void
board_set_live(struct board_head *head, uint32_t i, bool is_live)
{
	if (is_live)
		set_bit(head->used, i, true);
	set_bit(head->live, i, is_live);
}

void
board_set_unread(struct board_head *head, uint32_t i, bool is_unread)
{
	set_bit(head->unread, i, is_unread);
}

static bool
has_bit(const _Atomic uint64_t *words, uint32_t i)
{
	return (atomic_load_explicit(&words[i / 64], memory_order_relaxed) >>
		       i % 64 &
		   1) != 0;
}

bool
board_is_live(const struct board *board, uint32_t i)
{
	return has_bit(board->head->live, i);
}

bool
board_is_unread(const struct board_head *head, uint32_t i)
{
	return has_bit(head->unread, i);
}

bool
board_was_used(const struct board *board, uint32_t i)
{
	return has_bit(board->head->used, i);
}

static int
next_bit(const _Atomic uint64_t *words, int i)
{
	uint32_t at = (uint32_t)(i + 1);
	uint64_t word;

	while (at < BOARD_ROWS) {
		word = atomic_load_explicit(&words[at / 64],
			   memory_order_relaxed) >>
		    at % 64;
		if (word != 0)
			return (int)at + __builtin_ctzll(word);
		at = (at / 64 + 1) * 64;
	}
	return -1;
}

int
board_next_live(const struct board *board, int i)
{
	return next_bit(board->head->live, i);
}

int
board_next_used(const struct board *board, int i)
{
	return next_bit(board->head->used, i);
}

static const char *
at_row(const struct board *board, int i, size_t offset)
{
	return (const char *)board_row(board, (uint32_t)i) + offset;
}

uint64_t
board_sum(const struct board *board, size_t offset, uint32_t limit)
{
	uint64_t sum = 0;

	for (int i = board_next_live(board, -1); i >= 0;
	     i = board_next_live(board, i)) {
		uint32_t live =
		    atomic_load_explicit((const _Atomic uint32_t *)at_row(board,
					     i, offset),
			memory_order_relaxed);

		sum += live <= limit ? live : 0;
	}
	return sum;
}

uint64_t
board_total(const struct board *board, size_t offset)
{
	uint64_t sum = 0;

	for (int i = board_next_used(board, -1); i >= 0;
	     i = board_next_used(board, i))
		sum +=
		    atomic_load_explicit((const _Atomic uint64_t *)at_row(board,
					     i, offset),
			memory_order_relaxed);
	return sum;
}
