/*
 * body - what of a worker outlives it, apart from its descriptors: a memfd.
 *
 * A body is a head, a table of listening sockets, a table of pipes, and the
 * slots of its connections.  The worker writes it; its holder writes down how
 * a worker ended; the master made it and only reads it.  Its layout belongs
 * to this build of the program: the master of another one takes from it no
 * more than it understands (body_map_foreign()).
 *
 * Runs in: master (makes, reads), holder (maps, writes deaths), worker.
 *
 * Invariants
 *  Y1  Every descriptor of the body's table is either one of the fixed ones
 *      or stands in exactly one place here, written at once after the call
 *      that made it.  What stands nowhere is a dead worker's last act, and
 *      the sweep's to adopt or close.
 *  Y2  The master trusts nothing here: it copies, then checks the copy.
 */
#ifndef SRVD_STATE_BODY_H
#define SRVD_STATE_BODY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/state/plan.h"
#include "server/state/slot.h"

#define BODY_MAGIC         0x79646f6264767273ULL /* "srvdbody" */
#define BODY_VERSION       6
#define BODY_PIPES_MAX     1024
#define BODY_LISTENERS_MAX (2 * PLAN_LISTENERS_MAX)
#define BODY_PLANS         2
/* Sockets of seats that have no worker any more, accepted on beside ours. */
#define BODY_EXTRAS_MAX  1024
#define BODY_SOCKETS_MAX (BODY_LISTENERS_MAX + BODY_EXTRAS_MAX)
/* Bits of a slot's number in an epoll key. */
#define BODY_SLOTS_MAX ((1u << 23) - 1)

/* The fixed numbers in a body's table. */
enum body_fd {
	BODY_FD_NULL = 0, /* /dev/null, for reading and writing */
	BODY_FD_OUT = 1,
	BODY_FD_LOG = 2, /* the master's standard error */
	BODY_FD_CHANNEL = 3,
	BODY_FD_EPOLL = 4,
	/* What a new master asks for after ours has died: */
	BODY_FD_BODY = 5,
	BODY_FD_BOARD_READ = 6,
	BODY_FD_DOOR = 7, /* the listening socket that it comes to */
	BODY_FD_FREE = 8, /* the first that is not fixed */
	/* Passed to the holder, which maps and closes it: */
	BODY_FD_BOARD_WRITE = 8,
	BODY_FD_HOLDER_END = 9,
};

/* What the worker is doing, and to which slot. */
enum journal_act {
	JOURNAL_NONE,
	JOURNAL_ACCEPT,
	JOURNAL_CONN
};

#define JOURNAL(act, slot)    ((uint64_t)(act) << 32 | (uint32_t)(slot))
#define JOURNAL_ACT_OF(word)  ((enum journal_act)((word) >> 32 & 0xff))
#define JOURNAL_SLOT_OF(word) ((uint32_t)(word))

enum pipe_state {
	PIPE_NONE,   /* no descriptors */
	PIPE_MAKING, /* being made or being closed */
	PIPE_READY,
};

struct body_pipe {
	int32_t fd[2];  /* pipe2() writes straight into it */
	uint32_t bytes; /* its capacity */
	uint8_t state;  /* enum pipe_state */
	uint8_t reserved[3];
};

struct body_plan {
	uint64_t generation; /* 0: none */
	int32_t fd;          /* the plan's memfd */
	uint32_t extras;     /* sockets of other seats that come with it */
};

/* Left by the fault handler of a worker about to die. */
struct body_fault {
	uint32_t signal; /* 0: there was none */
	int32_t code;    /* si_code */
	uint64_t address;
	uint64_t journal;
};

enum death_cause {
	DEATH_NONE,
	DEATH_KILLED,
	DEATH_SIGNAL,
	DEATH_WATCHDOG,
	DEATH_EXIT
};

/* It was no access to memory that the worker died of, or nobody knows where. */
#define BODY_NO_ADDRESS UINT64_MAX

/* Written by the holder after it has reaped a worker. */
struct body_death {
	uint32_t cause;         /* enum death_cause */
	int32_t status;         /* as waitid(2) tells: signal or exit status */
	uint64_t at_us;         /* since the epoch */
	uint64_t fault_address; /* or BODY_NO_ADDRESS */
	uint64_t culprit;       /* id of the connection closed for it, or 0; */
				/* written by the successor */
};

/* The counter that is being changed; count.c. */
struct body_redo {
	uint64_t id; /* of the connection; 0: none */
	uint32_t slot;
	uint32_t tally;  /* the bit that commits it */
	uint64_t offset; /* of the counter in the row, or BODY_REDO_… */
	uint64_t value;  /* what it becomes */
};
#define BODY_REDO_ACCESS UINT64_MAX       /* access_head */
#define BODY_REDO_CLOSED (UINT64_MAX - 1) /* closing.closed */

/* The CHANNEL_CLOSE that is being carried out or was the last. */
struct body_closing {
	uint64_t request;        /* 0: there was none */
	uint64_t since_us;       /* CLOCK_MONOTONIC when it first came */
	_Atomic uint64_t closed; /* connections closed for it so far */
};

/*
 * The two ends of a hand-over (transfer.h); a body may be giver and taker at
 * once, in one transfer each.  A transfer is over for a body when the number
 * here is 0; a give whose fd is 0 is over but for telling the master.
 */
struct body_give {
	uint64_t transfer;  /* 0: none */
	int32_t fd;         /* of the channel to the taker */
	uint32_t left;      /* connections still to be given; CHANNEL_ALL */
	uint32_t batch;     /* the last that was sent, or is about to be */
	uint32_t have;      /* the last that the taker said is its own */
	uint32_t given;     /* connections that the taker has */
	uint64_t nonce;     /* of the last question */
	uint64_t over;      /* the last transfer that ended */
	uint32_t is_broken; /* it ended before its time */
};

struct body_take {
	uint64_t transfer; /* 0: none */
	int32_t fd;        /* of the channel to the giver */
	uint32_t batch;    /* the last that is ours: the one store by which
			    * its connections change their owner */
	uint64_t over;     /* the last transfer that ended */
};

/* Bytes of access lines that wait for the master; a power of two. */
#define BODY_ACCESS_SIZE (1u << 19)
/* The longest of them, with its newline. */
#define BODY_ACCESS_LINE 2048u

struct body_head {
	uint64_t magic;
	uint32_t version;   /* of this head */
	uint32_t slot_size; /* says whether the slots are ours to read */
	uint32_t row;       /* of the board; the body's number */
	uint32_t seat; /* its worker's number: whose member of each group of
			* listening sockets it accepts on */
	uint32_t master_uid; /* who may come to the door */
	uint64_t size;
	uint32_t slots_max;
	uint32_t pipes_max;
	uint32_t uid; /* what holder and worker run as; PLAN_NO_ID: as is */
	uint32_t gid;
	uint32_t groups_count;
	uint32_t groups[PLAN_GROUPS_MAX];
	uint64_t watchdog_ms; /* 0: none */
	uint32_t log_level;   /* enum log_level; orders change it */

	/* The holder's. */
	_Atomic uint32_t worker_pid;
	_Atomic uint32_t deaths;
	_Atomic uint32_t is_done;        /* it ended as it was told to */
	struct body_death death;         /* the last one */
	_Atomic uint32_t watchdog_fired; /* set before the kill */

	/* The worker's. */
	_Atomic uint64_t beat;    /* changes while it makes progress */
	_Atomic uint32_t settled; /* it ended its sweep and a round */
	uint32_t slots_used;      /* no slot at or past it was ever claimed */
	uint64_t next_id;         /* as the board's row has it */
	/* Its sockets are others' now: give all away, and end when empty. */
	uint32_t is_retiring;
	/* The master at the other end of the channel came to the door, and has
	 * not been told of all that there is. */
	uint32_t is_telling;
	/* Accept no more, and end by then (CLOCK_MONOTONIC); 0: not told. */
	uint64_t drain_until_ms;
	_Atomic uint64_t journal;
	/* Of a sweep that has not ended: it may die too. */
	_Atomic uint32_t sweeping;
	_Atomic uint64_t owed; /* the journal it found; 0 once it has sorted
				* the descriptors */
	struct body_fault fault;
	struct body_redo redo;
	struct body_plan plans[BODY_PLANS];
	struct body_closing closing;
	struct body_give give;
	struct body_take take;
	/* Whole lines, each with its newline; byte n of all that were ever
	 * written stands at n % BODY_ACCESS_SIZE.  What the master has taken
	 * stands on the board. */
	_Atomic uint64_t access_head;
	int32_t listener_fd[BODY_SOCKETS_MAX]; /* 0: none (S1) */
	/* The plan_listener.born that a socket belongs to: an index may have
	 * been another address's, of a reload that was given up. */
	uint64_t listener_born[BODY_SOCKETS_MAX];
	/* Of extra i, which is socket BODY_LISTENERS_MAX + i: the number of
	 * our own of that group, and the seat whose member it is. */
	uint32_t extra_number[BODY_EXTRAS_MAX];
	uint32_t extra_seat[BODY_EXTRAS_MAX];
	struct body_pipe pipes[BODY_PIPES_MAX]; /* number 1 is pipes[0] */
	char access[BODY_ACCESS_SIZE];
};

struct body {
	struct body_head *head;
	struct slot *slots;
	size_t size; /* as mapped, whatever the head says */
};

/* What a new body is made for. */
struct body_spec {
	uint32_t row;
	uint32_t seat;
	uint32_t slots_max;
	uint32_t pipes_max;
	uint64_t first_id;
	const struct plan *plan; /* for user and watchdog */
	uint32_t log_level;
	int drop; /* run holder and worker as the plan's user */
};

/* Make a body's memfd.  Returns it or -errno. */
must_check int body_create(const struct body_spec *spec);

/*
 * Map it, writable or not, and check that its head is one of this build
 * (-EINVAL).  Returns 0 or -errno.
 */
must_check int body_map(int fd, int writable, struct body *body);
void body_unmap(struct body *body);

/*
 * Map, to read, what of it this build understands, although another may have
 * made it: all; its head alone (slots is NULL then); or nothing: an empty body
 * in its place, without a single slot.  Returns 0 or -errno.
 */
must_check int body_map_foreign(int fd, struct body *body);

/*
 * What is wrong with a copy of a head, of which size bytes are mapped; NULL
 * if nothing is.  Constant strings.
 */
const char *body_head_fault(const struct body_head *head, uint64_t size);

/* The sockets of listener i of a plan are 2 * i and, for "*", 2 * i + 1. */
static inline uint32_t
body_listener_sockets(const struct plan_listener *listener)
{
	if (listener->state != ROW_ACTIVE)
		return 0;
	return listener->addr.kind == ADDR_ANY ? 2 : 1;
}

/* The row that wants socket n of a plan, or NULL. */
static inline const struct plan_listener *
body_listener_row(const struct plan *plan, uint32_t n)
{
	const struct plan_listener *row;

	if (n / 2 >= plan->listeners.count)
		return NULL;
	row = plan_listener(plan, n / 2);
	return n % 2 < body_listener_sockets(row) ? row : NULL;
}

/* Was socket number n of a plan passed by the service manager?  Then it is
 * not ours alone, and all workers share it. */
static inline bool
body_listener_is_passed(const struct plan_listener *listener, uint32_t n)
{
	return (listener->passed >> n % 2 & 1) != 0;
}

/* The reasons for a holder not to start another worker (exit statuses). */
#define WORKER_EXIT_DONE   0 /* retired or stopped as ordered */
#define WORKER_EXIT_BROKEN 3 /* its body can't be used any more */

/* What a holder runs; returns the exit status. */
struct board;
struct board_row;
typedef int worker_main_fn(struct body *body, const struct board *board,
    struct board_row *row);

#endif
