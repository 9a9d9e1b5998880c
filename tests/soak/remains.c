/*
 * remains - what there is while a gateway has no connection: descriptors,
 * processes, files, memory, and slots that can be used; see soak.h.
 */
#include "soak.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "net.h"
#include "proc.h"

/* What an allocator keeps, and a table that was never that full. */
#define MORE_KIB INT64_C(512)
/* More than there are slots; and their lines fill the rings of all bodies, which
 * are memory from then on. */
#define MANY 7000
/* Of the pipes that a worker makes before it needs them. */
#define RESERVED_FDS 8

#define SLOTS     (SOAK_DESCRIPTORS / 2)
#define FINISH_MS 30000
#define SAMPLES   40
#define SAMPLE_MS 3

/* Counting */

/* What is there for a moment (a control connection that was just closed)
 * doesn't count. */
static int
fewest_fds(pid_t pid)
{
	int fewest = proc_fds(pid);

	for (unsigned i = 0; i < SAMPLES; i++) {
		int fds = proc_fds(pid);

		fewest = fds < fewest ? fds : fewest;
		e2e_pause(SAMPLE_MS);
	}
	return fewest;
}

static int
count_files(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	ck_assert_msg(dir != NULL, "%s can't be read", path);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Below the runner, who inherits what has lost its parent. */
static int
count_processes(void)
{
	pid_t all[4 * GATEWAY_FAMILY_MAX];
	size_t count = proc_descendants(getppid(), all, ARRAY_LEN(all));
	int alive = 0;

	for (size_t i = 0; i < count; i++)
		alive += proc_is_alive(all[i]);
	return alive;
}

static int64_t
all_pss_kib(const struct soak *s)
{
	int64_t sum = proc_pss_kib(s->gateway.pid);

	for (unsigned i = 0; i < SOAK_WORKERS; i++)
		sum += proc_pss_kib(gateway_holder(&s->gateway, i)) +
		    proc_pss_kib(gateway_worker(&s->gateway, i));
	return sum;
}

void
soak_note_remains(const struct soak *s, struct soak_remains *remains)
{
	char doors[E2E_PATH_SIZE + 8];

	snprintf(doors, sizeof doors, "%s.bodies", s->gateway.control);
	remains->files = count_files(e2e_dir()) + count_files(doors);
	remains->processes = count_processes();
	for (unsigned i = 0; i < SOAK_WORKERS; i++) {
		pid_t holder = gateway_holder(&s->gateway, i);

		remains->body_fds[i] =
		    proc_fds(holder) - proc_fds_named(holder, "pipe:");
	}
	remains->pss_kib = all_pss_kib(s);
	remains->master_fds = fewest_fds(s->gateway.pid);
}

static bool
counts_are_equal(void *arg)
{
	const struct soak *s = arg;
	const struct soak_remains *before = &s->at_start;
	struct soak_remains now;

	soak_note_remains(s, &now);
	for (unsigned i = 0; i < SOAK_WORKERS; i++) {
		if (now.body_fds[i] != before->body_fds[i])
			return false;
	}
	return now.master_fds == before->master_fds &&
	    now.processes == before->processes && now.files == before->files;
}

static void
expect_counts(struct soak *s)
{
	const struct soak_remains *before = &s->at_start;
	struct soak_remains now;

	/* Who stood in for another looks now and then whether it still must. */
	(void)e2e_wait(counts_are_equal, s, NET_TIMEOUT_MS);
	soak_note_remains(s, &now);
	ck_assert_int_eq(now.processes, before->processes);
	ck_assert_int_eq(now.files, before->files);
	ck_assert_int_eq(now.master_fds, before->master_fds);
	for (unsigned i = 0; i < SOAK_WORKERS; i++)
		ck_assert_int_eq(now.body_fds[i], before->body_fds[i]);
	fprintf(stderr,
	    "soak: memory was %" PRId64 " KiB after the warm-up and is %" PRId64
	    " KiB; %d processes, %d descriptors of the master, %d and %d of "
	    "the bodies, %d files\n",
	    before->pss_kib, now.pss_kib, now.processes, now.master_fds,
	    now.body_fds[0], now.body_fds[1], now.files);
	ck_assert_int_le(now.pss_kib, before->pss_kib + MORE_KIB);
}

/* Slots */

static void
expect_connections(const struct soak *s, int64_t count)
{
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	int64_t now;

	while ((now = gateway_number(&s->gateway, "totals/connections")) !=
	    count) {
		ck_assert_msg(e2e_now_ms() < end,
		    "%" PRId64 " connections, not %" PRId64, now, count);
		load_turn(s->load, 5);
	}
}

void
soak_use_all(const struct soak *s)
{
	const struct load_spec held = {
	    "held", LOAD_BOTH, PEER_ECHO, .up = 100, .hold = true};
	const struct load_spec short_lived = {
	    "short-lived", LOAD_PINGPONG, PEER_ECHO, .up = 16, .message = 16};

	load_add(s->load, s->echo, &held, SOAK_CONNECTIONS, SOAK_CONNECTIONS);
	expect_connections(s, SOAK_CONNECTIONS);
	load_release(s->load);
	load_finish(s->load, FINISH_MS);
	load_add(s->load, s->echo, &short_lived, SOAK_CONNECTIONS / 4, MANY);
	load_finish(s->load, FINISH_MS);
	expect_connections(s, 0);
}

/* A sweep closes what stands nowhere in a body, pipes too, and counts anew what
 * lives: it must find nothing to set right. */
static void
expect_nothing_to_sweep(struct soak *s, unsigned worker)
{
	pid_t holder = gateway_holder(&s->gateway, worker);
	int pipe_fds = proc_fds_named(holder, "pipe:");
	int others = proc_fds(holder) - pipe_fds;
	pid_t old = gateway_signal_worker(&s->gateway, worker, SIGKILL);

	gateway_expect_successor(&s->gateway, worker, old);
	expect_connections(s, 0);
	ck_assert_int_eq(gateway_holder(&s->gateway, worker), holder);
	ck_assert_int_eq(proc_fds(holder) - proc_fds_named(holder, "pipe:"),
	    others);
	/* The new one makes some if there are few. */
	if (pipe_fds < RESERVED_FDS)
		pipe_fds = RESERVED_FDS;
	ck_assert_int_eq(proc_fds_named(holder, "pipe:"), pipe_fds);
}

void
soak_expect_nothing_left(struct soak *s)
{
	/* Twice as often as before the start was noted: what a master, which may
	 * be new, loses by it would show. */
	soak_grow_and_shrink(s);
	soak_grow_and_shrink(s);
	soak_use_all(s);
	expect_counts(s);
	for (unsigned i = 0; i < SOAK_WORKERS; i++)
		expect_nothing_to_sweep(s, i);
}
