/*
 * takeover_judge - can this program take over the body of another?  And if a
 * start is refused for a body: which, why, and what can be done.
 *
 * Runs in: master, at its start.
 */
#ifndef SRVD_MASTER_TAKEOVER_JUDGE_H
#define SRVD_MASTER_TAKEOVER_JUDGE_H

#include <stdint.h>

#include "common/attr.h"

struct channel_message;
struct takeover;
struct takeover_body;

/* By what the worker says, with its body, that its program speaks.  Returns 0,
 * -EPROTO for no such line, or -EPROTONOSUPPORT with a sentence in t->why. */
must_check int takeover_judge(struct takeover *t,
    const struct takeover_body *taken, const struct channel_message *message);

/* Its messages have another version, theirs.  Returns -EPROTONOSUPPORT. */
must_check int takeover_judge_channel(struct takeover *t,
    const struct takeover_body *taken, uint32_t theirs);

/* A sentence in t->why for this -errno, but for -EPROTONOSUPPORT, which has
 * one.  Returns it. */
must_check int takeover_explain(struct takeover *t,
    const struct takeover_body *taken, int error);

/* The same: it has not told all within that time.  Returns -ETIMEDOUT. */
must_check int takeover_explain_late(struct takeover *t,
    const struct takeover_body *taken, uint64_t limit_ms);

#endif
