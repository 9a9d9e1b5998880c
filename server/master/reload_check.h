/*
 * reload_check - may another plan take the place of the one in force, and
 * what would that change?
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_RELOAD_CHECK_H
#define SRVD_MASTER_RELOAD_CHECK_H

#include "common/attr.h"
#include "server/master/reload.h"
#include "server/state/plan.h"

/* Returns 0, or -EINVAL with a sentence in why. */
must_check int reload_check(const struct master *m, const struct plan *to,
    char *why, size_t why_size);

/* What differs; an array to be freed by free().  Returns 0 or -ENOMEM. */
must_check int reload_list_changes(const struct master *m,
    const struct plan *to, struct reload_change **changes, size_t *count);

/* What became of it, in one sentence. */
void reload_sentence(const struct reload_outcome *outcome, char *text,
    size_t size);
/* The same for the log; with details: every error. */
void reload_log(const struct reload_outcome *outcome, bool details);

#endif
