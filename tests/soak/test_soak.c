/*
 * A long run: checked streams over all pairs of families, rude clients, and a
 * gateway whose workers, holders and masters are killed, and that is stopped
 * and continued, reloaded, upgraded, given more workers and fewer, in random
 * order.  Every stream is exact, and in the end nothing is left.
 *
 * SOAK_SECONDS in the environment says how long (./dev soak MINUTES); SOAK_SEED
 * repeats the order of a run, which says its seed at the start.
 *
 * What can't be survived is left out: the death of a holder and its worker at
 * once.  So after a holder's death the worker is spared until its connections
 * are another's.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "soak.h"

#define SECONDS         15 /* unless the environment says more */
#define WARM_UP_MS      1500
#define REPORT_EVERY_MS 60000
#define KIB             UINT64_C(1024)

/* clang-format off */
static const struct load_spec traffic[] = {
	{"bulk", LOAD_BOTH, .up = 700 * KIB, .down = 900 * KIB},
	{"small", LOAD_PINGPONG, .up = 12800, .down = 12800,
	    .message = 64},
	{"request", LOAD_PINGPONG, .up = 100, .down = 100, .message = 100},
	{"client first", LOAD_UP_FIRST, .up = 40000, .down = 60000},
	{"backend first", LOAD_DOWN_FIRST, .up = 50000, .down = 30000},
	{"slow reader", LOAD_BOTH, .up = 20 * KIB, .down = 600 * KIB,
	    .read_max = 20000, .read_pause_ms = 5, .receive_buffer = 4096},
	{"crumbs", LOAD_BOTH, .up = 900, .down = 900, .write_max = 1},
};
/* clang-format on */

static uint64_t
environment_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* The gateway */

static void
add_traffic(struct soak *s)
{
	char address[ADDR_TEXT_SIZE];
	char name[16];

	for (unsigned backend = 0; backend < SOAK_FAMILIES; backend++) {
		snprintf(name, sizeof name, "to_%s", soak_families[backend]);
		for (unsigned client = 0; client < SOAK_FAMILIES; client++) {
			unsigned pair = backend * SOAK_FAMILIES + client;

			gateway_address(&s->gateway, name, client, address);
			/* Each pair has all kinds, two at a time. */
			for (unsigned i = 0; i < ARRAY_LEN(traffic); i++)
				load_add(s->load, address, &traffic[i],
				    1 + (pair + i) % 3 / 2, 0);
		}
	}
}

static int
body_fds(const struct soak *s, unsigned worker)
{
	pid_t holder = gateway_holder(&s->gateway, worker);

	return proc_fds(holder) - proc_fds_named(holder, "pipe:");
}

/* Memory of the master and the holders; the workers' is in the bodies. */
static int64_t
all_pss_kib(const struct soak *s)
{
	int64_t sum = proc_pss_kib(s->gateway.pid);

	for (unsigned i = 0; i < SOAK_WORKERS; i++)
		sum += proc_pss_kib(gateway_holder(&s->gateway, i)) +
		    proc_pss_kib(gateway_worker(&s->gateway, i));
	return sum;
}

static void
start(struct soak *s)
{
	static const char *const addresses[SOAK_FAMILIES] = {
	    "127.0.0.1:0", "[::1]:0", NULL};
	char un[E2E_PATH_SIZE + 8];

	memset(s, 0, sizeof *s);
	s->state = environment_number("SOAK_SEED", (uint64_t)getpid());
	fprintf(stderr, "soak: SOAK_SEED=%" PRIu64 "\n", s->state);
	s->load = load_new();
	snprintf(un, sizeof un, "unix:%s/back", e2e_dir());
	for (unsigned i = 0; i < SOAK_FAMILIES; i++)
		load_listen(s->load, addresses[i] != NULL ? addresses[i] : un,
		    s->backend[i]);
	gateway_init(&s->gateway);
	s->gateway.workers = SOAK_WORKERS;
	s->gateway.globals = "watchdog = 5s";
	s->gateway.access = e2e_path(s->access, "access");
	soak_configure(s);
	gateway_run(&s->gateway);
	gateway_address(&s->gateway, "rude", 0, s->rude);
}

/* All streams end, and every slot is free. */
static void
expect_quiet(struct soak *s)
{
	load_stop_opening(s->load);
	load_finish(s->load, 30000);
	gateway_expect_number(&s->gateway, "totals/connections", 0);
}

/* The end */

static void
report(const struct soak *s)
{
	const struct load_counts *counts = load_counts(s->load);

	fprintf(stderr,
	    "soak: %u streams done, %u lost, %u wrong, %" PRIu64
	    " MiB, %" PRIu64 " steps, of which %" PRIu64 " killed something\n",
	    counts->done, counts->lost, counts->wrong,
	    counts->bytes / KIB / KIB, s->steps, s->kills);
}

/* A line for each connection; the file may be large. */
static void
expect_access_lines(const struct soak *s)
{
	int64_t accepted = gateway_number(&s->gateway, "totals/accepted");
	int64_t lines = 0;
	FILE *in = fopen(s->access, "re");
	int c;

	ck_assert_ptr_nonnull(in);
	while ((c = getc(in)) != EOF)
		lines += c == '\n';
	fclose(in);
	ck_assert_int_eq(lines +
		gateway_number(&s->gateway, "totals/log_dropped"),
	    accepted);
}

static bool
has_no_more_fds(void *arg)
{
	const struct soak *s = arg;

	for (unsigned i = 0; i < SOAK_WORKERS; i++) {
		if (body_fds(s, i) != s->fds[i])
			return false;
	}
	return true;
}

static void
expect_nothing_left(struct soak *s)
{
	int64_t pss_kib = all_pss_kib(s);

	/* Who stood in for another looks now and then whether it still must. */
	(void)e2e_wait(has_no_more_fds, s, NET_TIMEOUT_MS);
	for (unsigned i = 0; i < SOAK_WORKERS; i++)
		ck_assert_int_eq(body_fds(s, i), s->fds[i]);
	expect_access_lines(s);
	fprintf(stderr,
	    "soak: memory was %" PRId64 " KiB after the warm-up and is %" PRId64
	    " KiB\n",
	    s->pss_kib, pss_kib);
}

static void
warm_up(struct soak *s)
{
	add_traffic(s);
	load_run(s->load, WARM_UP_MS);
	expect_quiet(s);
	load_expect_exact(s->load);
	/* The workers that stay keep the sockets of those that go. */
	soak_change_workers(s, SOAK_WORKERS_MAX);
	soak_change_workers(s, SOAK_WORKERS);
	ck_assert(gateway_settles(&s->gateway));
	for (unsigned i = 0; i < SOAK_WORKERS; i++)
		s->fds[i] = body_fds(s, i);
	s->pss_kib = all_pss_kib(s);
}

START_TEST(soak)
{
	uint64_t ms = 1000 * environment_number("SOAK_SECONDS", SECONDS);
	uint64_t end;
	uint64_t report_ms;
	struct soak s;

	start(&s);
	warm_up(&s);
	load_open_again(s.load);
	end = e2e_now_ms() + ms;
	report_ms = e2e_now_ms() + REPORT_EVERY_MS;
	while (e2e_now_ms() < end) {
		load_run(s.load, (int)soak_choose(&s, 120));
		soak_take_step(&s);
		if (e2e_now_ms() < report_ms)
			continue;
		report(&s);
		report_ms += REPORT_EVERY_MS;
	}
	s.has_extra = false;
	soak_change_workers(&s, SOAK_WORKERS);
	ck_assert(gateway_settles(&s.gateway));
	expect_quiet(&s);
	load_expect_exact(s.load);
	report(&s);
	expect_nothing_left(&s);
	load_free(s.load);
	gateway_stop(&s.gateway);
	e2e_pass();
}
END_TEST

E2E_MAIN("soak", soak)
