/*
 * test_control_access - who may change things: root, the master's own user,
 * and the members of the admin group, primary or supplementary.
 *
 * Needs root, to be other users; skipped without.
 */
#include <grp.h>

#include "tests/unit/control_server.h"

#define SKIPPED 77 /* to ctest */
#define NOBODY  65534
#define ADMINS  4242
#define DENIED  SERVICE("PermissionDenied")

#define METHOD(name, parameters)                                               \
	"{\"method\":\"io.srvd.Control." name "\",\"parameters\":{" parameters \
	"}}"

/* Calls that change something, and by themselves are right. */
static const char *const changes[] = {
    METHOD("CloseConnections", "\"filter\":{\"id\":1}"),
    METHOD("Reload", ""),
    METHOD("Reload", "\"dry_run\":false"),
    METHOD("SetLogLevel", "\"level\":\"info\""),
    METHOD("ReopenLogs", ""),
    METHOD("Rebalance", ""),
    METHOD("Stop", "\"drain_s\":9"),
};
static const char *const reads[] = {
    CALL_INFO,
    CALL_OURS,
    "{\"method\":\"io.srvd.Control.ListConnections\",\"more\":true}",
    METHOD("Reload", "\"dry_run\":true"),
};

/* Is it refused?  The connection stays. */
static bool
is_denied(struct client *client, const char *call)
{
	json_t *reply;
	const char *error;
	bool denied;

	client_say(client, call);
	reply = client_hear(client);
	error = json_string_value(json_object_get(reply, "error"));
	denied = error != NULL && strcmp(error, DENIED) == 0;
	ck_assert_msg(error == NULL || denied, "%s: %s", call, error);
	json_decref(reply);
	return denied;
}

static void
become(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	ck_assert_int_eq(setgroups(count, groups), 0);
	ck_assert_int_eq(setgid(gid), 0);
	ck_assert_int_eq(setuid(uid), 0);
}

/* Are all changes allowed, or all denied? */
static void
expect_allowed(bool allowed)
{
	struct client client = client_connect();

	for (size_t i = 0; i < ARRAY_LEN(reads); i++)
		ck_assert_msg(!is_denied(&client, reads[i]), "%s", reads[i]);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		ck_assert_msg(is_denied(&client, changes[i]) != allowed,
		    "%s: %s", changes[i], allowed ? "denied" : "allowed");
	ck_assert_uint_eq(shared->stops, allowed ? 1 : 0);
	ck_assert_uint_eq(shared->reopened, allowed ? 1 : 0);
	client_end(&client);
}

/* The same for a user with these groups, in a process that becomes one. */
static void
expect_allowed_to(gid_t gid, const gid_t *groups, size_t count, bool allowed)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ne(child, -1);
	if (child == 0) {
		become(NOBODY, gid, groups, count);
		expect_allowed(allowed);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static void
begin(uint32_t admins)
{
	make_directory();
	gateway.plan.head.control.mode = 0666;
	gateway.plan.head.control.admin.id = admins;
	server_start(&limits_short);
}

START_TEST(root_may)
{
	begin(PLAN_NO_ID);
	expect_allowed(true);
	server_end();
}
END_TEST

START_TEST(another_user_may_not)
{
	const gid_t groups[] = {1, 2, ADMINS + 1};

	begin(ADMINS);
	expect_allowed_to(NOBODY, groups, ARRAY_LEN(groups), false);
	server_end();
}
END_TEST

START_TEST(without_an_admin_group_no_group_helps)
{
	const gid_t groups[] = {0, ADMINS};

	begin(PLAN_NO_ID);
	expect_allowed_to(ADMINS, groups, ARRAY_LEN(groups), false);
	server_end();
}
END_TEST

START_TEST(a_member_by_primary_group_may)
{
	begin(ADMINS);
	expect_allowed_to(ADMINS, NULL, 0, true);
	server_end();
}
END_TEST

START_TEST(a_member_by_supplementary_group_may)
{
	const gid_t groups[] = {7, ADMINS};

	begin(ADMINS);
	expect_allowed_to(NOBODY, groups, ARRAY_LEN(groups), true);
	server_end();
}
END_TEST

START_TEST(so_may_one_of_a_thousand_groups)
{
	static gid_t groups[1000];

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		groups[i] = (gid_t)(ADMINS + 999 - i);
	begin(ADMINS);
	expect_allowed_to(NOBODY, groups, ARRAY_LEN(groups), true);
	server_end();
}
END_TEST

/* The test and its server go on as another user than root. */
static void
begin_as_nobody(void)
{
	make_directory();
	gateway.plan.head.control.mode = 0666;
	ck_assert_int_eq(chown(directory, NOBODY, NOBODY), 0);
	become(NOBODY, NOBODY, NULL, 0);
	server_start(&limits_short);
}

START_TEST(the_masters_own_user_may)
{
	begin_as_nobody();
	expect_allowed(true);
	server_end();
}
END_TEST

/* Before the common main: there is nothing to run without root. */
__attribute__((constructor)) static void
skip_unless_root(void)
{
	if (geteuid() == 0)
		return;
	fputs("skipped: being other users needs root\n", stderr);
	_exit(SKIPPED);
}

UNIT_MAIN("control_access", root_may, another_user_may_not,
    without_an_admin_group_no_group_helps, a_member_by_primary_group_may,
    a_member_by_supplementary_group_may, so_may_one_of_a_thousand_groups,
    the_masters_own_user_may)
