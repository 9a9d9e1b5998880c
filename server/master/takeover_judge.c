/*
 * takeover_judge - whose body it is, and why it can't be taken over; see
 * takeover_judge.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/master/takeover.h"
#include "server/master/takeover_judge.h"
#include "server/state/channel.h"
#include "server/state/versions.h"

#define WHY_SIZE 256

static int
say_another(struct takeover *t, const struct takeover_body *taken,
    const char *name, const char *why)
{
	(void)snprintf(t->why, t->why_size,
	    "the worker of body %u (process %d), whose master has died, runs "
	    "another srvd%s%s, and can't be taken over: %s; start that program "
	    "again (/proc/%d/exe), or end the worker, with its connections, "
	    "and try again",
	    taken->row, taken->worker_pid, *name == '\0' ? "" : " ", name, why,
	    taken->worker_pid);
	return -EPROTONOSUPPORT;
}

int
takeover_judge(struct takeover *t, const struct takeover_body *taken,
    const struct channel_message *message)
{
	char line[VERSIONS_LINE_SIZE];
	char name[VERSIONS_NAME_SIZE] = "";
	char why[WHY_SIZE];
	int rc;

	if (message->text_length >= sizeof(line))
		return -EPROTO;
	memcpy(line, message->text, message->text_length);
	line[message->text_length] = '\0';
	rc = versions_judge(line, name, why, sizeof(why));
	return rc == -EPROTONOSUPPORT ? say_another(t, taken, name, why) : rc;
}

int
takeover_judge_channel(struct takeover *t, const struct takeover_body *taken,
    uint32_t theirs)
{
	char why[WHY_SIZE];

	versions_say_channel(theirs, why, sizeof(why));
	return say_another(t, taken, "", why);
}

int
takeover_explain(struct takeover *t, const struct takeover_body *taken,
    int error)
{
	if (error == -EPROTO)
		(void)snprintf(t->why, t->why_size,
		    "the worker of body %u (process %d), whose master has "
		    "died, says nonsense: it can't be taken over; end it, with "
		    "its connections, and try again",
		    taken->row, taken->worker_pid);
	else if (error != -EPROTONOSUPPORT)
		(void)snprintf(t->why, t->why_size,
		    "body %u, whose master has died, can't be taken over: %s",
		    taken->row, strerror(-error));
	return error;
}

int
takeover_explain_late(struct takeover *t, const struct takeover_body *taken,
    uint64_t limit_ms)
{
	(void)snprintf(t->why, t->why_size,
	    "the worker of body %u, whose master has died, %s within %llu s: "
	    "kill the process that is called \"srvd: worker %u\" and try again",
	    taken->row,
	    taken->is_strange ? "said nothing but nonsense" : "did not answer",
	    (unsigned long long)limit_ms / 1000, taken->row % PLAN_WORKERS_MAX);
	return -ETIMEDOUT;
}
