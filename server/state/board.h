/*
 * board - what all processes of a gateway may see: one memfd.
 *
 * The head is written by the master alone; each body has one row, written by
 * its worker alone: a holder maps its own row writable and the rest from a
 * read-only descriptor, and keeps no other than that.
 *
 * Runs in: master, holder (maps), worker.
 *
 * Invariants
 *  B1  A reader takes nothing here for granted but that it is mapped: another
 *      process may write any bytes into its own row at any time.
 *  B2  generation is stored once a commit; workers follow it between events.
 */
#ifndef SRVD_STATE_BOARD_H
#define SRVD_STATE_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/plan.h"

#define BOARD_MAGIC   0x6472616f62767273ULL /* "srvboard" */
#define BOARD_VERSION 2
/* Two for each seat: a body and the one that takes its place live side by
 * side for a while. */
#define BOARD_ROWS 256
_Static_assert(BOARD_ROWS == 2 * PLAN_WORKERS_MAX, "two rows a seat");

/* Counters of rows never go back: these are what they stood at, summed over
 * all rows, when an index was given to the name that has it now. */
struct board_base {
	_Atomic uint64_t accepted;
	_Atomic uint64_t failed; /* of a service: refused */
};

struct board_head {
	uint64_t magic;
	uint32_t version;
	uint32_t rows;
	_Atomic uint64_t generation; /* of the plan in force, 0: none yet */
	_Atomic uint64_t transfer;   /* the number of the last hand-over */
	/* Bits, by row: there is a body; there was one ever. */
	_Atomic uint64_t live[BOARD_ROWS / 64];
	_Atomic uint64_t used[BOARD_ROWS / 64];
	/* Its access lines are taken by nobody: another version's. */
	_Atomic uint64_t unread[BOARD_ROWS / 64];
	/* Of row i's access ring: what the master has taken (body.h). */
	_Atomic uint64_t access_tail[BOARD_ROWS];
	/* Of row i's workers: deaths, ever; and how many of them its body has
	 * told of. */
	_Atomic uint64_t deaths[BOARD_ROWS];
	_Atomic uint32_t deaths_seen[BOARD_ROWS];
	struct board_base services[PLAN_SERVICES_MAX];
	struct board_base backends[PLAN_BACKENDS_MAX];
};

struct board_service {
	_Atomic uint32_t connections; /* live */
	uint32_t reserved;
	_Atomic uint64_t accepted;
	_Atomic uint64_t refused;
};

struct board_backend {
	_Atomic uint32_t connections; /* live */
	uint32_t reserved;
	_Atomic uint64_t accepted;
	_Atomic uint64_t failed;
};

struct board_row {
	_Atomic uint32_t connections; /* live */
	_Atomic uint32_t shortages;   /* bits, by enum shortage */
	_Atomic uint64_t next_id;     /* of the connection accepted next */
	_Atomic uint64_t accepts;     /* the generation whose sockets it has
				       * open; 0: none */
	_Atomic uint64_t bytes[2];    /* by enum direction */
	_Atomic uint64_t culprits;
	_Atomic uint64_t log_dropped;
	struct board_service services[PLAN_SERVICES_MAX];
	struct board_backend backends[PLAN_BACKENDS_MAX];
};

/* A process's view of the board. */
struct board {
	const struct board_head *head;
	char *rows; /* BOARD_ROWS of them, read-only */
};

size_t board_size(void);
/* Where row i begins, a multiple of the page's size. */
size_t board_row_offset(uint32_t i);

/* Make the board; *fd can write it, *read_fd can't.  Returns 0 or -errno. */
must_check int board_create(int *fd, int *read_fd);

/* Map all of it read-only, and check that it is one of this build (-EINVAL).
 * Returns 0 or -errno. */
must_check int board_map(int read_fd, struct board *board);
void board_unmap(struct board *board);
/* Map the head, or row i, writable; NULL with errno set. */
struct board_head *board_map_head(int fd);
struct board_row *board_map_row(int fd, uint32_t i);

const struct board_row *board_row(const struct board *board, uint32_t i);

/* Row i is to be another body's: nothing is live in it.  Returns 0 or -errno. */
must_check int board_clear_row(int fd, uint32_t i);

/* Row i has a body from now on; or none any more. */
void board_set_live(struct board_head *head, uint32_t i, bool is_live);

/* Nobody takes row i's access lines; or somebody does. */
void board_set_unread(struct board_head *head, uint32_t i, bool is_unread);

bool board_is_unread(const struct board_head *head, uint32_t i);
bool board_is_live(const struct board *board, uint32_t i);
bool board_was_used(const struct board *board, uint32_t i);

/* The row after i (-1: the first) that has a body, or ever had one; -1 at the
 * end. */
int board_next_live(const struct board *board, int i);
int board_next_used(const struct board *board, int i);

/*
 * The sum of a live count, at offset in a row, over all rows with a body.  A
 * row that claims more than limit lies, and counts nothing (B1).
 */
uint64_t board_sum(const struct board *board, size_t offset, uint32_t limit);
/* The sum of a counter, at offset in a row, over all rows ever used. */
uint64_t board_total(const struct board *board, size_t offset);

#endif
