/*
 * type_text - values that are names, paths and addresses; see type.h.
 */
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "server/config/build.h"
#include "server/config/type.h"

#define WHY_SIZE 300

static void
string_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	(void)key;
	key_print_text(plan_string(plan, *(const uint32_t *)member), out);
}

static bool
string_is_set(const struct plan *plan, const void *member)
{
	return *plan_string(plan, *(const uint32_t *)member) != '\0';
}

static bool
string_is_same(const struct plan *from, const void *a, const struct plan *to,
    const void *b)
{
	return strcmp(plan_string(from, *(const uint32_t *)a),
		   plan_string(to, *(const uint32_t *)b)) == 0;
}

/* False, and reported, if the value is empty. */
static bool
needs_text(const struct value *value)
{
	if (*value->text == '\0')
		report_add(value->build->report, value->place,
		    "%s: the value is empty", value->key->name);
	return *value->text != '\0';
}

static void
name_read(const struct value *value, void *member)
{
	if (needs_text(value))
		*(uint32_t *)member = build_string(value->build, value->text);
}

const struct key_type type_name = {
    name_read, string_print, string_is_same, string_is_set};

static void
socket_path_read(const struct value *value, void *member)
{
	struct report *report = value->build->report;

	if (!needs_text(value))
		return;
	if (*value->text != '/' || value->text[1] == '\0')
		report_add(report, value->place,
		    "%s: \"%.60s\" is not an absolute path: write /PATH",
		    value->key->name, value->text);
	else if (strlen(value->text) >= ADDR_PATH_SIZE)
		report_add(report, value->place,
		    "%s: \"%.40s...\" is too long for a socket: at most %d "
		    "bytes",
		    value->key->name, value->text, ADDR_PATH_SIZE - 1);
	*(uint32_t *)member = build_string(value->build, value->text);
}

const struct key_type type_socket_path = {
    socket_path_read, string_print, string_is_same, NULL};

/*
 * srvd -n needs no privilege and may run where the users of the gateway do
 * not exist: there a name is kept without being looked up.
 */
static bool
wants_ids(const struct value *value)
{
	return !value->build->request->check_only || geteuid() == 0;
}

static void
owner_read(const struct value *value, void *member)
{
	struct plan_id *owner = member;
	const struct passwd *entry;

	if (!needs_text(value))
		return;
	owner->name = build_string(value->build, value->text);
	if (!wants_ids(value))
		return;
	entry = getpwnam(value->text);
	if (entry == NULL)
		report_add(value->build->report, value->place,
		    "%s: there is no user \"%.60s\" on this system: create it, "
		    "or name another",
		    value->key->name, value->text);
	else
		owner->id = entry->pw_uid;
}

static void
group_read(const struct value *value, void *member)
{
	struct plan_id *group = member;
	const struct group *entry;

	if (!needs_text(value))
		return;
	group->name = build_string(value->build, value->text);
	if (!wants_ids(value))
		return;
	entry = getgrnam(value->text);
	if (entry == NULL)
		report_add(value->build->report, value->place,
		    "%s: there is no group \"%.60s\" on this system: create "
		    "it, or name another",
		    value->key->name, value->text);
	else
		group->id = entry->gr_gid;
}

static void
id_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	const struct plan_id *id = member;

	string_print(plan, key, &id->name, out);
}

static bool
id_is_set(const struct plan *plan, const void *member)
{
	const struct plan_id *id = member;

	return string_is_set(plan, &id->name);
}

/* A name may have come to mean another number. */
static bool
id_is_same(const struct plan *from, const void *a, const struct plan *to,
    const void *b)
{
	const struct plan_id *old = a;
	const struct plan_id *new = b;

	return old->id ==
	    new->id &&string_is_same(from, &old->name, to, &new->name);
}

const struct key_type type_owner = {
    owner_read, id_print, id_is_same, id_is_set};
const struct key_type type_group = {
    group_read, id_print, id_is_same, id_is_set};

static const char *const targets[] = {
    [TARGET_STDERR] = "stderr",
    [TARGET_JOURNAL] = "journal",
    [TARGET_SYSLOG] = "syslog",
    [TARGET_OFF] = "off",
};

static void
target_read(const struct value *value, struct plan_target *target, bool may_off)
{
	for (uint32_t i = 0; i < ARRAY_LEN(targets); i++) {
		if (targets[i] != NULL &&
		    strcmp(value->text, targets[i]) == 0 &&
		    (i != TARGET_OFF || may_off)) {
			target->target = i;
			return;
		}
	}
	target->target = TARGET_FILE;
	target->path = build_string(value->build, value->text);
	if (*value->text != '/' || value->text[1] == '\0')
		report_add(value->build->report, value->place,
		    "%s: \"%.60s\" is not known: write %sstderr, journal, "
		    "syslog or a file's absolute path",
		    value->key->name, value->text, may_off ? "off, " : "");
}

static void
log_target_read(const struct value *value, void *member)
{
	target_read(value, member, false);
}

static void
access_target_read(const struct value *value, void *member)
{
	target_read(value, member, true);
}

static void
log_target_print(const struct plan *plan, const struct key *key,
    const void *member, FILE *out)
{
	const struct plan_target *target = member;

	(void)key;
	if (target->target == TARGET_FILE)
		key_print_text(plan_string(plan, target->path), out);
	else
		(void)fputs(targets[target->target], out);
}

static bool
log_target_is_same(const struct plan *from, const void *a,
    const struct plan *to, const void *b)
{
	const struct plan_target *old = a;
	const struct plan_target *new = b;

	return old->target ==
	    new->target &&string_is_same(from, &old->path, to, &new->path);
}

const struct key_type type_log_target = {
    log_target_read, log_target_print, log_target_is_same, NULL};
const struct key_type type_access_target = {
    access_target_read, log_target_print, log_target_is_same, NULL};

static void
listen_read(const struct value *value, void *member)
{
	const struct passed *passed = value->build->request->passed;
	char why[WHY_SIZE];
	struct addr addr;
	uint32_t rows = 1;

	(void)member;
	if (addr_parse(value->text, ADDR_FOR_LISTEN, &addr, why, sizeof(why)) <
	    0)
		report_add(value->build->report, value->place, "listen: %s",
		    why);
	/* A name stands for all sockets that have it.  If there is none, the
	 * one row is what can't be bound then. */
	if (addr.kind == ADDR_PASSED && passed_count(passed, addr.path) > 1)
		rows = passed_count(passed, addr.path);
	for (uint32_t i = 0; i < rows; i++) {
		/* The service is the last one, which new rows belong to. */
		struct plan_listener *listener =
		    build_listener(value->build, value->text, value->place);

		listener->addr = addr;
		if (addr.kind == ADDR_PASSED)
			listener->addr.port = (uint16_t)i;
	}
}

static void
listen_print(const struct plan *plan, const struct key *key, const void *member,
    FILE *out)
{
	const struct plan_service *service = member;

	(void)key;
	for (uint32_t i = service->first_listener; i != PLAN_END;
	     i = plan_listener(plan, i)->next) {
		const struct plan_listener *listener = plan_listener(plan, i);

		(void)fputs(i == service->first_listener ? "{" : ", ", out);
		key_print_text(plan_string(plan, listener->text), out);
	}
	(void)fputc('}', out);
}

const struct key_type type_listen = {listen_read, listen_print, NULL, NULL};

static void
address_read(const struct value *value, void *member)
{
	struct build *build = value->build;
	struct plan_backend *backend = member;
	char why[WHY_SIZE];

	backend->text = build_string(build, value->text);
	build->backend_places[backend - build->backends] = value->place;
	if (addr_parse(value->text, ADDR_FOR_BACKEND, &backend->addr, why,
		sizeof(why)) < 0)
		report_add(build->report, value->place, "address: %s", why);
}

static void
address_print(const struct plan *plan, const struct key *key,
    const void *member, FILE *out)
{
	const struct plan_backend *backend = member;

	(void)key;
	key_print_text(plan_string(plan, backend->text), out);
}

/* A host's name may have come to mean another address. */
static bool
address_is_same(const struct plan *from, const void *a, const struct plan *to,
    const void *b)
{
	const struct plan_backend *old = a;
	const struct plan_backend *new = b;

	return addr_equal(&old->addr, &new->addr) &&
	    string_is_same(from, &old->text, to, &new->text);
}

const struct key_type type_address = {
    address_read, address_print, address_is_same, NULL};
