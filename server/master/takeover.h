/*
 * takeover - a master that starts, and bodies whose master has died.
 *
 * The bodies are found by their doors (doors.h).  Each tells what it has: its
 * memory, the board, the plan in force, its listening sockets.  Until the
 * master serves nothing of that is changed: if it can't start it goes, and
 * they are alone again, as they were.
 *
 * Runs in: master, at its start.  Blocks: for as long as a body is alive and
 * doesn't answer, at most as long as takeover_collect() is told.
 *
 * Invariants
 *  T1  What a worker sends is believed only as far as the kernel says the
 *      same: memory must be of our user and sealed, board and plan of this
 *      build; a socket is what it is bound to.  What it says of its program is
 *      believed: another one has the start refused, and nothing else.
 *  T2  However much a worker sends, the others are heard, and time runs out.
 */
#ifndef SRVD_MASTER_TAKEOVER_H
#define SRVD_MASTER_TAKEOVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "server/master/doors.h"
#include "server/master/found.h"
#include "server/state/board.h"
#include "server/state/body.h"

/* Longer than any watchdog time in use: a worker that hangs is replaced. */
#define TAKEOVER_MS 30000

enum taken_state {
	TAKEN_NONE,    /* there is no such body */
	TAKEN_SOUGHT,  /* to be connected to */
	TAKEN_TELLING, /* it says what it has */
	TAKEN_DONE,
};

/* A body, as its worker tells of it; descriptors are -1 without one. */
struct takeover_body {
	enum taken_state state;
	uint32_t row;
	uint32_t seat;
	uint64_t generation; /* that it follows */
	uint64_t retry_ms;
	uint32_t sockets; /* that it has sent */
	int channel_fd;
	int body_fd;
	int plan_fd;
	pid_t worker_pid;
	int worker_pidfd;
	pid_t holder_pid; /* 0: it is dead */
	int holder_pidfd;
	bool is_strange; /* what it said last is nonsense */
};

struct takeover {
	const struct doors *doors;
	struct takeover_body taken[BOARD_ROWS];
	uint32_t count;           /* bodies that there are */
	uint64_t last_generation; /* that any of them was ever sent */
	int board_fd;             /* -1: none seen */
	uint64_t board_inode;
	int plan_fd;             /* owned by the body that sent it */
	const struct plan *plan; /* in force, or NULL: no body has one */
	struct found found;
	char *why;
	size_t why_size;
};

struct master;

/*
 * Look for bodies.  Returns NULL and 0 in *rc if there are none (the doors of
 * those that have ended are removed); or NULL and -errno, with a sentence in
 * why.
 */
struct takeover *takeover_collect(struct master *m, uint64_t limit_ms,
    char *why, size_t why_size, int *rc);

/* The board, writable; -errno. */
must_check int takeover_board(const struct takeover *t);

/* All that was not moved elsewhere is closed; may be NULL. */
void takeover_release(struct takeover *t);

#endif
