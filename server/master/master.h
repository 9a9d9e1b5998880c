/*
 * master - the process that binds, supervises and answers.
 *
 * Runs in: master.  It touches no client's data and never blocks once it
 * serves; nothing that a client, a worker or a request sends can end it.
 */
#ifndef SRVD_MASTER_MASTER_H
#define SRVD_MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "server/config/passed.h"
#include "server/master/bodies.h"
#include "server/master/closing.h"
#include "server/master/control.h"
#include "server/master/doors.h"
#include "server/master/listeners.h"
#include "server/master/loop.h"
#include "server/master/rebalance.h"
#include "server/state/board.h"
#include "server/state/plan.h"

struct launch;

/* What the command line asked for. */
struct master_options {
	const char *config_path;
	const struct launch *launch; /* how it was started */
	bool log_to_stderr;          /* -d */
	unsigned verbose;            /* how many -v */
};

enum master_phase {
	MASTER_SERVING,
	MASTER_DRAINING, /* waits for connections */
	MASTER_STOPPING, /* waits for nothing */
};

/* What a stop may take beyond its time before it is forced. */
#define MASTER_STOP_GRACE_MS 3000

/* No level of its own. */
#define MASTER_NO_LEVEL UINT8_MAX

struct master {
	struct loop *loop;
	const struct plan *plan; /* in force */
	int plan_fd;
	const struct plan *next; /* being prepared (reload.c), or NULL */
	int next_fd;
	uint64_t last_generation; /* the last that a worker was sent */
	const char *config_path;
	uint64_t nofile; /* hard limit on descriptors of a process */

	enum log_level level;
	bool level_is_fixed; /* by -v */
	/* Set at run time, or MASTER_NO_LEVEL. */
	uint8_t service_levels[PLAN_SERVICES_MAX];
	enum log_level worker_level; /* the most that workers may log */

	bool drops;         /* started as root: everything else gives that up */
	bool is_in_command; /* the start can't fail any more */
	bool reload_ok;     /* what came of the last load or reload */

	int board_fd;      /* can write */
	int board_read_fd; /* can't */
	struct board board;
	struct board_head *board_head;

	struct passed passed; /* sockets, by the service manager */
	struct doors doors;
	struct takeover *takeover; /* at the start: bodies that were found */
	struct listeners listeners;
	struct bodies bodies;
	struct loop_timer handover_timer; /* handover_look() is due */
	struct control *control;
	struct reload *reload;
	struct upgrade *upgrade;
	const struct launch *launch;
	struct notify *notify; /* NULL: nobody is told */
	struct closing_round closing;
	struct rebalance rebalance;

	enum master_phase phase;
	uint64_t stop_at_ms; /* when the time to drain is over, by the loop's
			      * clock; CHANNEL_SPREAD_MS more follow */
	struct loop_timer stop_timer;
	struct loop_watch signals;

	uint64_t started_ms;   /* CLOCK_MONOTONIC */
	uint64_t loaded_at_us; /* since the epoch */
	uint64_t reload_at_us; /* of the last load or reload */
	char reload_message[640];
};

/* Could this program serve with these options?  Says so on stdout in the line
 * of versions.h, or on stderr why not.  Returns the program's exit status. */
int master_check_upgrade(const struct master_options *options);

/* Serve until told to stop.  Returns the program's exit status. */
int master_run(const struct master_options *options);

/* Stop: after at most drain_ms, 0: at once.  May be called again to hurry. */
void master_stop(struct master *m, uint64_t drain_ms);

/*
 * Log this level and what is graver: all (CHANNEL_ALL), which ends what was
 * said of single services, or connections of the service of this row.
 */
void master_set_level(struct master *m, enum log_level level, uint32_t service);
/* The files of the log were rotated.  Logs its own failure.  Returns 0, or
 * -errno with a sentence in why. */
int master_reopen_logs(struct master *m, char *why, size_t why_size);

/* A reload has put m->plan in the place of old. */
void master_on_commit(struct master *m, const struct plan *old);

/* All bodies have ended (bodies.c says so while stopping). */
void master_on_empty(struct master *m);

#endif
