/*
 * Who may call what: the kernel's word on the client's user and groups.
 */
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "proc.h"

#define SERVICE                                      \
	"service s {\n	listen = {\"127.0.0.1:0\"}\n" \
	"	backend e { address = builtin:echo }\n}\n"

/* Who asks, as other processes see it. */
struct caller {
	uid_t uid;
	gid_t gid;
	gid_t supplementary;
	bool may_change;
};

enum verdict {
	ALLOWED = 10,
	DENIED,
	FAILED
};

/* In a process of its own. */
static enum verdict
call_as(const struct gateway *g, const struct caller *caller,
    const char *method, const char *parameters)
{
	json_t *reply;
	const char *error;

	if (setgroups(1, &caller->supplementary) != 0 ||
	    setresgid(caller->gid, caller->gid, caller->gid) != 0 ||
	    setresuid(caller->uid, caller->uid, caller->uid) != 0)
		return FAILED;
	reply = gateway_call(g, method, parameters);
	error = json_string_value(json_object_get(reply, "error"));
	if (reply == NULL)
		return FAILED;
	if (error == NULL)
		return ALLOWED;
	if (strcmp(error, "org.varlink.service.PermissionDenied") == 0)
		return DENIED;
	fprintf(stderr, "%s: %s\n", method, error);
	return FAILED;
}

static void
check_call(const struct gateway *g, const struct caller *caller,
    const char *method, const char *parameters, enum verdict expected)
{
	pid_t pid;
	int got;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(call_as(g, caller, method, parameters));
	got = proc_wait(pid, 20000);
	ck_assert_msg(got == (int)expected,
	    "%s by user %u, group %u and group %u: %s", method, caller->uid,
	    caller->gid, caller->supplementary,
	    got == ALLOWED      ? "allowed"
		: got == DENIED ? "denied"
				: "failed");
}

START_TEST(who_may_change)
{
	/* daemon is group 1 everywhere. */
	static const struct caller callers[] = {
	    {.uid = 4711,
		.gid = 4711,
		.supplementary = 4711,
		.may_change = false},
	    {.uid = 4711, .gid = 1, .supplementary = 4711, .may_change = true},
	    {.uid = 4711, .gid = 4711, .supplementary = 1, .may_change = true},
	    {.uid = 1, .gid = 4711, .supplementary = 4711, .may_change = false},
	    {.uid = 0, .gid = 4711, .supplementary = 4711, .may_change = true},
	};
	static const char *const changes[][2] = {{"Reload", NULL},
	    {"SetLogLevel", "{\"level\":\"info\"}"}, {"ReopenLogs", NULL},
	    {"Rebalance", NULL},
	    {"CloseConnections", "{\"filter\":{\"id\":123456}}"}};
	struct gateway g;

	if (getuid() != 0) {
		e2e_skip("only root becomes other users");
		return;
	}
	gateway_init(&g);
	g.control_keys = "mode = 666 admin_group = daemon";
	gateway_start(&g, SERVICE);
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		const struct caller *caller = &callers[i];
		enum verdict may = caller->may_change ? ALLOWED : DENIED;

		check_call(&g, caller, "GetStatus", NULL, ALLOWED);
		check_call(&g, caller, "Reload", "{\"dry_run\":true}", ALLOWED);
		for (size_t c = 0; c < ARRAY_LEN(changes); c++)
			check_call(&g, caller, changes[c][0], changes[c][1],
			    may);
		if (!caller->may_change)
			check_call(&g, caller, "Stop", NULL, DENIED);
		/* Also one who may change everything else. */
		if (caller->uid != 0)
			check_call(&g, caller, "Upgrade",
			    "{\"program\":\"/bin/true\"}", DENIED);
	}
	gateway_stop(&g);
}
END_TEST

/* Without an admin_group nobody but root may, and without a place in the
 * socket's group nobody gets in. */
START_TEST(nobody_else_may)
{
	static const struct caller daemon = {
	    .uid = 4711, .gid = 1, .supplementary = 1};
	static const struct caller stranger = {
	    .uid = 4711, .gid = 4711, .supplementary = 4711};
	struct gateway g;

	if (getuid() != 0) {
		e2e_skip("only root becomes other users");
		return;
	}
	gateway_init(&g);
	g.control_keys = "mode = 660 group = daemon";
	gateway_start(&g, SERVICE);
	check_call(&g, &daemon, "GetStatus", NULL, ALLOWED);
	check_call(&g, &daemon, "Reload", NULL, DENIED);
	check_call(&g, &stranger, "GetStatus", NULL, FAILED);
	gateway_stop(&g);
}
END_TEST

E2E_MAIN("control_callers", who_may_change, nobody_else_may)
