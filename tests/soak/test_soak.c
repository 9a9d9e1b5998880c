/*
 * A long run: random streams over all pairs of families, with pauses, urgent
 * bytes and resets, and a gateway whose workers, holders and masters are killed
 * or stopped for a while, and that is reloaded, upgraded, told to close
 * connections, given more workers and fewer, in random order.  Every stream is
 * what it must be, and in the end nothing is left.
 *
 * SOAK_SECONDS in the environment says how long (./dev soak MINUTES); SOAK_SEED
 * repeats the order of a run, which says its seed at the start.
 *
 * What can't be survived is left out: the death of a holder and its worker at
 * once.  So after a holder's death the worker is spared until its connections
 * are another's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "load.h"
#include "soak.h"

#define SECONDS         15 /* unless the environment says more */
#define CALM_MS         1500
#define REPORT_EVERY_MS 60000
#define KIB             UINT64_C(1024)

static uint64_t
environment_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
start(struct soak *s)
{
	static const char *const addresses[SOAK_FAMILIES] = {
	    "127.0.0.1:0", "[::1]:0", NULL};
	const struct rlimit limit = {SOAK_DESCRIPTORS, SOAK_DESCRIPTORS};
	char un[E2E_PATH_SIZE + 8];

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
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
	gateway_address(&s->gateway, "echo", 0, s->echo);
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

static void
warm_up(struct soak *s)
{
	soak_add_traffic(s);
	load_run(s->load, CALM_MS);
	soak_quiet(s);
	load_expect_exact(s->load);
	/* The workers that stay keep the sockets of those that go. */
	soak_grow_and_shrink(s);
	soak_use_all(s);
	soak_note_remains(s, &s->at_start);
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
	/* What leaks must not be swept before it is looked for. */
	load_run(s.load, CALM_MS);
	soak_quiet(&s);
	load_expect_exact(s.load);
	report(&s);
	soak_expect_nothing_left(&s);
	expect_access_lines(&s);
	load_free(s.load);
	gateway_stop(&s.gateway);
	e2e_pass();
}
END_TEST

E2E_MAIN("soak", soak)
