/*
 * control_upgrade - Upgrade: what came of it, as an answer; perhaps by another
 * program than the one that was asked.
 *
 * Runs in: master.  Never blocks; never ends the master.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>

#include "server/master/control_client.h"
#include "server/master/control_json.h"
#include "server/master/control_methods.h"
#include "server/master/control_upgrade.h"

#define WHY_SIZE 640

static int
reply_failed(struct call *call, const char *stage, const char *message)
{
	return call_error_with(call, "UpgradeFailed",
	    json_pack("{s:s, s:o}", "stage", stage, "message",
		control_text(message)));
}

static int
reply_done(struct call *call, const struct upgrade_outcome *outcome)
{
	return call_reply(call,
	    json_pack("{s:o, s:s, s:s, s:I}", "program",
		control_text(outcome->program), "from", outcome->from, "to",
		outcome->to, "remaining", (json_int_t)outcome->remaining));
}

static void
upgrade_done(void *arg, const struct upgrade_outcome *outcome)
{
	struct call *call = arg;

	call_finish(call,
	    outcome->ok ? reply_done(call, outcome)
			: reply_failed(call, outcome->stage, outcome->message));
}

static void
upgrade_gone(struct master *m, struct call *call)
{
	upgrade_forget(m, call);
}

static int
fd_of_call(const void *arg, bool *is_last)
{
	return control_client_fd(arg, is_last);
}

static struct upgrade_waiter
waiter_of(struct call *call)
{
	return (struct upgrade_waiter){
	    .done = upgrade_done,
	    .fd_of = fd_of_call,
	    .arg = call,
	};
}

int
control_upgrade(struct master *m, struct call *call)
{
	const char *program = NULL;
	char why[WHY_SIZE] = "";
	struct upgrade_outcome refused;
	struct upgrade_waiter waiter = waiter_of(call);
	const struct call_param params[] = {
	    {"program", CALL_STRING, true, &program},
	};

	if (call_unpack(call, params, ARRAY_LEN(params)) < 0)
		return call_invalid(call);
	/* Workers may be the master's user: one that was taken over must not
	 * choose what the master becomes. */
	if (program != NULL && !call->is_root)
		return control_deny(call);
	if (call->oneway)
		waiter = (struct upgrade_waiter){.done = NULL};
	if (upgrade_begin(m, program, &waiter, &refused, why, sizeof(why)) < 0)
		return reply_failed(call, refused.stage, refused.message);
	return call_defer(call, upgrade_gone);
}

void
control_upgrade_resume(struct control *control, int fd, bool is_last,
    struct upgrade_waiter *waiter)
{
	struct call *call = control_adopt(control, fd, is_last);

	if (call == NULL)
		return;
	call->gone = upgrade_gone;
	*waiter = waiter_of(call);
}

void
control_upgrade_refuse(int fd, const char *stage, const char *why)
{
	struct call call = {.m = NULL};

	if (reply_failed(&call, stage, why) == 0)
		(void)send(fd, call.answer, call.answer_length,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	call_release(&call);
}
