/*
 * board - what all processes of a gateway may see: one memfd.
 *
 * The head is written by the master alone; each body has one row, written by
 * its worker alone: a holder maps its own row writable and the rest from a
 * read-only descriptor, and keeps no descriptor of either.
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
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/plan.h"

/* Counters of rows never go back: these are what they stood at, summed over
 * all rows, when an index was given to the name that has it now. */
struct board_base {
	_Atomic uint64_t accepted;
	_Atomic uint64_t failed; /* of a service: refused */
};

struct board_head {
	_Atomic uint64_t generation; /* of the plan in force, 0: none yet */
	/* Of body i's access ring: what the master has taken (body.h). */
	_Atomic uint64_t access_tail[PLAN_WORKERS_MAX];
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
	_Atomic uint64_t bytes[2];    /* by enum direction */
	_Atomic uint64_t culprits;
	_Atomic uint64_t log_dropped;
	struct board_service services[PLAN_SERVICES_MAX];
	struct board_backend backends[PLAN_BACKENDS_MAX];
};

/* A process's view of the board. */
struct board {
	const struct board_head *head;
	char *rows; /* PLAN_WORKERS_MAX of them, read-only */
};

size_t board_size(void);
/* Where row i begins, a multiple of the page's size. */
size_t board_row_offset(uint32_t i);

/* Make the board; *fd can write it, *read_fd can't.  Returns 0 or -errno. */
must_check int board_create(int *fd, int *read_fd);

/* Map all of it read-only.  Returns 0 or -errno. */
must_check int board_map(int read_fd, struct board *board);
/* Map the head, or row i, writable; NULL with errno set. */
struct board_head *board_map_head(int fd);
struct board_row *board_map_row(int fd, uint32_t i);

const struct board_row *board_row(const struct board *board, uint32_t i);

/*
 * The sum of a live count, at offset in a row, over the first rows rows.  A
 * row that claims more than limit lies, and counts nothing (B1).
 */
uint64_t board_sum(const struct board *board, uint32_t rows, size_t offset,
    uint32_t limit);

#endif
