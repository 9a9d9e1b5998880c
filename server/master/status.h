/*
 * status - what the control socket may know of the master.
 *
 * The control socket's handlers see the gateway through these functions only.
 * What comes from shared memory that workers write is copied and checked
 * here; strings returned live as long as the current plan or are constants.
 *
 * Runs in: master.  Never blocks.
 */
#ifndef SRVD_MASTER_STATUS_H
#define SRVD_MASTER_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"
#include "server/state/plan.h"

struct bodies;
struct master;
struct loop;

/* The loop that the control socket's watches and timers go to. */
struct loop *master_loop(struct master *m);
/* The plan in force; valid until the handler returns. */
const struct plan *master_plan(const struct master *m);
/* For connections.c, which reads the slots in them. */
const struct bodies *master_bodies(const struct master *m);

struct gateway_status {
	uint64_t uptime_s;
	uint64_t loaded_at_us; /* of the configuration, since the epoch */
	bool reload_ok;        /* of the last load or reload */
	uint64_t reload_at_us;
	const char *reload_message;
	uint32_t workers;
	uint32_t retiring; /* former bodies, which hand over */
	bool is_stopping;
	uint64_t stop_left_ms; /* until the last connection is closed */
};
void status_gateway(const struct master *m, struct gateway_status *status);
/* The same number, for the master's own use; 0 while it serves. */
uint64_t status_stop_left_ms(const struct master *m);

struct worker_status {
	uint32_t index; /* its seat */
	pid_t pid;      /* 0: none known at the moment */
	pid_t holder_pid;
	const char *state;  /* "running", "waiting", "retiring" */
	const char *fault;  /* NULL, or what is broken about its body */
	uint32_t shortages; /* bits, by enum shortage */
	uint64_t connections;
	uint64_t accepted; /* of a seat, whichever body did */
	uint64_t respawns;
	bool has_death;
	uint64_t death_at_us;
	const char *death_cause; /* "killed", "signal", "watchdog", "exit" */
	int death_signal;        /* 0: it exited */
	uint64_t death_address;  /* that it faulted at, or BODY_NO_ADDRESS */
	uint64_t death_culprit;  /* id of the connection closed, or 0 */
};
/* i < gateway_status.workers.  It works by the plan in force? */
bool status_worker_runs(const struct master *m, uint32_t i);
/* The workers, and behind them the retiring ones. */
void status_worker(const struct master *m, uint32_t i,
    struct worker_status *status);

/* Bound address of a plan's listener (with the port the kernel chose). */
void status_listener_bound(const struct master *m, uint32_t listener,
    struct addr *bound);

struct service_status {
	uint64_t connections;
	uint64_t accepted;
	uint64_t refused;
};
void status_service(const struct master *m, uint32_t service,
    struct service_status *status);

struct backend_status {
	const char *state; /* "up", "down", "drain" */
	const char *admin; /* "ready", "drain", "down" */
	uint64_t connections;
	uint64_t accepted;
	uint64_t failed;
};
void status_backend(const struct master *m, uint32_t backend,
    struct backend_status *status);

struct totals_status {
	uint64_t connections;
	uint64_t accepted;
	uint64_t refused;
	uint64_t failed_dials;
	uint64_t bytes_up;
	uint64_t bytes_down;
	uint64_t deaths;
	uint64_t culprits;
	uint64_t log_dropped;
};
void status_totals(const struct master *m, struct totals_status *status);

#endif
