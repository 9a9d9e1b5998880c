/*
 * attempt - one backend dialed for one client.
 *
 * Runs in: worker.  Never blocks.  It doesn't know which backend is dialed
 * next, nor what comes of the client if none is left: that is dial's.
 */
#ifndef SRVD_WORKER_ATTEMPT_H
#define SRVD_WORKER_ATTEMPT_H

#include "server/worker/worker.h"

enum attempt_result {
	/* Counted, with when and from where; relay. */
	ATTEMPT_CONNECTED,
	/* For epoll or the timer. */
	ATTEMPT_WAITING,
	/* Descriptors or memory are short, which was told; withdraw it. */
	ATTEMPT_SHORT,
	/* errno says why; fail it. */
	ATTEMPT_FAILED,
};

/* Make backend the slot's, as one of those that were tried, and dial it. */
enum attempt_result attempt_begin(struct worker *w, struct slot *slot,
    uint32_t backend);

/* Call connect() for the slot's socket; again as often as it likes. */
enum attempt_result attempt_connect(struct worker *w, struct slot *slot);

/* Epoll has told of it: ATTEMPT_CONNECTED or ATTEMPT_FAILED. */
enum attempt_result attempt_on_event(struct worker *w, struct slot *slot,
    uint32_t events);

/* Have epoll tell when it is decided; 0 or -errno. */
int attempt_watch(struct worker *w, struct slot *slot);

/* It has failed, by this errno: count that, and end it. */
void attempt_fail(struct worker *w, struct slot *slot, int error);

/* End it as if it had not been made, but for slot->phase_ms. */
void attempt_withdraw(struct worker *w, struct slot *slot);

/* The slot has no backend any more; neither counted nor untried. */
void attempt_end(struct worker *w, struct slot *slot);

/* When it has lasted too long, by w->now_ms; UINT64_MAX: never. */
uint64_t attempt_deadline(const struct worker *w, const struct slot *slot);

/* Set the slot's timer, to the deadline if that is sooner. */
void attempt_set_timer(struct worker *w, const struct slot *slot, uint64_t due);

#endif
