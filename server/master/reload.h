/*
 * reload - the transaction that puts another configuration in force.
 *
 * Read and compile (in a child), bind what is new, prepare every worker, then
 * commit by one store of the generation into the board; whatever fails before
 * that is undone and the running configuration is untouched.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_RELOAD_H
#define SRVD_MASTER_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "server/config/config.h"

struct body_ref;
struct master;
struct reload;

/* One thing that the reload changes, or would. */
struct reload_change {
	struct config_change what;
	uint64_t connections; /* live ones of what is removed or changed */
	const char *action;   /* what becomes of those of what is removed:
			       * "keep", "drain", "close"; else "" */
};

/* What came of it; all is the reload's, and gone when the handler returns. */
struct reload_outcome {
	bool ok;
	bool dry_run;
	uint64_t generation; /* in force now */
	const struct reload_change *changes;
	size_t changes_count;
	/* Not ok: the files have errors, or else a stage failed. */
	const struct config_error *errors;
	size_t errors_count;
	const char *stage;   /* "check", "bind", "prepare", "stop", and of a */
			     /* dry run "superseded", by a reload */
	const char *message; /* a sentence */
};

typedef void reload_done_fn(void *arg, const struct reload_outcome *outcome);

/*
 * Begin one.  done(arg) is called once, later, from the loop; NULL: nobody
 * waits, the log says what came of it.  Returns 0, -EBUSY while another one
 * is under way (a dry run makes way for a reload) or an upgrade, -ESHUTDOWN
 * when the gateway stops, or -errno.
 */
#define RELOAD_STOPS   "the gateway is stopping"
#define RELOAD_IS_BUSY "a reload is under way: try again when it is done"
must_check int reload_begin(struct master *m, bool dry_run,
    reload_done_fn *done, void *arg);

/* Whoever waits with arg has gone; the reload goes on. */
void reload_forget(struct master *m, const void *arg);

/* The master's own: before and after everything else of this. */
must_check int reload_open(struct master *m);
void reload_close(struct master *m);

/* SIGHUP: one now, or, if one is under way, after it. */
void reload_on_signal(struct master *m);
/* The gateway stops: give up what is not in force yet. */
void reload_stop(struct master *m);

/* May something else begin that changes the gateway?  A dry run makes way for
 * it; a reload in earnest does not. */
must_check bool reload_make_way(struct master *m);
/* What kept a reload that SIGHUP asked for from beginning is over. */
void reload_resume(struct master *m);

/* What happens meanwhile. */
/* Is pid the configuration's child, which has just been reaped? */
bool reload_on_child(struct master *m, pid_t pid, int status);
/* A worker has said what it has or follows, or a body has ended. */
void reload_on_worker(struct master *m);
/* A worker can't follow generation; text is printable. */
void reload_on_refused(struct body_ref *ref, uint64_t generation,
    const char *text);

#endif
