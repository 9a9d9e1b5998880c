/*
 * start - what a master begins with: configuration, board, and the bodies of
 * one that died before it, if there are any.
 *
 * Runs in: master, before it serves.
 */
#ifndef SRVD_MASTER_START_H
#define SRVD_MASTER_START_H

#include <stddef.h>

#include "common/attr.h"

struct master;
struct master_options;

/*
 * Bodies whose master has died are found by the control socket's path, and
 * that is in the configuration.  If there are any it is read once more, as
 * the one that follows theirs.  Nothing of theirs is changed by it.  Returns
 * 0, or -errno with a sentence in why.
 */
must_check int start_open(struct master *m,
    const struct master_options *options, char *why, size_t why_size);

/* Nothing can fail any more: what was found, if anything, is ours. */
void start_take_over(struct master *m);

#endif
