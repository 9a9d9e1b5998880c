/*
 * control_gateway - a made-up gateway for the control socket's tests: a
 * master, its plan, and bodies with connections.
 *
 * Stands in for the master: one test program each.  What was asked of it, and
 * what it is to answer, lies in memory that a server's process shares with
 * its test; control_fakes.h does it.
 */
#ifndef SRVD_TESTS_CONTROL_GATEWAY_H
#define SRVD_TESTS_CONTROL_GATEWAY_H

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/master/bodies.h"
#include "server/master/closing.h"
#include "server/master/control_methods.h"
#include "server/master/loop.h"
#include "server/master/rebalance.h"
#include "server/master/reload.h"
#include "server/master/status.h"
#include "server/master/upgrade.h"

/* The rows of its plan. */
enum fake_service {
	REDIS, /* backends a, and b as a backup */
	WEB,   /* one backend, a Unix-domain socket */
	OLD,   /* has left the configuration, with its backend */
	NOBODYS,
	FAKE_SERVICES
};
enum fake_backend {
	REDIS_A,
	WEB_A,
	OLD_A,
	REDIS_B,
	NO_BACKEND,
	FAKE_BACKENDS
};

#define FAKE_BODIES_MAX 4

/* One allocation, as a real plan is: the head, the tables, the strings. */
struct fake_plan {
	struct plan head;
	struct plan_service services[FAKE_SERVICES];
	struct plan_listener listeners[2];
	struct plan_backend backends[FAKE_BACKENDS];
	char strings[512];
};

enum fake_outcome {
	FAKE_DONE,
	FAKE_INVALID,
	FAKE_FAILED
};

/* Shared by the server's process and the test. */
struct fake_shared {
	/* What to do. */
	enum fake_outcome outcome; /* of the next reload */
	uint32_t takes_ms;         /* a reload, a closing, … */
	bool is_stopping;
	bool is_upgrading;
	bool drops_old; /* a reload gives the row OLD to another name */
	/* What was asked. */
	_Atomic uint32_t reloads; /* that have ended */
	_Atomic uint32_t dry_runs;
	_Atomic uint32_t closings;
	_Atomic uint32_t rebalances;
	_Atomic uint32_t upgrades;
	_Atomic uint32_t forgotten;
	_Atomic uint32_t reopened;
	_Atomic uint32_t stops;
	uint64_t stop_ms;
	uint32_t level;
	uint32_t level_service;
	struct filter filter;
	bool reset;
};

/* Something that takes its time. */
struct fake_work {
	struct loop_timer timer;
	bool is_under_way;
	bool dry_run;
	void *arg;
	reload_done_fn *reload_done;
	closing_done_fn *closing_done;
	rebalance_done_fn *rebalance_done;
	upgrade_done_fn *upgrade_done;
};

struct master {
	struct loop *loop;
	struct fake_plan plan;
	struct bodies bodies;
	struct body_ref refs[BOARD_ROWS];
	struct fake_work reload;
	struct fake_work closing;
	struct fake_work rebalance;
	struct fake_work upgrade;
	uint32_t workers;
	uint32_t strings_used;
};

static struct master gateway;
static struct fake_shared *shared;

static inline uint32_t
string_add(const char *text)
{
	uint32_t at = gateway.strings_used;
	size_t size = strlen(text) + 1;

	ck_assert_uint_le(at + size, sizeof(gateway.plan.strings));
	memcpy(gateway.plan.strings + at, text, size);
	gateway.strings_used += (uint32_t)size;
	return at;
}

static inline struct plan_table
table_at(size_t offset, uint32_t count)
{
	return (struct plan_table){.offset = (uint32_t)offset, .count = count};
}

static inline void
set_addr(struct addr *addr, const char *text, enum addr_use use)
{
	char why[256];

	ck_assert_int_eq(addr_parse(text, use, addr, why, sizeof(why)), 0);
}

static inline void
fill_backends(struct fake_plan *plan)
{
	static const struct {
		const char *name;
		const char *address;
		uint32_t service;
		uint32_t state;
		uint32_t next;
		bool backup;
	} rows[] = {
	    [REDIS_A] = {"a", "10.0.0.11:6379", REDIS, ROW_ACTIVE, REDIS_B,
		false},
	    [WEB_A] = {"a", "unix:/run/web.sock", WEB, ROW_ACTIVE, PLAN_END,
		false},
	    [OLD_A] = {"gone", "10.0.0.9:80", OLD, ROW_REMOVED, 0, false},
	    [REDIS_B] = {"b", "[::1]:6379", REDIS, ROW_ACTIVE, PLAN_END, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		plan->backends[i] = (struct plan_backend){
		    .state = rows[i].state,
		    .next = rows[i].next,
		    .service = rows[i].service,
		    .name = string_add(rows[i].name),
		    .text = string_add(rows[i].address),
		    .backup = rows[i].backup,
		};
		set_addr(&plan->backends[i].addr, rows[i].address,
		    ADDR_FOR_BACKEND);
	}
}

static inline void
fill_services(struct fake_plan *plan)
{
	static const char *const names[] = {"redis", "web"};
	static const char *const addresses[] = {"0.0.0.0:0", "unix:@web"};

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		plan->services[i] = (struct plan_service){
		    .state = ROW_ACTIVE,
		    .name = string_add(names[i]),
		    .first_listener = i,
		    .listeners = 1,
		    .first_backend = i,
		    .backends = i == REDIS ? 2 : 1,
		};
		plan->listeners[i] = (struct plan_listener){
		    .state = ROW_ACTIVE,
		    .next = PLAN_END,
		    .service = i,
		    .text = string_add(addresses[i]),
		};
		set_addr(&plan->listeners[i].addr, addresses[i],
		    ADDR_FOR_LISTEN);
	}
	plan->services[OLD] = (struct plan_service){
	    .state = ROW_REMOVED,
	    .name = string_add("old"),
	    .first_listener = PLAN_END,
	    .first_backend = PLAN_END,
	};
}

static inline void
fill_gateway(const char *socket_path)
{
	struct fake_plan *plan = &gateway.plan;

	memset(&gateway, 0, sizeof(gateway));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	shared->takes_ms = 1;
	gateway.bodies.refs = gateway.refs;
	for (uint32_t i = 0; i < BOARD_ROWS; i++)
		gateway.refs[i].body_fd = -1;
	gateway.strings_used = 1;
	gateway.workers = 2;
	plan->head = (struct plan){
	    .magic = PLAN_MAGIC,
	    .version = PLAN_VERSION,
	    .length = sizeof(*plan),
	    .generation = 7,
	    .drain_timeout_ms = 30000,
	    /* A path may be any bytes; a reply must be UTF-8. */
	    .config_path = string_add("/etc/srvd/\xff.conf"),
	    .max_connections = 100,
	    .control = {.path = string_add(socket_path),
		.mode = 0660,
		.gid = PLAN_NO_ID,
		.admin = {.id = PLAN_NO_ID}},
	    .services =
		table_at(offsetof(struct fake_plan, services), FAKE_SERVICES),
	    .listeners = table_at(offsetof(struct fake_plan, listeners), 2),
	    .backends =
		table_at(offsetof(struct fake_plan, backends), FAKE_BACKENDS),
	};
	fill_services(plan);
	fill_backends(plan);
	plan->head.strings = table_at(offsetof(struct fake_plan, strings),
	    sizeof(plan->strings));
}

/* Connections, which live in real bodies. */

/* A body of so many slots, all free.  A server sees what is done to it. */
static inline struct body *
gateway_add_body(uint32_t slots)
{
	const struct body_spec spec = {
	    .row = gateway.bodies.count,
	    .seat = gateway.bodies.count,
	    .slots_max = slots,
	    .pipes_max = 8,
	    .first_id = 1,
	    .plan = &gateway.plan.head,
	};
	struct body_ref *ref = &gateway.refs[gateway.bodies.count];

	ck_assert_uint_lt(gateway.bodies.count, FAKE_BODIES_MAX);
	gateway.bodies.count++;
	ref->row = spec.row;
	ref->seat = spec.seat;
	ref->is_current = true;
	ref->body_fd = body_create(&spec);
	ck_assert_int_ge(ref->body_fd, 0);
	ck_assert_int_eq(body_map(ref->body_fd, 1, &ref->body), 0);
	return &ref->body;
}

static inline struct endpoint
endpoint_of(const char *text)
{
	struct addr addr;
	struct endpoint endpoint = {.kind = ADDR_UNIX};

	if (strcmp(text, "unix") == 0)
		return endpoint;
	set_addr(&addr, text, ADDR_FOR_LISTEN);
	endpoint.kind = addr.kind;
	endpoint.port = addr.port;
	memcpy(endpoint.ip, addr.ip, sizeof(endpoint.ip));
	return endpoint;
}

/* The next slot of body becomes a connection to REDIS_A. */
static inline struct slot *
gateway_add_connection(struct body *body, uint64_t id)
{
	struct slot *slot = &body->slots[body->head->slots_used++];

	ck_assert_uint_le(body->head->slots_used, body->head->slots_max);
	*slot = (struct slot){
	    .id = id,
	    .state = CONN_RELAYING,
	    .service = REDIS,
	    .backend = REDIS_A,
	    .has_backend = 1,
	    .started_us = (clock_monotonic_ms() - 60000) * 1000,
	    .active_ms = clock_monotonic_ms() - 10000,
	    .client = endpoint_of("192.0.2.7:40000"),
	    .local = endpoint_of("10.0.0.1:6379"),
	    .source = endpoint_of("10.0.0.1:50000"),
	    .server = endpoint_of("10.0.0.11:6379"),
	    .flows[FLOW_UP] = {.pulled = 12, .moved = 12},
	    .flows[FLOW_DOWN] = {.pulled = 34, .moved = 34},
	};
	return slot;
}

struct loop *
master_loop(struct master *m)
{
	return m->loop;
}

const struct plan *
master_plan(const struct master *m)
{
	return &m->plan.head;
}

const struct bodies *
master_bodies(const struct master *m)
{
	return &m->bodies;
}

void
status_listener_bound(const struct master *m, uint32_t listener,
    struct addr *bound)
{
	*bound = plan_listener(master_plan(m), listener)->addr;
	bound->port = 12345;
}

#endif
