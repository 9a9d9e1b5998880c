/*
 * listener_explain - why an address can't be had; see listener_explain.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/master/listener_explain.h"
#include "server/master/port_owner.h"

#define HINT_SIZE 384

/* The row of a group that is open: of the plan in force, or a new one. */
static const struct plan_listener *
row_of(const struct plan *plan, const struct listener_group *group,
    uint32_t number)
{
	const struct plan_listener *row;

	if (plan == NULL || number / 2 >= plan->listeners.count)
		return NULL;
	row = plan_listener(plan, number / 2);
	return row->state == ROW_ACTIVE && row->born == group->born ? row
								    : NULL;
}

static bool
describe_group(const struct plan *plan, const struct listener_group *group,
    uint32_t number, char *hint)
{
	const struct plan_listener *row = row_of(plan, group, number);
	const struct plan_service *service;

	if (row == NULL)
		return false;
	service = plan_service(plan, row->service);
	(void)snprintf(hint, HINT_SIZE,
	    "; another listener of this configuration has it: %s of service %s",
	    plan_string(plan, row->text), plan_string(plan, service->name));
	return true;
}

/* It is one of ours: which? */
static bool
describe_own(const struct listener_failure *failure, char *hint)
{
	const struct listeners *listeners = failure->listeners;
	const struct listener_group *wanted =
	    &listeners->groups[failure->number];

	for (uint32_t n = 0; n < listeners->count; n++) {
		const struct listener_group *group = &listeners->groups[n];

		if (n == failure->number || group->count == 0 ||
		    !listener_overlaps(&group->bound, &wanted->bound))
			continue;
		if (describe_group(failure->to, group, n, hint) ||
		    describe_group(failure->from, group, n, hint))
			return true;
	}
	return false;
}

/* A listener for one family is not what a socket for both is. */
static bool
is_in_the_way(const struct addr *theirs, const struct addr *wanted)
{
	if (theirs->kind == ADDR_ANY && wanted->kind != ADDR_UNIX)
		return theirs->port == wanted->port;
	return addr_equal(theirs, wanted) || listener_overlaps(theirs, wanted);
}

static bool
describe_passed(const struct listener_failure *failure, char *hint)
{
	const struct listeners *listeners = failure->listeners;
	const struct passed *passed = listeners->passed;
	const struct addr *wanted = &listeners->groups[failure->number].bound;
	char text[ADDR_TEXT_SIZE];

	for (uint32_t i = 0; passed != NULL && i < passed->count; i++) {
		const struct passed_socket *socket = &passed->sockets[i];

		if (!is_in_the_way(&socket->addr, wanted))
			continue;
		(void)snprintf(hint, HINT_SIZE,
		    "; the socket %s that the service manager passed has it: "
		    "write \"systemd:%.100s\"",
		    addr_format(&socket->addr, text), socket->name);
		return true;
	}
	return false;
}

/* The names that there are, instead of the one that there is not. */
static void
describe_missing(const struct listener_failure *failure, const char *name,
    char *hint)
{
	const struct passed *passed = failure->listeners->passed;
	size_t length;

	if (passed == NULL || passed->count == 0) {
		(void)snprintf(hint, HINT_SIZE,
		    ": no socket was passed at the start; it takes a .socket "
		    "unit with FileDescriptorName=%.100s",
		    name);
		return;
	}
	(void)snprintf(hint, HINT_SIZE,
	    ": no socket of that name was passed at the start; those that "
	    "were:");
	for (uint32_t i = 0; i < passed->count; i++) {
		length = strlen(hint);
		(void)snprintf(hint + length, HINT_SIZE - length, "%s %.60s",
		    i == 0 ? "" : ",", passed->sockets[i].name);
	}
}

/* Another process: what can be done about it, and with the least loss. */
static void
describe_process(pid_t pid, const char *name, char *hint)
{
	pid_t master;

	switch (port_owner_srvd(pid, &master)) {
	case PORT_SERVED:
		(void)snprintf(hint, HINT_SIZE,
		    "; it is held by the srvd whose master is process %d: stop "
		    "that one first, with its srvctl stop",
		    (int)master);
		break;
	case PORT_ORPHAN:
		(void)snprintf(hint, HINT_SIZE,
		    "; it is held by %s (process %d), which goes on after the "
		    "death of its master: a srvd with the same control { path } "
		    "takes it over, and can be stopped then; what ends it with "
		    "all connections is SIGKILL, its holders first, then its "
		    "workers",
		    name, (int)pid);
		break;
	case PORT_STRANGER:
		(void)snprintf(hint, HINT_SIZE,
		    "; it is held by %s (process %d)", name, (int)pid);
		break;
	}
}

static void
describe_owner(const struct listener_failure *failure, char *hint)
{
	char name[128];
	pid_t pid;
	uid_t uid;

	if (describe_own(failure, hint) || describe_passed(failure, hint))
		return;
	pid = port_owner(&failure->listeners->groups[failure->number].bound,
	    name, sizeof(name), &uid);
	if (pid == getpid())
		(void)snprintf(hint, HINT_SIZE,
		    "; another socket of this process has it");
	else if (pid != 0)
		describe_process(pid, name, hint);
	else if (uid != PORT_OWNER_UNKNOWN)
		(void)snprintf(hint, HINT_SIZE,
		    "; it is held by a process of the user with the number %u",
		    uid);
}

/* The folder of a path. */
static int
folder_length(const struct addr *addr)
{
	const char *slash = strrchr(addr->path, '/');

	return slash == NULL || slash == addr->path ? 1
						    : (int)(slash - addr->path);
}

static void
describe_access(const struct addr *addr, char *hint)
{
	if (addr->kind == ADDR_UNIX)
		(void)snprintf(hint, HINT_SIZE,
		    "; no file may be made or replaced in %.*s",
		    folder_length(addr), addr->path);
	else if (addr->port < 1024)
		(void)snprintf(hint, HINT_SIZE,
		    "; a port below 1024 needs root or CAP_NET_BIND_SERVICE");
}

/* What errno alone does not say. */
static void
describe_error(const struct listener_failure *failure,
    const struct plan_listener *row, char *hint)
{
	const struct addr *addr = &row->addr;

	switch (-failure->error) {
	case EADDRINUSE:
		describe_owner(failure, hint);
		break;
	case EEXIST:
		(void)snprintf(hint, HINT_SIZE,
		    ": there is a file of another kind at that path, which is "
		    "not replaced");
		break;
	case EACCES:
		describe_access(addr, hint);
		break;
	case EPERM:
		if (row->uid != PLAN_NO_ID || row->gid != PLAN_NO_ID)
			(void)snprintf(hint, HINT_SIZE,
			    "; only root may give a socket another owner, or a "
			    "group that it is not in itself");
		break;
	case ENOENT:
	case ENOTDIR:
		if (addr->kind == ADDR_PASSED)
			describe_missing(failure, addr->path, hint);
		else
			(void)snprintf(hint, HINT_SIZE,
			    "; there is no directory %.*s", folder_length(addr),
			    addr->path);
		break;
	case EADDRNOTAVAIL:
		(void)snprintf(hint, HINT_SIZE,
		    "; no interface of this machine has that address");
		break;
	case EMFILE:
	case ENFILE:
		(void)snprintf(hint, HINT_SIZE,
		    "; every listener takes one descriptor a worker: raise "
		    "the limit (LimitNOFILE in systemd)");
		break;
	default:
		break;
	}
}

void
listener_explain(const struct listener_failure *failure, char *why,
    size_t why_size)
{
	const struct plan *plan = failure->to;
	const struct plan_listener *row =
	    plan_listener(plan, failure->number / 2);
	const char *service =
	    plan_string(plan, plan_service(plan, row->service)->name);
	char hint[HINT_SIZE] = "";

	describe_error(failure, row, hint);
	(void)snprintf(why, why_size, "service %s can't listen on %s%s%s%s",
	    service, plan_string(plan, row->text), hint[0] == ':' ? "" : ": ",
	    hint[0] == ':' ? "" : strerror(-failure->error), hint);
}
