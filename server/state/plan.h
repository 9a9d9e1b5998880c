/*
 * plan - the configuration, compiled: flat, without pointers, read-only.
 *
 * A plan is a sealed memfd: this head, then the tables its offsets name, then
 * the strings.  The configuration's child compiles it, the master checks and
 * seals it, everyone maps it read-only.  A running process never reads
 * configuration text.
 *
 * Invariants
 *  P1  Every offset, count and string reference lies within length; strings
 *      are NUL-terminated.  plan_check() proves it once, before any use.
 *  P2  An index keeps its meaning over reloads.  A service or backend that
 *      leaves the configuration leaves a row in state ROW_REMOVED, with its
 *      settings, while connections may use it; a row is given to another name
 *      only if it was ROW_EMPTY in the plan before.  So connections need not
 *      be touched by a reload.
 *  P3  The active rows of listeners and backends are linked, those of each
 *      service in the order of the configuration; no others are.
 *  P4  A listener's row keeps its index, address and born as long as its
 *      sockets live, whichever service it belongs to.  Without them it is
 *      ROW_EMPTY at once.
 */
#ifndef SRVD_STATE_PLAN_H
#define SRVD_STATE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/attr.h"

#define PLAN_MAGIC           0x6e616c7064767273ULL /* "srvdplan" */
#define PLAN_VERSION         4
#define PLAN_SERVICES_MAX    4096
#define PLAN_LISTENERS_MAX   4096
#define PLAN_BACKENDS_MAX    16384
#define PLAN_WORKERS_MAX     128
#define PLAN_GROUPS_MAX      64
#define PLAN_CONNECTIONS_MAX 4000000u
#define PLAN_BACKLOG_MAX     65535
#define PLAN_RETRIES_MAX     7
#define PLAN_WEIGHT_MAX      256
#define PLAN_LENGTH_MAX      (64u << 20)

/* A "string" below is an offset into the table of strings; 0 is empty. */

enum plan_balance {
	BALANCE_ROUNDROBIN,
	BALANCE_LEASTCONN
};

/* What becomes of connections whose service or backend is removed. */
enum plan_on_remove {
	ON_REMOVE_KEEP,
	ON_REMOVE_DRAIN, /* closed when idle for a second */
	ON_REMOVE_CLOSE
};

enum plan_log_target {
	TARGET_STDERR,
	TARGET_JOURNAL,
	TARGET_SYSLOG,
	TARGET_FILE,
	TARGET_OFF, /* of the access log alone */
};

enum plan_row_state {
	ROW_EMPTY,   /* nobody's; all in it is zero */
	ROW_ACTIVE,  /* it stands in the configuration */
	ROW_REMOVED, /* it did; connections may use it still (P2) */
};

struct plan_table {
	uint32_t offset; /* of the first row, from the start of the plan */
	uint32_t count;
};

#define PLAN_NO_ID UINT32_MAX

/* The end of a list of rows. */
#define PLAN_END UINT32_MAX

/* A user or group as written, and what the name meant; PLAN_NO_ID: none. */
struct plan_id {
	uint32_t name; /* string, or empty */
	uint32_t id;
};

struct plan_service {
	uint32_t state;          /* enum plan_row_state */
	uint32_t name;           /* string */
	uint32_t first_listener; /* a list of so many rows; PLAN_END: none */
	uint32_t listeners;
	uint32_t first_backend;
	uint32_t backends;
	uint32_t on_remove;          /* enum plan_on_remove */
	uint32_t balance;            /* enum plan_balance */
	uint32_t max_connections;    /* 0: no limit */
	uint32_t retries;            /* other backends tried after the first */
	uint64_t connect_timeout_ms; /* 0: no limit, here and below */
	uint64_t idle_timeout_ms;
	uint64_t half_closed_timeout_ms;
	uint64_t keepalive_ms; /* idle time before TCP probes; 0: none */
	uint8_t nodelay;

	/* As written; what they mean for a socket stands in plan_listener. */
	uint32_t backlog;
	uint32_t mode;
	struct plan_id owner;
	struct plan_id group;
};

/* One address a service listens on.  ADDR_ANY has two sockets. */
struct plan_listener {
	uint32_t state;   /* enum plan_row_state, never ROW_REMOVED */
	uint32_t next;    /* of its service, or PLAN_END */
	uint64_t born;    /* generation that its sockets were made for */
	uint32_t service; /* index */
	uint32_t text;    /* string: the address as written */
	uint32_t backlog;
	uint32_t mode; /* of a Unix-domain socket's file */
	uint32_t uid;  /* its owner and group; PLAN_NO_ID: left alone */
	uint32_t gid;
	uint8_t nodelay;
	uint8_t passed; /* bit n: the service manager passed its socket n */
	struct addr addr;
};

struct plan_backend {
	uint32_t state;   /* enum plan_row_state */
	uint32_t next;    /* of its service, or PLAN_END */
	uint32_t service; /* index */
	uint32_t name;    /* string */
	uint32_t text;    /* string: the address as written */
	uint32_t weight;  /* 0 to 256; 0: takes no new connections */
	uint8_t backup;
	struct addr addr; /* never ADDR_NAME in a plan that is put to use */
};

struct plan_control {
	uint32_t path; /* string; absolute */
	uint32_t mode;
	uint32_t gid;         /* of the socket's file; PLAN_NO_ID: left alone */
	struct plan_id group; /* gid, as written */
	struct plan_id admin; /* its members may change things; or PLAN_NO_ID */
};

struct plan_target {
	uint32_t target; /* enum plan_log_target */
	uint32_t path;   /* string: the file of TARGET_FILE */
};

struct plan_log {
	uint32_t level; /* enum log_level */
	struct plan_target messages;
	struct plan_target access; /* a line a connection */
};

struct plan {
	uint64_t magic;
	uint32_t version;
	uint32_t length;     /* of all, in bytes */
	uint64_t generation; /* 1 for the first */

	uint32_t config_path; /* string: the file it was compiled from */
	uint32_t user_name;   /* string: as written, for messages */
	uint32_t group_name;  /* string: as written, or empty */
	uint32_t workers;
	uint32_t max_connections;
	uint64_t drain_timeout_ms; /* 0: at once */
	uint64_t watchdog_ms;

	/* What everything but the master runs as, when the master is root. */
	uint32_t uid;
	uint32_t gid;
	uint32_t groups_count;
	uint32_t groups[PLAN_GROUPS_MAX]; /* supplementary */

	/* Backends are dialed from the local ports from here on, and from
	 * those below while none of these is left; 0: from any. */
	uint32_t local_ports_split;

	struct plan_control control;
	struct plan_log log;

	struct plan_table services;
	struct plan_table listeners;
	struct plan_table backends;
	struct plan_table strings; /* count: bytes; the first one is a NUL */
};

/*
 * Check that length bytes at plan are a plan of this version (P1).  Returns 0,
 * or -EINVAL with the first thing found wrong in *why (a constant).
 */
must_check int plan_check(const struct plan *plan, size_t length,
    const char **why);

/*
 * Can plan to take the place of plan from (P2, P4)?  Both have been checked.
 * Returns 0, or -EINVAL with what is wrong in *why (a constant).
 */
must_check int plan_check_succession(const struct plan *from,
    const struct plan *to, const char **why);

/*
 * Map a plan's memfd read-only and check it.  Returns 0, or -errno and NULL
 * in *plan.  plan_unmap() takes it back.
 */
must_check int plan_map(int fd, const struct plan **plan);
void plan_unmap(const struct plan *plan);

/* i must be within the table's count: plan_check() holds stored ones to it. */
const struct plan_service *plan_service(const struct plan *plan, uint32_t i);
const struct plan_listener *plan_listener(const struct plan *plan, uint32_t i);
const struct plan_backend *plan_backend(const struct plan *plan, uint32_t i);
const char *plan_string(const struct plan *plan, uint32_t string);
/* Services that the configuration has. */
uint32_t plan_active_services(const struct plan *plan);

#endif
