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
	return board_row_offset(PLAN_WORKERS_MAX);
}

int
board_create(int *fd, int *read_fd)
{
	int rc;

	*fd = shm_create("srvd-board", board_size());
	if (*fd < 0)
		return *fd;
	*read_fd = shm_reopen(*fd);
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
	char *base = shm_map(read_fd, 0, board_size(), PROT_READ);

	if (base == NULL)
		return -errno;
	board->head = (const struct board_head *)base;
	board->rows = base + board_row_offset(0);
	return 0;
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

uint64_t
board_sum(const struct board *board, uint32_t rows, size_t offset,
    uint32_t limit)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < rows; i++) {
		const char *row = (const char *)board_row(board, i);
		uint32_t live =
		    atomic_load_explicit((const _Atomic uint32_t *)(row +
					     offset),
			memory_order_relaxed);

		sum += live <= limit ? live : 0;
	}
	return sum;
}
