/*
 * PostgreSQL through the gateway: pgbench with one seed does the same
 * transactions each time, so that the database is byte for byte the same
 * afterwards whether they came directly, through the gateway, or through the
 * gateway while it is reloaded and its workers are killed.
 */
#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disturb.h"
#include "gateway.h"
#include "harness.h"
#include "proc.h"
#include "software.h"

#define OUTPUT_SIZE  65536
#define COMMAND_SIZE 1024
#define BIN_SIZE     256
#define CLIENTS      8
#define SCALE        1

/* In the name of the gateway's own Unix-domain socket, where a client of
 * PostgreSQL looks for it. */
#define FRONT_PORT 5432

static char output[OUTPUT_SIZE];

struct cluster {
	char bin[BIN_SIZE]; /* where its programs are; ends with a slash */
	char as[128];       /* what runs a command as an ordinary user */
	int port;
	pid_t pid;
};

/* Pgbench's work: transactions of each client, and what else is said to it. */
struct job {
	const char *options;
	unsigned transactions;
};

static const struct job calm_jobs[] = {
    {"", 150},
    {"-C", 30},
};

/* At a pace, so that there is time for something to happen. */
static const struct job disturbed_jobs[] = {
    {"-R 1000", 300},
    {"-C -R 100", 30},
};

/* Debian keeps the server's programs where no PATH leads. */
static bool
find_programs(struct cluster *c)
{
	glob_t found;

	c->bin[0] = '\0';
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0) {
		const char *newest = found.gl_pathv[found.gl_pathc - 1];

		snprintf(c->bin, sizeof c->bin, "%.*s",
		    (int)(strrchr(newest, '/') + 1 - newest), newest);
		globfree(&found);
		return true;
	}
	if (proc_has_program("initdb") && proc_has_program("pgbench"))
		return true;
	e2e_skip("the server of PostgreSQL is not installed");
	return false;
}

static void
run(const char *command)
{
	struct disturb none = {0};

	disturb_run(&none, command, output, sizeof output);
}

/* A directory that belongs to who runs the server, which is never root. */
static void
make_directory(const char *name, const struct passwd *owner)
{
	char path[E2E_PATH_SIZE];

	ck_assert_int_eq(mkdir(e2e_path(path, name), 0755), 0);
	if (owner != NULL)
		ck_assert_msg(chown(path, owner->pw_uid, owner->pw_gid) == 0,
		    "chown %s: %s", path, strerror(errno));
}

static void
prepare_user(struct cluster *c)
{
	const struct passwd *nobody = NULL;

	c->as[0] = '\0';
	if (getuid() == 0) {
		nobody = getpwnam("nobody");
		ck_assert_ptr_nonnull(nobody);
		snprintf(c->as, sizeof c->as,
		    "setpriv --reuid=%u --regid=%u --clear-groups "
		    "--pdeathsig=keep",
		    nobody->pw_uid, nobody->pw_gid);
	}
	make_directory("data", nobody);
	make_directory("socket", nobody);
}

static bool
cluster_is_ready(void *arg)
{
	const struct cluster *c = arg;
	char command[COMMAND_SIZE];

	ck_assert_msg(proc_wait(c->pid, 0) == -1, "PostgreSQL has ended");
	snprintf(command, sizeof command,
	    "exec %spg_isready -q -U bench -h 127.0.0.1 -p %d", c->bin,
	    c->port);
	return proc_wait(software_start(command, "ready.log"), 5000) == 0;
}

/* A new cluster that keeps nothing, on 127.0.0.1 and a Unix-domain socket. */
static void
cluster_start(struct cluster *c)
{
	char command[COMMAND_SIZE];

	prepare_user(c);
	snprintf(command, sizeof command,
	    "cd %s && exec %s %sinitdb -D data -U bench -A trust --no-sync "
	    "--locale=C -E UTF8",
	    e2e_dir(), c->as, c->bin);
	run(command);
	c->port = software_free_port();
	snprintf(command, sizeof command,
	    "cd %s && exec %s %spostgres -D data -h 127.0.0.1 -p %d "
	    "-k %s/socket -F -c full_page_writes=off -c autovacuum=off "
	    "-c synchronous_commit=off -c shared_buffers=32MB",
	    e2e_dir(), c->as, c->bin, c->port, e2e_dir());
	c->pid = software_start(command, "postgres.log");
	ck_assert_msg(e2e_wait(cluster_is_ready, c, 15000),
	    "PostgreSQL is not ready");
}

/* SIGINT: at once, but in order. */
static void
cluster_stop(const struct cluster *c)
{
	int status;

	ck_assert_int_eq(kill(c->pid, SIGINT), 0);
	status = proc_wait(c->pid, 10000);
	ck_assert_msg(status == 0, "PostgreSQL ended with %d", status);
}

/* What leads there: TCP to TCP, TCP to Unix, and Unix to TCP. */
static void
configure(const struct gateway *g, unsigned round, const void *arg)
{
	const struct cluster *c = arg;
	const char *balance = round % 2 == 0 ? "roundrobin" : "leastconn";

	gateway_configure(g,
	    "service tcp {\n"
	    "	listen = {\"127.0.0.1:0\", \"unix:%s/.s.PGSQL.%d\"}\n"
	    "	idle_timeout = %us\n	balance = %s\n"
	    "	backend b { address = \"127.0.0.1:%d\" weight = %u }\n}\n"
	    "service unix {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	idle_timeout = %us\n"
	    "	backend b { address = \"unix:%s/socket/.s.PGSQL.%d\" }\n}\n"
	    "service extra%u {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    e2e_dir(), FRONT_PORT, 600 + round, balance, c->port, 1 + round,
	    600 + round, e2e_dir(), c->port, round % 3);
}

/* Everything at its beginning. */
static void
cluster_fill(const struct cluster *c)
{
	char command[COMMAND_SIZE];

	snprintf(command, sizeof command,
	    "exec %spgbench -h 127.0.0.1 -p %d -U bench -i -I dtgp -q -s %d "
	    "postgres",
	    c->bin, c->port, SCALE);
	run(command);
}

/*
 * What is in the database now: digests of all that a transaction changes.
 * The sums must agree with each other, the count with what was done.
 */
static void
cluster_state(const struct cluster *c, unsigned transactions, char digest[256])
{
	char command[COMMAND_SIZE];
	char expected[32];

	snprintf(command, sizeof command,
	    "exec %spsql -XAtq -h 127.0.0.1 -p %d -U bench postgres -c \"with"
	    " h as (select count(*), sum(delta) from pgbench_history) select"
	    " (select sum(abalance) from pgbench_accounts) = h.sum and"
	    " (select sum(tbalance) from pgbench_tellers) = h.sum and"
	    " (select sum(bbalance) from pgbench_branches) = h.sum, h.count,"
	    " (select md5(string_agg(aid||':'||abalance, ',' order by aid))"
	    " from pgbench_accounts),"
	    " (select md5(string_agg(tid||':'||bid||':'||aid||':'||delta, ','"
	    " order by tid, bid, aid, delta)) from pgbench_history) from h\"",
	    c->bin, c->port);
	run(command);
	snprintf(expected, sizeof expected, "t|%u|", transactions);
	ck_assert_msg(strncmp(output, expected, strlen(expected)) == 0,
	    "after %u transactions: %s", transactions, output);
	snprintf(digest, 256, "%.255s", output);
}

/* Run it on a fresh database; the state it leaves. */
static void
run_job(struct disturb *d, const struct cluster *c, const struct job *job,
    const char *where, char digest[256])
{
	unsigned all = CLIENTS * job->transactions;
	char command[COMMAND_SIZE];
	char words[96];

	cluster_fill(c);
	snprintf(command, sizeof command,
	    "exec %spgbench %s -U bench -n -c %d -j 2 -t %u --random-seed=7 "
	    "%s postgres",
	    c->bin, where, CLIENTS, job->transactions, job->options);
	disturb_run(d, command, output, sizeof output);
	snprintf(words, sizeof words,
	    "transactions actually processed: %u/%u\n", all, all);
	ck_assert_msg(strstr(output, words) != NULL &&
		strstr(output, "failed transactions: 0 (") != NULL &&
		strcasestr(output, "error") == NULL,
	    "%s says: %s", command, output);
	cluster_state(c, all, digest);
}

/* Directly, then on every way through the gateway: always the same. */
static void
run_everywhere(struct disturb *d, const struct cluster *c,
    const struct job *job)
{
	struct disturb none = {0};
	char where[3][2 * E2E_PATH_SIZE];
	char expected[256];
	char digest[256];

	snprintf(where[0], sizeof where[0], "-h 127.0.0.1 -p %d", c->port);
	run_job(&none, c, &(struct job){"", job->transactions}, where[0],
	    expected);
	snprintf(where[0], sizeof where[0], "-h 127.0.0.1 -p %d",
	    software_port_of(d->gateway, "tcp"));
	snprintf(where[1], sizeof where[1], "-h 127.0.0.1 -p %d",
	    software_port_of(d->gateway, "unix"));
	snprintf(where[2], sizeof where[2], "-h %s -p %d", e2e_dir(),
	    FRONT_PORT);
	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		run_job(d, c, job, where[i], digest);
		ck_assert_msg(strcmp(digest, expected) == 0,
		    "pgbench %s %s leaves %s, directly %s", where[i],
		    job->options, digest, expected);
		gateway_expect_number(d->gateway, "totals/connections", 0);
	}
}

static void
run_jobs(bool disturbed, const struct job *jobs, size_t count)
{
	struct cluster c;
	struct gateway g;
	struct disturb disturb = {.gateway = &g};

	if (!find_programs(&c))
		return;
	cluster_start(&c);
	gateway_init(&g);
	configure(&g, 0, &c);
	gateway_run(&g);
	if (disturbed) {
		disturb.kills_workers = true;
		disturb.configure = configure;
		disturb.configure_arg = &c;
	}
	for (size_t i = 0; i < count; i++)
		run_everywhere(&disturb, &c, &jobs[i]);
	gateway_expect_number(&g, "totals/deaths", disturb.kills);
	ck_assert_int_eq(gateway_number(&g, "totals/refused"), 0);
	gateway_stop(&g);
	cluster_stop(&c);
}

START_TEST(as_direct)
{
	run_jobs(false, calm_jobs, ARRAY_LEN(calm_jobs));
}
END_TEST

START_TEST(disturbed)
{
	run_jobs(true, disturbed_jobs, ARRAY_LEN(disturbed_jobs));
}
END_TEST

E2E_MAIN("postgres", as_direct, disturbed)
