/*
 * worker - what a worker knows besides its body: caches, all of them.
 *
 * Runs in: worker.  Everything here can be rebuilt from the body, the plan
 * and the board; nothing here is missed when the worker dies.
 */
#ifndef SRVD_WORKER_WORKER_H
#define SRVD_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/shortage.h"
#include "server/state/board.h"
#include "server/state/body.h"
#include "server/state/filter.h"
#include "server/worker/pipes.h"
#include "server/worker/timers.h"

/* A listening socket of the plan in force. */
struct listening {
	bool is_open;
	bool is_shared; /* with the other workers: no group of its own */
	bool is_paused; /* out of epoll's interest until accept_resume() */
	bool is_armed;  /* it has abstained once: it accepts now */
	uint8_t failed; /* that often in a row it could not be accepted from */
	uint8_t eager;  /* accepts beyond the first of a turn */
	uint32_t last_round; /* that it was accepted from */
};

/* Slots of which a flow waits for a pipe, first come first served.  A slot
 * stands in the ring once at most; one that was freed meanwhile is passed
 * over when its turn comes. */
struct starved_queue {
	uint32_t *slots; /* a ring of slots_max */
	uint8_t *queued; /* by slot: it stands in the ring */
	uint32_t first;
	uint32_t count;
};

/* The walk of review.c; the one of closing.c. */
struct review {
	uint32_t next; /* slot */
	bool is_on;
};

struct closing {
	struct filter filter;
	uint32_t next; /* slot */
	bool is_reset;
	bool is_on;
	bool is_known; /* filter is one */
};

/* What is known of whose the frozen connections are. */
enum give_phase {
	GIVE_UNSURE,   /* it is to be asked */
	GIVE_ASKED,    /* it has been */
	GIVE_ANSWERED, /* nothing is frozen: the next batch may go */
};

/* Of give.c; of take.c. */
struct give {
	enum give_phase phase;
	uint64_t next_ms;   /* nothing is done before */
	uint64_t frozen_us; /* when the last batch was */
	uint32_t frozen;    /* slots that are */
	uint32_t first;     /* of them */
	uint32_t next;      /* slot */
	uint32_t unfit;     /* so many slots in a row were */
	uint32_t limit;     /* connections a batch */
	uint32_t refused;   /* batches in a row */
	bool has_sent;      /* a batch, by this worker */
	bool is_refused_said;
	bool is_in_vain; /* too many */
};

struct take {
	uint64_t nonce; /* of the answer that is owed */
	bool owes;
	bool is_unwatched;
};

struct worker {
	struct body body;
	struct body_head *head; /* body.head */
	const struct board *board;
	struct board_row *row;

	const struct plan *plan; /* in force; NULL before the first */
	uint64_t generation;
	const struct plan *beside;   /* mapped: one that is not followed yet, or
				      * NULL */
	struct listening *listening; /* BODY_SOCKETS_MAX of them */
	int32_t *turns; /* of each backend, for the weighted round robin */
	/* Of each backend: dial it from the lower local ports till then; 0 or
	 * past: from the upper ones.  PLAN_BACKENDS_MAX of them. */
	uint64_t *lower_until_ms;

	uint64_t now_ms;      /* CLOCK_MONOTONIC, as of this round */
	uint64_t now_us;      /* the same moment */
	uint32_t round;       /* of the loop */
	uint32_t *free_slots; /* freed ones, on a stack */
	uint32_t free_count;
	uint32_t live; /* slots that are not free */
	struct timers timers;
	struct pipes pipes;
	struct starved_queue starved;
	struct review review;
	struct closing closing;
	struct give give;
	struct take take;

	uint32_t log_level;                /* enum log_level */
	uint8_t levels[PLAN_SERVICES_MAX]; /* of a service, 1 more; 0: none */

	uint32_t shortages;         /* bits, by enum shortage (scarcity.c) */
	uint64_t met_ms[SHORTAGES]; /* when each was last met */
	/* When its max_connections last was, by service; the gateway's. */
	uint64_t full_ms[PLAN_SERVICES_MAX + 1];

	uint32_t paused;     /* listening sockets that are */
	uint64_t resume_ms;  /* when to look at them again */
	uint64_t relieve_ms; /* when to look at those of other seats */
	uint64_t refused_ms; /* when unreachable backends last were */
	uint32_t refused;    /* clients turned away since */
	uint32_t postponed;  /* clients for whom no backend's socket could be
			      * had: no others are accepted meanwhile */
	bool owes_hello;     /* something could not be said */
	bool is_alone;       /* the master has closed its end of the channel */
	bool is_body_told;   /* of all that it is told, but for sockets */
	uint32_t next_told;  /* the next of them to be told */
	uint64_t door_retry_ms; /* when to try again; 0: nothing */
	bool is_draining;
	bool is_listening;       /* it drains, and somebody is still queued */
	uint64_t drain_until_ms; /* as the body says */
	uint64_t drain_look_ms;  /* past it: the next look; 0: the first */
	bool is_done;
};

/* What a holder clones (worker_main_fn). */
int worker_main(struct body *body, const struct board *board,
    struct board_row *row);

/* Say in the body what is being worked on (fault.h draws on it). */
static inline void
worker_journal(struct worker *w, enum journal_act act, uint32_t slot)
{
	atomic_store_explicit(&w->head->journal, JOURNAL(act, slot),
	    memory_order_release);
}

static inline struct slot *
worker_slot(const struct worker *w, uint32_t i)
{
	return &w->body.slots[i];
}

static inline uint32_t
worker_slot_number(const struct worker *w, const struct slot *slot)
{
	return (uint32_t)(slot - w->body.slots);
}

#endif
