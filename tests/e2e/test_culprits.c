/*
 * A defect in the worker that one connection triggers costs that connection,
 * and no other; one that keeps a worker from starting costs nobody anything.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access_log.h"
#include "faulty/faulty.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"

#define WORKERS 2
#define OTHERS  1000
#define FAULTS  100
/* So many of the others have asked, and wait, when a worker crashes: all of
 * them several times. */
#define ASKING 50
/* A delay that grows would pass it after seven faults. */
#define FAULT_MS   (500ULL * E2E_SLOWNESS)
#define ANSWER_MS  500
#define BACKOFF_MS 2500

struct fixture {
	struct gateway gateway;
	char access[E2E_PATH_SIZE];
	char victim[ADDR_TEXT_SIZE];
	int others[OTHERS];
	unsigned count;
};

static void
fixture_start(struct fixture *f, unsigned others, const char *globals)
{
	char address[ADDR_TEXT_SIZE];

	memset(f, 0, sizeof *f);
	setenv("SRVD_BIN", FAULTY_PROGRAM, 1);
	gateway_init(&f->gateway);
	f->gateway.workers = WORKERS;
	f->gateway.globals = globals;
	f->gateway.access = e2e_path(f->access, "access");
	gateway_start(&f->gateway,
	    "service echo {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service victim {\n	listen = {127.0.0.1:0}\n"
	    "	backend b { address = builtin:echo }\n}\n");
	gateway_address(&f->gateway, "victim", 0, f->victim);
	gateway_address(&f->gateway, "echo", 0, address);
	for (; f->count < others; f->count++)
		f->others[f->count] = net_connect(address);
}

static void
expect_others(const struct fixture *f)
{
	for (unsigned i = 0; i < f->count; i++) {
		net_say(f->others[i], "still there?");
		net_hear(f->others[i], "still there?");
	}
	gateway_expect_number(&f->gateway, "totals/connections", f->count);
}

static void
fixture_stop(struct fixture *f)
{
	for (unsigned i = 0; i < f->count; i++)
		close(f->others[i]);
	gateway_stop(&f->gateway);
}

/* Some of the others, in turn. */
static void
say_from_some(const struct fixture *f, unsigned round)
{
	for (unsigned i = 0; i < ASKING; i++)
		net_say(f->others[(round * ASKING + i) % f->count], "?");
}

static void
hear_by_some(const struct fixture *f, unsigned round)
{
	for (unsigned i = 0; i < ASKING; i++)
		net_hear(f->others[(round * ASKING + i) % f->count], "?");
}

static void
fault_once(const struct fixture *f, const char *word)
{
	int fd = net_connect(f->victim);

	net_say(fd, word);
	net_expect_end(fd, NET_RESET);
	close(fd);
}

/* How many lines of a file have these words? */
static unsigned
count_lines(const char *path, const char *words)
{
	char line[1024];
	unsigned count = 0;
	FILE *in = fopen(path, "re");

	ck_assert_ptr_nonnull(in);
	while (fgets(line, sizeof line, in) != NULL)
		count += strstr(line, words) != NULL;
	fclose(in);
	return count;
}

/* The last death of the worker that died last, a part of the status. */
static json_t *
find_last_death(json_t *status)
{
	json_t *last = NULL;
	json_int_t at_us = 0;

	for (unsigned i = 0; i < WORKERS; i++) {
		char path[32];
		json_t *death;
		json_int_t us;

		snprintf(path, sizeof path, "workers/%u/last_death", i);
		death = gateway_find(status, path);
		us = json_integer_value(json_object_get(death, "at_us"));
		if (us > at_us) {
			at_us = us;
			last = death;
		}
	}
	ck_assert_ptr_nonnull(last);
	return last;
}

/* The log's line of the last death; it was written before the status that
 * tells of it. */
static void
read_death_line(const struct fixture *f, char *death, size_t size)
{
	char line[1024];
	FILE *in = fopen(f->gateway.log, "re");

	ck_assert_ptr_nonnull(in);
	death[0] = '\0';
	while (fgets(line, sizeof line, in) != NULL)
		if (strstr(line, " died, a successor takes over ") != NULL)
			snprintf(death, size, "%s", line);
	fclose(in);
}

/* Log and status say the same, and both say where, if it was anywhere. */
static void
expect_told(const struct fixture *f, const json_t *death, int signal)
{
	const char *address =
	    json_string_value(json_object_get(death, "address"));
	char wanted[80];
	char line[1024];

	ck_assert_int_eq(address != NULL, signal == SIGSEGV);
	snprintf(wanted, sizeof wanted, " signal=SIG%s%s%s\n",
	    sigabbrev_np(signal),
	    address == NULL ? "" : " address=", address == NULL ? "" : address);
	read_death_line(f, line, sizeof line);
	ck_assert_msg(strstr(line, wanted) != NULL, "not \"%s\" but \"%s\"",
	    wanted, line);
	if (address != NULL)
		ck_assert_uint_ne(strtoull(address, NULL, 16), 0);
}

static void
expect_death(const struct fixture *f, const char *cause, int signal)
{
	json_t *status = gateway_status(&f->gateway);
	json_t *last = find_last_death(status);

	expect_told(f, last, signal);

	ck_assert_str_eq(json_string_value(json_object_get(last, "cause")),
	    cause);
	ck_assert_int_eq(json_integer_value(json_object_get(last, "signal")),
	    signal);
	ck_assert_int_gt(json_integer_value(json_object_get(last, "culprit")),
	    0);
	json_decref(status);
}

START_TEST(one_client_a_hundred_times)
{
	struct fixture f;
	struct access_log log;

	fixture_start(&f, OTHERS, "");
	expect_others(&f);
	for (unsigned i = 0; i < FAULTS; i++) {
		uint64_t start;
		uint64_t took;

		say_from_some(&f, i);
		start = e2e_now_ms();
		fault_once(&f, FAULTY_SEGV);
		took = e2e_now_ms() - start;
		hear_by_some(&f, i);
		ck_assert_msg(took < FAULT_MS, "fault %u took %llu ms", i,
		    (unsigned long long)took);
	}
	expect_others(&f);
	gateway_expect_number(&f.gateway, "totals/culprits", FAULTS);
	gateway_expect_number(&f.gateway, "totals/deaths", FAULTS);
	expect_death(&f, "signal", SIGSEGV);
	ck_assert_uint_eq(count_lines(f.gateway.log,
			      "because its worker crashed on it"),
	    FAULTS);
	access_log_read(&log, f.access, FAULTS);
	ck_assert_uint_eq(access_log_count(&log, "victim", "culprit"), FAULTS);
	ck_assert_uint_eq(log.count, FAULTS);
	access_log_free(&log);
	fixture_stop(&f);
}
END_TEST

START_TEST(every_kind_of_fault)
{
	static const struct {
		const char *word;
		const char *cause;
		int signal;
		const char *reason;
	} kinds[] = {
	    {FAULTY_SEGV, "signal", SIGSEGV, "culprit"},
	    {FAULTY_ABORT, "signal", SIGABRT, "culprit"},
	    {FAULTY_LOOP, "watchdog", SIGKILL, "watchdog"},
	};
	struct access_log log;
	struct fixture f;

	fixture_start(&f, 20, "watchdog = 2500ms\n");
	expect_others(&f);
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		fault_once(&f, kinds[i].word);
		expect_others(&f);
		expect_death(&f, kinds[i].cause, kinds[i].signal);
		access_log_read(&log, f.access, i + 1);
		ck_assert_str_eq(log.entries[i].reason, kinds[i].reason);
		access_log_free(&log);
	}
	gateway_expect_number(&f.gateway, "totals/culprits", ARRAY_LEN(kinds));
	fixture_stop(&f);
}
END_TEST

/* How many of the others are answered within half a second? */
static unsigned
ask_others(const struct fixture *f)
{
	uint64_t end = e2e_now_ms() + ANSWER_MS;
	unsigned answered = 0;

	for (unsigned i = 0; i < f->count; i++)
		net_say(f->others[i], "?");
	for (unsigned i = 0; i < f->count; i++) {
		uint64_t now = e2e_now_ms();

		answered += !net_is_silent(f->others[i],
		    now < end ? (int)(end - now) : 0);
	}
	return answered;
}

START_TEST(a_worker_that_cannot_start)
{
	char bound[ADDR_TEXT_SIZE];
	struct fixture f;
	unsigned answered;
	int64_t respawns;
	int hindrance;
	pid_t old;

	fixture_start(&f, 40, "");
	expect_others(&f);
	hindrance = net_listen(FAULTY_START, 4096, bound);
	old = gateway_signal_worker(&f.gateway, 0, SIGKILL);
	answered = ask_others(&f);
	ck_assert_uint_gt(answered, 0);
	ck_assert_uint_lt(answered, f.count);
	e2e_pause(BACKOFF_MS);
	/* 10 ms, 20, 40, … */
	respawns = gateway_number(&f.gateway, "workers/0/respawns");
	ck_assert_msg(respawns >= 4 && respawns <= 12, "%lld tries",
	    (long long)respawns);
	close(hindrance);
	gateway_expect_successor(&f.gateway, 0, old);
	for (unsigned i = 0; i < f.count; i++)
		net_hear(f.others[i], "?");
	expect_others(&f);
	/* And the next one does not pay for it. */
	(void)gateway_signal_worker(&f.gateway, 0, SIGKILL);
	ck_assert_uint_eq(ask_others(&f), f.count);
	fixture_stop(&f);
}
END_TEST

E2E_MAIN("culprits", one_client_a_hundred_times, every_kind_of_fault,
    a_worker_that_cannot_start)
