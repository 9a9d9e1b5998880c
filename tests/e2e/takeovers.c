/*
 * takeovers - a gateway whose master dies; see takeovers.h.
 */
#include "takeovers.h"

#include <stdio.h>
#include <unistd.h>

#include "access_log.h"
#include "harness.h"
#include "proc.h"

#define WORKERS 2
#define MIB     (1024ULL * 1024)

/* clang-format off */
static const struct load_spec traffic[] = {
	{"bulk", LOAD_BOTH, .up = 24 * MIB, .down = 24 * MIB},
	{"messages", LOAD_PINGPONG, .up = 64ULL * 2000, .down = 64ULL * 2000,
	    .message = 64},
	{"short", LOAD_PINGPONG, .up = 100, .down = 100, .message = 100},
	{"half-closed", LOAD_UP_FIRST, .up = 40000, .down = 60000},
	{"half-closed by the backend", LOAD_DOWN_FIRST, .up = 60000,
	    .down = 40000},
	{"slow", LOAD_BOTH, .up = 200000, .down = 200000, .read_max = 8192,
	    .read_pause_ms = 10},
};
static const unsigned concurrency[] = {2, 8, 4, 3, 3, 3};

/* Both kinds of listeners, both kinds of backends. */
static const char services[] =
    "service tcp {\n"
    "	listen = {\"127.0.0.1:0\", \"unix:%s/in\"}\n"
    "	backend b { address = \"%s\" }\n}\n"
    "service unix {\n	listen = {\"127.0.0.1:0\"}\n"
    "	backend b { address = \"%s\" }\n}\n"
    "%s";
/* clang-format on */

void
takeovers_configure(const struct takeovers *f, const char *more)
{
	gateway_configure(&f->gateway, services, e2e_dir(), f->tcp, f->un,
	    more);
}

void
takeovers_start(struct takeovers *f, const char *globals)
{
	char address[E2E_PATH_SIZE + 8];
	char path[E2E_PATH_SIZE];

	f->load = load_new();
	load_listen(f->load, "127.0.0.1:0", f->tcp);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "back"));
	load_listen(f->load, address, f->un);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	f->gateway.globals = globals;
	f->gateway.access = e2e_path(f->access, "access.log");
	takeovers_configure(f, "");
	gateway_run(&f->gateway);
	gateway_address(&f->gateway, "tcp", 0, f->address[0]);
	gateway_address(&f->gateway, "tcp", 1, f->address[1]);
	gateway_address(&f->gateway, "unix", 0, f->address[2]);
}

void
takeovers_add_traffic(struct takeovers *f)
{
	for (size_t a = 0; a < ARRAY_LEN(f->address); a++) {
		for (size_t i = 0; i < ARRAY_LEN(traffic); i++)
			load_add(f->load, f->address[a], &traffic[i],
			    concurrency[i], 0);
	}
	load_run(f->load, 100);
}

void
takeovers_succeed(struct takeovers *f)
{
	uint64_t end = e2e_now_ms() + GATEWAY_TIMEOUT_MS;

	gateway_begin(&f->gateway);
	while (!gateway_is_ready(&f->gateway)) {
		ck_assert_msg(e2e_now_ms() < end,
		    "the new master is not ready after %d ms",
		    GATEWAY_TIMEOUT_MS);
		load_turn(f->load, 2);
	}
}

void
takeovers_expect_gone(struct takeovers *f)
{
	uint64_t end = e2e_now_ms() + GATEWAY_TIMEOUT_MS;
	const struct gateway *g = &f->gateway;

	for (size_t i = 0; i < g->family_count; i++) {
		while (proc_is_alive(g->family[i])) {
			ck_assert_msg(e2e_now_ms() < end,
			    "process %d of the dead master is still there",
			    (int)g->family[i]);
			load_turn(f->load, 2);
		}
	}
}

void
takeovers_expect_addresses(const struct takeovers *f)
{
	static const char *const names[] = {"tcp", "tcp", "unix"};
	char now[ADDR_TEXT_SIZE];

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_str_eq(gateway_address(&f->gateway, names[i], i % 2,
				     now),
		    f->address[i]);
}

void
takeovers_finish(struct takeovers *f)
{
	const struct load_counts *counts = load_counts(f->load);
	char path[E2E_PATH_SIZE];
	struct access_log log;

	load_stop_opening(f->load);
	load_finish(f->load, 20000);
	load_expect_exact(f->load);
	gateway_expect_number(&f->gateway, "totals/connections", 0);
	gateway_expect_number(&f->gateway, "totals/accepted", counts->opened);
	access_log_read(&log, f->access, counts->opened);
	ck_assert_uint_eq(log.count, counts->opened);
	access_log_expect_unique(&log);
	access_log_free(&log);
	load_free(f->load);
	gateway_stop(&f->gateway);
	ck_assert_int_ne(access(e2e_path(path, "in"), F_OK), 0);
}

void
takeovers_expect_failed_start(struct takeovers *f)
{
	int status;

	gateway_begin(&f->gateway);
	while ((status = proc_wait(f->gateway.pid, 0)) < 0)
		load_turn(f->load, 2);
	f->gateway.pid = -1;
	ck_assert_int_eq(status, 1);
}
