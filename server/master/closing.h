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
#include "server/state/filter.h"

struct master;

typedef void closing_done_fn(void *arg, uint64_t closed);

/*
 * Begin.  done(arg) is called once, later, from the loop: when all workers
 * have answered, or after 5 s with what is known by then.  Returns 0, or
 * -EBUSY while another one is under way or the gateway stops.
 */
must_check int closing_begin(struct master *m, const struct filter *filter,
    bool reset, closing_done_fn *done, void *arg);

/* Whoever waits with arg has gone. */
void closing_forget(struct master *m, const void *arg);

#endif
