/*
 * config - from the configuration's files to a plan.
 *
 * Reading and compiling happen in a short-lived child process: a parser that
 * crashes, exits or leaks costs one failed load and never the master.  The
 * child hands back the compiled plan in a memfd, or the errors.
 *
 * Runs in: master (config_begin, config_finish), its child (all else), and
 * srvd -n.  Only this folder knows libconfuse.
 */
#ifndef SRVD_CONFIG_CONFIG_H
#define SRVD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/attr.h"
#include "server/config/passed.h"
#include "server/state/plan.h"

/* Descriptors of a worker that are neither connections' nor listeners'. */
#define CONFIG_FD_RESERVE 128
/* At most so many are kept for all but connections with max_connections
 * auto. */
#define CONFIG_FD_REST 400

struct config_request {
	const char *path;
	bool check_only;     /* look up no names of hosts, need no limits */
	uint64_t generation; /* of the plan to be made */
	uint64_t nofile;     /* hard limit on descriptors of a process */
	const struct passed *passed; /* sockets there are already, or NULL */
	/* A reload: the plan in force, whose indices the new one keeps (P2 in
	 * plan.h), or NULL.  in_use tells whether connections use the row of
	 * a service or backend that was removed; it is asked in the child,
	 * which has its parent's memory but none of its descriptors. */
	const struct plan *previous;
	bool (*service_in_use)(const void *arg, uint32_t service);
	bool (*backend_in_use)(const void *arg, uint32_t backend);
	const void *in_use_arg;
};

enum config_change_kind {
	CHANGE_ADDED,
	CHANGE_CHANGED,
	CHANGE_REMOVED
};

enum config_object {
	OBJECT_SERVICE,
	OBJECT_LISTENER,
	OBJECT_BACKEND,
	OBJECT_SETTING
};

/* One difference between two plans.  Strings live as long as both plans. */
struct config_change {
	enum config_change_kind kind;
	enum config_object object;
	const char *service; /* "" for a setting outside of services */
	const char *name; /* of the service; the backend; the listener's text;
			   * the setting: "section.key", in a service "key",
			   * in a backend "backend.key" is not used: the
			   * backend itself is CHANGE_CHANGED */
	uint32_t index;   /* row in the table; of a setting its service's */
};

struct config_error {
	char *file;
	uint32_t line; /* 0: the whole file */
	char *message;
};

/* Without a plan the load failed, even if no memory was left to say why. */
struct config_result {
	int plan_fd;             /* sealed memfd, or -1 */
	const struct plan *plan; /* mapped and checked, or NULL */
	struct config_error *errors;
	size_t errors_count; /* 0 exactly if there is a plan */
};

struct config_child {
	pid_t pid;
	int fd; /* readable when the child has something to say; the
		 * caller watches it and calls config_finish then */
	/* Private. */
	uint64_t generation; /* that was asked for */
	int plan_fd;
	char *path;
	int64_t began_ms;
	char *answer; /* what it has said so far */
	size_t length;
	bool is_reaped;
	int status; /* if it is */
};

/* Start the child.  Returns 0 or -errno. */
must_check int config_begin(const struct config_request *request,
    struct config_child *child);

/*
 * Take the child's answer and reap it; blocks until it has ended, at most
 * 30 s (then it is killed).  Always fills *result; a child that died or
 * overran is an error in it.  config_result_release() frees it (the plan's
 * mapping and descriptor stay the caller's if it sets them to NULL and -1).
 */
void config_finish(struct config_child *child, struct config_result *result);
void config_result_release(struct config_result *result);

/*
 * For who must not wait.  config_receive() takes what there is and returns
 * -EAGAIN while more may come, or 0: stop watching fd.  Who reaps all children
 * tells config_reaped(); config_finish() after it does not block.
 * config_abandon() ends the child and forgets it; it is still to be reaped.
 */
must_check int config_receive(struct config_child *child);
void config_reaped(struct config_child *child, int status);
void config_abandon(struct config_child *child);

/* Both in one: for the start of the program and srvd -n.  Blocks.  Returns 0, or
 * -errno if nothing could be read, of which the result tells as well. */
int config_load(const struct config_request *request,
    struct config_result *result);

/* Every error of a result on a line of its own, "FILE:LINE: message". */
void config_say_errors(const struct config_result *result, FILE *out);

/* The effective configuration as text that compiles to an equal plan. */
must_check int config_print(const struct plan *plan, FILE *out);

/*
 * Do two plans differ in something that only a restart changes?  If so, one
 * such key and its section ("" for the outermost) are named.
 */
must_check bool config_needs_restart(const struct plan *from,
    const struct plan *to, const char **section, const char **key);

/*
 * All differences of two plans that plan_check_succession() lets pass, in the
 * order settings, services (each with its settings, listeners, backends).  A
 * service that is added or removed comes with all that is in it.  A service
 * is CHANGE_CHANGED itself if only the order of its backends is, a listener
 * if it is another service's or written in another way.
 * Returns 0 and an array to be freed by free(), or -ENOMEM.
 */
must_check int config_diff(const struct plan *from, const struct plan *to,
    struct config_change **changes, size_t *count);

/*
 * Does plan to give up rows that plan from kept for removed services and
 * backends (P2)?  It is worth being put in force then even if config_diff()
 * finds nothing: other names can have those rows only after that.
 */
must_check bool config_frees_rows(const struct plan *from,
    const struct plan *to);

#endif
