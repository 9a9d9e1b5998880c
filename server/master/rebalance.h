/*
 * rebalance - live connections evened out over the workers, once.
 *
 * Runs in: master.  Never blocks: handover.c moves the connections.
 */
#ifndef SRVD_MASTER_REBALANCE_H
#define SRVD_MASTER_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/loop.h"

struct body_ref;
struct master;

/* why: a sentence why not all were moved that should have been, or NULL. */
typedef void rebalance_done_fn(void *arg, uint64_t moved, const char *why);

/* The one that is under way, or was the last. */
struct rebalance {
	bool is_open;
	bool is_broken; /* a hand-over was */
	uint64_t moved;
	rebalance_done_fn *done; /* NULL: nobody waits */
	void *arg;
	struct loop_timer timer;
};

/*
 * Begin.  done(arg) is called once, later, from the loop: when all have as
 * many as they should, or after 30 s.  Returns 0, or -EBUSY if there is a
 * hindrance.
 */
must_check int rebalance_begin(struct master *m, rebalance_done_fn *done,
    void *arg);

/* Why none can begin just now, or NULL. */
const char *rebalance_hindrance(const struct master *m);
#define REBALANCE_IS_BUSY                                               \
	"connections are being evened out over the workers: try again " \
	"in a moment"

/* Whoever waits with arg has gone. */
void rebalance_forget(struct master *m, const void *arg);

/* handover.c: begin what can be begun; a hand-over of some connections is
 * over. */
void rebalance_look(struct master *m);
void rebalance_on_given(struct body_ref *ref, uint32_t count, bool is_broken);

/* The gateway stops. */
void rebalance_stop(struct master *m);

#endif
