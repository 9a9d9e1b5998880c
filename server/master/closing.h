/*
 * closing - connections closed because somebody asked for it.
 *
 * Every worker is told which ones are meant and says how many it closed; one
 * that dies is told again.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_CLOSING_H
#define SRVD_MASTER_CLOSING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/loop.h"
#include "server/state/filter.h"

struct body_ref;
struct master;

typedef void closing_done_fn(void *arg, uint64_t closed);

/* The one that is under way, or was the last. */
struct closing_round {
	uint64_t request; /* 0: there was none */
	struct filter filter;
	bool reset;
	bool is_open; /* answers are waited for */
	uint64_t closed;
	closing_done_fn *done; /* NULL: nobody waits */
	void *arg;
	struct loop_timer timer;
};

/*
 * Begin.  done(arg) is called once, later, from the loop: when all workers
 * have answered, or after 5 s with what is known by then.  Returns 0, or
 * -EBUSY if there is a hindrance.
 */
must_check int closing_begin(struct master *m, const struct filter *filter,
    bool reset, closing_done_fn *done, void *arg);

/* Why none can begin just now, or NULL. */
const char *closing_hindrance(const struct master *m);
#define CLOSING_IS_BUSY                                                  \
	"connections are being closed as somebody asked for: try again " \
	"in a moment"

/* Whoever waits with arg has gone. */
void closing_forget(struct master *m, const void *arg);

/* A worker says that it has carried out request; its body has ended. */
void closing_on_answer(struct body_ref *ref, uint64_t request, uint32_t closed);
void closing_on_body_end(struct body_ref *ref);

#endif
