/*
 * key - the tables of what may stand in the configuration; see key.h.
 *
 * To add a key: one member in plan.h and one row here.
 */
#include <string.h>

#include "server/config/key.h"
#include "server/config/type.h"

#define DAY_MS      (UINT64_C(24) * 60 * 60 * 1000)
#define TIMEOUT_MAX (365 * DAY_MS)

/* Of TCP_KEEPIDLE (tcp(7)). */
#define KEEPALIVE_MAX (UINT64_C(32767) * 1000)

/* Longer than the prepare step of a reload may take. */
#define WATCHDOG_MIN 2500

#define AT(type, member) offsetof(struct type, member)

static const char *const balances[] = {"roundrobin", "leastconn", NULL};
static const char *const on_removes[] = {"keep", "drain", "close", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

/* clang-format off */
static const struct key top_keys[] = {
	{ "workers", &type_number_or_auto, AT(plan, workers), "auto",
	    .min = 1, .max = PLAN_WORKERS_MAX, .reload = RELOAD_LIVE },
	{ "user", &type_name, AT(plan, user_name), "srvd",
	    .reload = RELOAD_RESTART },
	{ "group", &type_name, AT(plan, group_name),
	    .reload = RELOAD_RESTART },
	{ "max_connections", &type_number_or_auto, AT(plan, max_connections),
	    "auto", .min = 1, .max = PLAN_CONNECTIONS_MAX,
	    .reload = RELOAD_LIVE },
	{ "drain_timeout", &type_duration, AT(plan, drain_timeout_ms), "30s",
	    .min = 1, .max = TIMEOUT_MAX, .reload = RELOAD_LIVE },
	{ "watchdog", &type_duration, AT(plan, watchdog_ms), "5s",
	    .min = WATCHDOG_MIN, .max = TIMEOUT_MAX, .reload = RELOAD_LIVE },
};

static const struct key control_keys[] = {
	{ "path", &type_socket_path, AT(plan, control.path),
	    "/run/srvd/control.sock", .reload = RELOAD_RESTART },
	{ "mode", &type_mode, AT(plan, control.mode), "0660",
	    .reload = RELOAD_RESTART },
	{ "group", &type_group, AT(plan, control.group),
	    .reload = RELOAD_RESTART },
	{ "admin_group", &type_group, AT(plan, control.admin),
	    .reload = RELOAD_RESTART },
};

static const struct key log_keys[] = {
	{ "level", &type_choice, AT(plan, log.level), "info",
	    .words = levels, .reload = RELOAD_LIVE },
	{ "target", &type_log_target, AT(plan, log.messages), "stderr",
	    .reload = RELOAD_LIVE },
	{ "access", &type_access_target, AT(plan, log.access), "off",
	    .reload = RELOAD_LIVE },
};

static const struct key service_keys[] = {
	{ "listen", &type_listen, .required = true, .list = true,
	    .reload = RELOAD_LIVE },
	{ "balance", &type_choice, AT(plan_service, balance), "roundrobin",
	    .words = balances, .also = "random source first",
	    .reload = RELOAD_LIVE },
	{ "connect_timeout", &type_duration,
	    AT(plan_service, connect_timeout_ms), "5s",
	    .min = 1, .max = TIMEOUT_MAX, .reload = RELOAD_LIVE },
	{ "retries", &type_number, AT(plan_service, retries), "2",
	    .max = PLAN_RETRIES_MAX, .reload = RELOAD_LIVE },
	{ "idle_timeout", &type_duration, AT(plan_service, idle_timeout_ms),
	    "1h", .min = 1, .max = TIMEOUT_MAX, .reload = RELOAD_LIVE },
	{ "half_closed_timeout", &type_duration,
	    AT(plan_service, half_closed_timeout_ms), "1h",
	    .min = 1, .max = TIMEOUT_MAX, .reload = RELOAD_LIVE },
	{ "on_remove", &type_choice, AT(plan_service, on_remove), "keep",
	    .words = on_removes, .reload = RELOAD_LIVE },
	{ "max_connections", &type_number, AT(plan_service, max_connections),
	    "0", .max = PLAN_CONNECTIONS_MAX, .reload = RELOAD_LIVE },
	{ "keepalive", &type_duration, AT(plan_service, keepalive_ms), "60s",
	    .min = 1000, .max = KEEPALIVE_MAX, .reload = RELOAD_LIVE },
	{ "nodelay", &type_switch, AT(plan_service, nodelay), "true",
	    .reload = RELOAD_LIVE },
	{ "backlog", &type_number, AT(plan_service, backlog), "4096",
	    .min = 1, .max = PLAN_BACKLOG_MAX, .reload = RELOAD_LIVE },
	{ "mode", &type_mode, AT(plan_service, mode), "0666",
	    .reload = RELOAD_LIVE },
	{ "owner", &type_owner, AT(plan_service, owner),
	    .reload = RELOAD_LIVE },
	{ "group", &type_group, AT(plan_service, group),
	    .reload = RELOAD_LIVE },
};

static const struct key backend_keys[] = {
	{ "address", &type_address, .required = true, .reload = RELOAD_LIVE },
	{ "weight", &type_number, AT(plan_backend, weight), "1",
	    .max = PLAN_WEIGHT_MAX, .reload = RELOAD_LIVE },
	{ "backup", &type_switch, AT(plan_backend, backup), "false",
	    .reload = RELOAD_LIVE },
};

#define KEYS(rows) .keys = (rows), .keys_count = ARRAY_LEN(rows)

const struct section sections[SECTIONS_COUNT] = {
	[SECTION_TOP] = { .name = "the configuration", .parent = SECTION_TOP,
	    .also = "dashboard", KEYS(top_keys) },
	[SECTION_CONTROL] = { .name = "control", .parent = SECTION_TOP,
	    KEYS(control_keys) },
	[SECTION_LOG] = { .name = "log", .parent = SECTION_TOP,
	    KEYS(log_keys) },
	[SECTION_SERVICE] = { .name = "service", .parent = SECTION_TOP,
	    .titled = true, .required = true, .max = PLAN_SERVICES_MAX,
	    .also = "first_byte_timeout accept_proxy proxy_from "
		"allow deny rate client_connections user_timeout fastopen "
		"defer_accept mptcp mark interface check",
	    KEYS(service_keys) },
	[SECTION_BACKEND] = { .name = "backend", .parent = SECTION_SERVICE,
	    .titled = true, .required = true, .max = PLAN_BACKENDS_MAX,
	    .also = "max_connections source send_proxy slow_start",
	    KEYS(backend_keys) },
};
/* clang-format on */

_Static_assert(ARRAY_LEN(service_keys) + SECTIONS_COUNT <= SECTION_ITEMS_MAX,
    "the largest section fits");

const struct key *
section_key(const struct section *section, const char *name)
{
	for (size_t i = 0; i < section->keys_count; i++) {
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	}
	return NULL;
}

const struct section *
section_child(const struct section *section, const char *name)
{
	for (size_t i = 0; i < SECTION_TOP; i++) {
		if (&sections[sections[i].parent] == section &&
		    strcmp(sections[i].name, name) == 0)
			return &sections[i];
	}
	return NULL;
}

bool
key_is_listed(const char *list, const char *word)
{
	size_t length = list == NULL ? 0 : strlen(word);

	for (const char *p = list; length > 0 && (p = strstr(p, word)) != NULL;
	     p += length) {
		if ((p == list || p[-1] == ' ') &&
		    (p[length] == ' ' || p[length] == '\0'))
			return true;
	}
	return false;
}

bool
section_is_later(const struct section *section, const char *name)
{
	return key_is_listed(section->also, name);
}

const struct section *
section_elsewhere(const struct section *section, const char *name)
{
	/* Outermost first: most that is misplaced belongs there. */
	for (size_t i = SECTIONS_COUNT; i-- > 0;) {
		if (&sections[i] != section &&
		    (section_key(&sections[i], name) != NULL ||
			section_child(&sections[i], name) != NULL))
			return &sections[i];
	}
	return NULL;
}

const void *
key_member(const struct key *key, const void *row)
{
	return (const char *)row + key->offset;
}

void
key_print_text(const char *text, FILE *out)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}
