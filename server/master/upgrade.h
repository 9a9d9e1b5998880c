/*
 * upgrade - the transaction that puts another program in this one's place.
 *
 * A child runs the new program, which reads the configuration as at a start
 * and says what it speaks; if all of that is right the master executes it in
 * place, under the same PID.  What it finds then is what any master finds that
 * starts where bodies live: it takes them over.  Whatever fails before the
 * exec, or is the exec itself, changes nothing.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_UPGRADE_H
#define SRVD_MASTER_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"

struct control_heir;
struct master;
struct upgrade;

/* What came of it; all is gone when the handler returns. */
struct upgrade_outcome {
	bool ok;
	const char *program;
	const char *from; /* versions */
	const char *to;
	uint32_t remaining; /* bodies of before that have not ended yet */
	/* Not ok. */
	const char *stage;   /* UPGRADE_STAGE_… */
	const char *message; /* a sentence */
};

#define UPGRADE_STAGE_BUSY    "busy"    /* something else is under way */
#define UPGRADE_STAGE_STOP    "stop"    /* the gateway is stopping */
#define UPGRADE_STAGE_PROGRAM "program" /* the file may not be run */
#define UPGRADE_STAGE_CHECK   "check"   /* it would not serve */
#define UPGRADE_STAGE_EXEC    "exec"    /* it could not be executed */
#define UPGRADE_STAGE_START   "start"   /* it was, and can't start */

typedef void upgrade_done_fn(void *arg, const struct upgrade_outcome *outcome);
/* The descriptor of who waits; *is_last: nothing more may be asked on it. */
typedef int upgrade_fd_fn(const void *arg, bool *is_last);

/* Who waits for the outcome, here or, by its descriptor, in the next program. */
struct upgrade_waiter {
	upgrade_done_fn *done; /* NULL: nobody waits */
	upgrade_fd_fn *fd_of;
	void *arg;
};

/*
 * Begin one, with the file at program (NULL: the one that this process was
 * started from).
 * The waiter is told once, later.  Returns 0, or -errno with the refusal in
 * *refused, whose message is in why.
 */
must_check int upgrade_begin(struct master *m, const char *program,
    const struct upgrade_waiter *waiter, struct upgrade_outcome *refused,
    char *why, size_t why_size);

/* Whoever waits with arg has gone; the upgrade goes on. */
void upgrade_forget(struct master *m, const void *arg);

/* One is under way: nothing else that changes the gateway begins. */
bool upgrade_is_busy(const struct master *m);
/* That, or that the gateway stops, as a sentence; or NULL. */
const char *upgrade_hindrance(const struct master *m);
#define UPGRADE_IS_BUSY "an upgrade is under way: try again when it is done"

/* The master's own.  upgrade_open() takes what the program before has left
 * word of out of the environment. */
must_check int upgrade_open(struct master *m);
void upgrade_close(struct master *m);
/* The version of the program before, which this one came from by an upgrade;
 * NULL: it was started. */
const char *upgrade_from(const struct master *m);
/* The control socket that the program before has left, or none. */
const struct control_heir *upgrade_heir(const struct master *m);
/* The control socket is there: who waits since before is a client again. */
void upgrade_resume(struct master *m);
/* The start failed; why is a sentence. */
void upgrade_failed(struct master *m, const char *why);
/* The gateway stops: give up what can be. */
void upgrade_stop(struct master *m);

/* What happens meanwhile. */
/* The child pid has ended, and is about to be reaped: until then its number is
 * nobody else's. */
void upgrade_before_reap(struct master *m, pid_t pid);
/* Is pid the child that checks, which has just been reaped? */
bool upgrade_on_child(struct master *m, pid_t pid, int status);
/* A worker may have begun to serve, or a body has ended. */
void upgrade_on_worker(struct master *m);

#endif
