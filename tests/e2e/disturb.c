/*
 * disturb - killed workers and reloads under a program; see disturb.h.
 */
#include "disturb.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>

#include "harness.h"
#include "proc.h"
#include "reloads.h"
#include "software.h"

#define FIRST_MS 300
#define EACH_MS  1000
#define RUN_MS   45000

static void
kill_one(struct disturb *d)
{
	unsigned victim = d->kills++ % d->gateway->workers;

	(void)gateway_signal_worker(d->gateway, victim, SIGKILL);
}

static void
reload_once(struct disturb *d)
{
	d->configure(d->gateway, ++d->reloads, d->configure_arg);
	reload_expect_done(d->gateway);
}

/* Kills and reloads take turns, so that neither comes into the other. */
static void
disturb_once(struct disturb *d, unsigned turn)
{
	if (d->configure != NULL && (turn % 2 == 0 || !d->kills_workers))
		reload_once(d);
	else if (d->kills_workers)
		kill_one(d);
}

void
disturb_run(struct disturb *d, const char *command, char *output, size_t size)
{
	static unsigned runs;
	bool both = d->kills_workers && d->configure != NULL;
	uint64_t end_ms = e2e_now_ms() + RUN_MS;
	struct disturb before = *d;
	int wait_ms = FIRST_MS;
	char name[32];
	char path[E2E_PATH_SIZE];
	pid_t pid;
	int status;

	snprintf(name, sizeof name, "command%u.log", runs++);
	pid = software_start(command, name);
	for (unsigned turn = 0; (status = proc_wait(pid, wait_ms)) < 0;
	     turn++) {
		ck_assert_msg(e2e_now_ms() < end_ms, "takes too long: %s",
		    command);
		disturb_once(d, turn);
		wait_ms = both ? EACH_MS / 2 : EACH_MS;
	}
	proc_read_file(e2e_path(path, name), output, size);
	ck_assert_msg(status == 0,
	    "status %d after %u kills and %u reloads of: %s", status,
	    d->kills - before.kills, d->reloads - before.reloads, command);
	ck_assert_msg(!d->kills_workers || d->kills > before.kills,
	    "too fast to kill a worker: %s", command);
	ck_assert_msg(d->configure == NULL || d->reloads > before.reloads,
	    "too fast to reload: %s", command);
}
