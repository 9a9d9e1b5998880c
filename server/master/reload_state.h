/*
 * reload_state - a reload under way, as its files see it.
 *
 * reload.c begins it, reads the configuration and ends it; reload_workers.c
 * has the workers prepare, commits, and sees them follow.
 *
 * Runs in: master.  Invariants: reload.c.
 */
#ifndef SRVD_MASTER_RELOAD_STATE_H
#define SRVD_MASTER_RELOAD_STATE_H

#include "server/config/config.h"
#include "server/master/loop.h"
#include "server/master/reload.h"

enum reload_stage {
	RELOAD_IDLE,
	RELOAD_READING,   /* the child reads and compiles */
	RELOAD_PREPARING, /* workers take in the new plan */
	RELOAD_FOLLOWING, /* it is in force; workers turn to it */
	RELOAD_TELLING,   /* whoever waits is told */
};

struct reload {
	struct master *m;
	enum reload_stage stage;
	bool dry_run;
	bool again;           /* a SIGHUP came meanwhile */
	bool has_hurried;     /* who did not follow was killed */
	reload_done_fn *done; /* NULL: nobody waits */
	void *arg;
	struct config_child child;
	struct loop_watch child_watch;
	struct loop_timer deadline;
	struct loop_timer look;      /* have the workers got there? */
	struct config_result result; /* its plan: until it is in force */
	struct reload_change *changes;
	size_t changes_count;
	const struct plan *old; /* after the commit (R2) */
	int old_fd;
	char message[640];
};

/* The end.  failed: the stage that did, or NULL; why is in r->message, or
 * errors are in the result. */
void reload_finish(struct reload *r, const char *failed);
/* The same before a commit, with all undone that was done. */
void reload_abandon(struct reload *r, const char *failed);

/* The plan in the result is to be put in force, or only to be tried. */
void reload_prepare(struct reload *r);
/* Preparing or following: have the workers got there? */
void reload_look(struct reload *r);
/* Their time is over. */
void reload_on_timeout(struct reload *r);
/* Following: all have left the old plan, or never will. */
void reload_settle(struct reload *r);

/* Nothing is being prepared any more. */
void reload_tell_aborted(struct master *m);

#endif
