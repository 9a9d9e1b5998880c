/*
 * body_ref - a body, as its master sees it.
 *
 * Runs in: master.  bodies.c owns them; courier.c and deaths.c each keep a
 * part.
 */
#ifndef SRVD_MASTER_BODY_REF_H
#define SRVD_MASTER_BODY_REF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/master/loop.h"
#include "server/state/board.h"
#include "server/state/body.h"

struct master;

struct body_ref;

typedef void body_gone_fn(struct body_ref *ref);

/* What of a plan and its sockets the worker has. */
struct body_parcel {
	uint64_t generation; /* 0: of none */
	bool is_plan_sent;
	bool is_ready;        /* it has all, and said so */
	uint32_t next_member; /* its own sockets first, then those of */
	/* seats that are no more (outbox.c) */
	uint32_t next_socket; /* the first of them not sent yet */
};

enum body_parcel_of {
	PARCEL_FORCE, /* of the plan in force */
	PARCEL_NEXT,  /* of the one that is being prepared */
	PARCELS
};

/* What is still to be said to the worker (outbox.c). */
struct body_outbox {
	struct body_parcel parcels[PARCELS];
	uint64_t aborted;    /* the last generation that was given up */
	uint32_t next_level; /* the first service whose level is unsaid */
	bool is_level_sent;
	bool is_phase_sent;
	bool is_abort_sent;
	bool is_close_sent;
	bool is_retire_sent;
};

/* What a body does in a hand-over (handover.c). */
struct body_end {
	uint64_t transfer;      /* 0: nothing */
	struct body_ref *other; /* the body at the other end; NULL: it ended */
	uint32_t count;         /* connections to be given; CHANNEL_ALL */
	int fd;                 /* the end, until the worker has it; else -1 */
	uint64_t sent_ms;
	bool is_sent; /* to the worker that is there now */
};

/* How long one that retires has got nowhere (handover.c). */
struct body_stall {
	uint32_t left; /* connections, since since_ms; 0: none, or unknown */
	uint64_t since_ms;
	bool is_said;
};

struct body_ref {
	struct master *master;
	uint64_t first_id;
	struct body body; /* read-only (Y2) */
	int body_fd;      /* -1: no body */
	uint32_t row;     /* of the board; the body's number */
	uint32_t seat;    /* the worker's number; two bodies may have one seat,
			  * the current one and another that retires */
	bool is_current;  /* its seat's body: when it ends another begins */

	/* The channel (courier.c). */
	struct loop_watch channel;
	struct body_outbox outbox;
	uint64_t follows;  /* generation that its worker works by, it says */
	uint64_t deaf_ms;  /* when the channel was at its end, or 0 */
	int channel_fd;    /* our end, -1: none */
	bool is_behind;    /* with sending: an error that may pass */
	bool owes_closing; /* it has not answered m->closing yet */

	/* Hand-over (handover.c). */
	bool is_foreign;    /* another master's, of perhaps another program */
	bool is_faulted;    /* its worker crashed; whoever made it do so may
			     * know where everything lies */
	bool is_retiring;   /* others have its sockets: it is told so */
	uint32_t broken;    /* hand-overs that failed, one after the other */
	const char *leaves; /* why it is to go, or NULL */
	struct body_end give;
	struct body_end take;
	uint64_t given;         /* connections that others have from it */
	uint64_t give_after_ms; /* not before */
	struct body_stall stall;
	int32_t excess; /* connections it should give, or take (rebalance.c) */

	/* The processes. */
	pid_t holder_pid; /* 0: none */
	int holder_pidfd; /* of one that is not our child; else -1 */
	bool is_lost;     /* its holder is dead, the worker lives on */
	bool has_death;   /* death is one */
	struct loop_watch holder_end;
	pid_t worker_pid;  /* as the kernel told, 0: none known */
	pid_t greeted_pid; /* said hello, and could not be taken for it; or 0 */
	int worker_pidfd;  /* -1: none */
	struct loop_watch worker_end;
	body_gone_fn *worker_gone; /* told that a worker has ended */

	/* Their deaths (deaths.c). */
	struct body_death death; /* a checked copy of the last one */

	struct loop_timer
	    access_timer; /* its lines are taken then (access.c) */

	uint32_t log_budget; /* lines it may still log this second */
	uint64_t log_lost;
	uint64_t started_ms;
	uint64_t delay_ms; /* before the next body of this index */
	struct loop_timer next_timer;
	bool is_damaged;   /* said so already */
	bool is_unstarted; /* could not be started; said so already */
	uint64_t fault_ms; /* when fault was set */
	char fault[96];    /* what is or was broken about it, or empty */
};

struct spawn_fds;
typedef pid_t bodies_spawn_fn(uint32_t seat, const struct spawn_fds *fds);

struct bodies {
	struct body_ref *refs;  /* BOARD_ROWS of them, by row */
	bodies_spawn_fn *spawn; /* NULL: spawn_holder() */
	uint32_t count;         /* seats: workers there shall be */
	struct loop_timer check_timer;
};

/* The row after ref (NULL: the first) that has a body or shall have one; NULL
 * at the end. */
static inline struct body_ref *
bodies_next(const struct bodies *bodies, struct body_ref *ref)
{
	ref = ref == NULL ? bodies->refs : ref + 1;
	if (bodies->refs == NULL)
		return NULL;
	for (; ref < bodies->refs + BOARD_ROWS; ref++) {
		if (ref->is_current || ref->body_fd >= 0)
			return ref;
	}
	return NULL;
}

#define BODIES_EACH(bodies, ref)                                 \
	for (struct body_ref *ref = bodies_next((bodies), NULL); \
	     (ref) != NULL; (ref) = bodies_next((bodies), (ref)))

/* The other row of its seat. */
static inline struct body_ref *
bodies_partner(const struct bodies *bodies, const struct body_ref *ref)
{
	return &bodies->refs[(ref->row + PLAN_WORKERS_MAX) % BOARD_ROWS];
}

/* The current body of seat i < count. */
static inline struct body_ref *
bodies_at(const struct bodies *bodies, uint32_t i)
{
	struct body_ref *ref = &bodies->refs[i];

	return ref->is_current ? ref : bodies_partner(bodies, ref);
}

#endif
