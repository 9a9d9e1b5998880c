/*
 * test_config_diff - what a reload would change: each key, each kind of row.
 */
#include "tests/unit/config_file.h"

static const char *const kinds[] = {
    [CHANGE_ADDED] = "added",
    [CHANGE_CHANGED] = "changed",
    [CHANGE_REMOVED] = "removed",
};

static const char *const objects[] = {
    [OBJECT_SERVICE] = "service",
    [OBJECT_LISTENER] = "listener",
    [OBJECT_BACKEND] = "backend",
    [OBJECT_SETTING] = "setting",
};

static struct config_result
load_text(const char *text, const struct plan *previous)
{
	struct config_result result;

	write_text("d.conf", text);
	result = previous == NULL ? load("d.conf", true)
				  : load_after("d.conf", previous);
	show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	return result;
}

/* All changes, a line each: "added backend s/b #0". */
static const char *
describe(const struct plan *from, const struct plan *to)
{
	static char text[8192];
	struct config_change *changes;
	size_t count;
	size_t length = 0;

	text[0] = '\0';
	ck_assert_int_eq(config_diff(from, to, &changes, &count), 0);
	for (size_t i = 0; i < count; i++) {
		const struct config_change *c = &changes[i];

		length += (size_t)snprintf(text + length, sizeof(text) - length,
		    "%s %s %s/%s #%u\n", kinds[c->kind], objects[c->object],
		    c->service, c->name, c->index);
		ck_assert_uint_lt(length, sizeof(text));
	}
	free(changes);
	return text;
}

/* One text after the other gives these changes. */
static void
expect_diff(const char *before, const char *after, const char *changes)
{
	struct config_result from = load_text(before, NULL);
	struct config_result to = load_text(after, from.plan);
	const char *why;

	ck_assert_int_eq(plan_check_succession(from.plan, to.plan, &why), 0);
	ck_assert_str_eq(describe(from.plan, to.plan), changes);
	config_result_release(&from);
	config_result_release(&to);
}

#define USER     "user = root\n"
#define BACKENDS "backend b { address = builtin:echo } "
#define S(keys)  "service s { listen = 127.0.0.1:1 " BACKENDS keys "}\n"

/* A key, set to another value than its default, and how it is named. */
struct setting {
	const char *text;
	const char *change;
};

static const struct setting settings[] = {
    {USER "workers = 99\n" S(""), "changed setting /workers #0\n"},
    {"user = daemon\n" S(""), "changed setting /user #0\n"},
    {USER "group = root\n" S(""), "changed setting /group #0\n"},
    {USER "max_connections = 9\n" S(""),
	"changed setting /max_connections #0\n"},
    {USER "drain_timeout = 9s\n" S(""), "changed setting /drain_timeout #0\n"},
    {USER "watchdog = 9s\n" S(""), "changed setting /watchdog #0\n"},
    {USER "control { path = /x }\n" S(""),
	"changed setting /control.path #0\n"},
    {USER "control { mode = 600 }\n" S(""),
	"changed setting /control.mode #0\n"},
    {USER "control { group = root }\n" S(""),
	"changed setting /control.group #0\n"},
    {USER "control { admin_group = root }\n" S(""),
	"changed setting /control.admin_group #0\n"},
    {USER "log { level = warn }\n" S(""), "changed setting /log.level #0\n"},
    {USER "log { target = syslog }\n" S(""),
	"changed setting /log.target #0\n"},
    {USER "log { target = /x }\n" S(""), "changed setting /log.target #0\n"},
    {USER "log { access = journal }\n" S(""),
	"changed setting /log.access #0\n"},
    {USER S("balance = leastconn "), "changed setting s/balance #0\n"},
    {USER S("connect_timeout = 9s "), "changed setting s/connect_timeout #0\n"},
    {USER S("retries = 0 "), "changed setting s/retries #0\n"},
    {USER S("idle_timeout = 0 "), "changed setting s/idle_timeout #0\n"},
    {USER S("half_closed_timeout = 1ms "),
	"changed setting s/half_closed_timeout #0\n"},
    {USER S("on_remove = drain "), "changed setting s/on_remove #0\n"},
    {USER S("max_connections = 1 "), "changed setting s/max_connections #0\n"},
    {USER S("keepalive = 0 "), "changed setting s/keepalive #0\n"},
    {USER S("nodelay = no "), "changed setting s/nodelay #0\n"},
    {USER S("backlog = 1 "), "changed setting s/backlog #0\n"},
    {USER S("mode = 600 "), "changed setting s/mode #0\n"},
    {USER S("owner = root "), "changed setting s/owner #0\n"},
    {USER S("group = root "), "changed setting s/group #0\n"},
};

START_TEST(each_setting_is_told)
{
	make_directory();
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		expect_diff(USER S(""), settings[i].text, settings[i].change);
		expect_diff(settings[i].text, settings[i].text, "");
	}
}
END_TEST

/* What is printed is all that can be set; each of it has a row above. */
START_TEST(no_key_is_forgotten)
{
	struct config_result plan;
	char text[4096] = "";
	char *save = NULL;
	FILE *out = fmemopen(text, sizeof(text), "w");
	size_t keys = 0;

	make_directory();
	plan = load_text(USER "group = root\n"
			      "control { group = root admin_group = root }\n" S(
				  "owner = root group = root "),
	    NULL);
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(config_print(plan.plan, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		keys += strstr(line, " = ") != NULL;
	/* One has two rows; listen and what a backend has are no settings. */
	ck_assert_uint_eq(keys, ARRAY_LEN(settings) - 1 + 1 + 3);
	config_result_release(&plan);
}
END_TEST

#define T "service t { listen = unix:/t " BACKENDS "}\n"
#define U "service u { listen = unix:/u " BACKENDS "}\n"

START_TEST(services_come_with_what_is_in_them)
{
	make_directory();
	expect_diff(USER S(""), USER T S(""),
	    "added service t/t #1\nadded listener t/unix:/t #1\n"
	    "added backend t/b #1\n");
	expect_diff(USER S("") T, USER T,
	    "removed service s/s #0\nremoved listener s/127.0.0.1:1 #0\n"
	    "removed backend s/b #0\n");
	/* The order of services is nothing that anyone could notice. */
	expect_diff(USER S("") T, USER T S(""), "");
	/* All at once, in the order of rows; settings first. */
	expect_diff(USER S("") T,
	    USER S("retries = 1 ") "service u { listen = unix:/u " BACKENDS
				   "}\nworkers = 99\n",
	    "changed setting /workers #0\n"
	    "changed setting s/retries #0\n"
	    "removed service t/t #1\nremoved listener t/unix:/t #1\n"
	    "removed backend t/b #1\n"
	    "added service u/u #2\nadded listener u/unix:/u #2\n"
	    "added backend u/b #2\n");
}
END_TEST

#define L(list) "service s { listen = {" list "} " BACKENDS "}\n"

START_TEST(listeners_are_told)
{
	make_directory();
	expect_diff(USER L("127.0.0.1:1"), USER L("127.0.0.1:2, 127.0.0.1:1"),
	    "added listener s/127.0.0.1:2 #1\n");
	expect_diff(USER L("127.0.0.1:1"), USER L("127.0.0.1:2"),
	    "added listener s/127.0.0.1:2 #1\n"
	    "removed listener s/127.0.0.1:1 #0\n");
	expect_diff(USER L("127.0.0.1:1, unix:/x"),
	    USER L("unix:/x, 127.0.0.1:1"), "");
	expect_diff(USER L("127.0.0.1:80"), USER L("127.0.0.1:http"),
	    "changed listener s/127.0.0.1:http #0\n");
	expect_diff(USER L("127.0.0.1:1, unix:/x") T,
	    USER L(
		"127.0.0.1:1") "service t { listen = {unix:/t, unix:/x} " BACKENDS
			       "}\n",
	    "changed listener t/unix:/x #1\n");
	expect_diff(USER L("127.0.0.1:0"), USER L("127.0.0.1:0, 127.0.0.1:0"),
	    "added listener s/127.0.0.1:0 #1\n");
	/* From a service that goes away to one that comes. */
	expect_diff(USER S(""),
	    USER "service t { listen = 127.0.0.1:1 " BACKENDS "}\n",
	    "removed service s/s #0\nremoved backend s/b #0\n"
	    "added service t/t #1\nchanged listener t/127.0.0.1:1 #0\n"
	    "added backend t/b #1\n");
}
END_TEST

#define B(backends) "service s { listen = 127.0.0.1:1 " backends "}\n"
#define B1          "backend one { address = 127.0.0.1:1 } "
#define B2          "backend two { address = 127.0.0.1:2 } "
#define B3          "backend three { address = 127.0.0.1:3 } "

START_TEST(backends_are_told)
{
	make_directory();
	expect_diff(USER B(B1), USER B(B2 B1), "added backend s/two #1\n");
	expect_diff(USER B(B1 B2), USER B(B2), "removed backend s/one #0\n");
	expect_diff(USER B(B1 B2), USER B(B3 B1),
	    "added backend s/three #2\nremoved backend s/two #1\n");
	expect_diff(USER B(B1),
	    USER B("backend one { address = 127.0.0.1:9 } "),
	    "changed backend s/one #0\n");
	expect_diff(USER B(B1),
	    USER B("backend one { address = 127.0.0.1:1 weight = 2 } "),
	    "changed backend s/one #0\n");
	expect_diff(USER B(B1),
	    USER B("backend one { address = 127.0.0.1:1 backup = yes } "),
	    "changed backend s/one #0\n");
	/* Whose turn it is goes by their order. */
	expect_diff(USER B(B1 B2 B3), USER B(B1 B3 B2),
	    "changed service s/s #0\n");
	expect_diff(USER B(B1 B2 B3), USER B(B3 B1),
	    "changed service s/s #0\nremoved backend s/two #1\n");
}
END_TEST

START_TEST(what_comes_back_is_added)
{
	struct config_result a;
	struct config_result b;
	struct config_result c;
	struct config_result d;

	make_directory();
	a = load_text(USER S("") T U, NULL);
	b = load_text(USER S(""), a.plan);
	c = load_text(USER S("") T, b.plan);
	d = load_text(USER S("") T, c.plan);
	ck_assert_str_eq(describe(b.plan, c.plan),
	    "added service t/t #1\nadded listener t/unix:/t #1\n"
	    "added backend t/b #1\n");
	ck_assert_str_eq(describe(c.plan, d.plan), "");
	config_result_release(&a);
	config_result_release(&b);
	config_result_release(&c);
	config_result_release(&d);
}
END_TEST

/* A host's name that means another address now: only in the plan. */
START_TEST(resolved_addresses_are_compared)
{
	struct config_result a;
	struct config_result b;
	struct plan *copy;

	make_directory();
	a = load_text(USER S(""), NULL);
	b = load_text(USER S(""), a.plan);
	copy = malloc(b.plan->length);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, b.plan, b.plan->length);
	((struct plan_backend *)plan_backend(copy, 0))->addr.ip[15] = 1;
	ck_assert_str_eq(describe(a.plan, copy), "changed backend s/b #0\n");
	free(copy);
	config_result_release(&a);
	config_result_release(&b);
}
END_TEST

static const char *
restart_key(const struct plan *from, const struct plan *to)
{
	static char text[64];
	const char *section;
	const char *key;

	if (!config_needs_restart(from, to, &section, &key))
		return "";
	(void)snprintf(text, sizeof(text), "%s.%s", section, key);
	return text;
}

START_TEST(restart_is_asked_for)
{
	static const char *const names[] = {".user", ".group", "control.path",
	    "control.mode", "control.group", "control.admin_group"};
	struct config_result from;
	size_t asked = 0;

	make_directory();
	from = load_text(USER S(""), NULL);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		struct config_result to =
		    load_text(settings[i].text, from.plan);
		const char *key = restart_key(from.plan, to.plan);

		if (*key != '\0')
			ck_assert_str_eq(key, names[asked++]);
		config_result_release(&to);
	}
	ck_assert_uint_eq(asked, ARRAY_LEN(names));
	config_result_release(&from);
}
END_TEST

/* The same names, with other numbers in the system's files. */
START_TEST(restart_is_asked_for_other_ids)
{
	struct config_result from;
	struct config_result to;
	struct plan *copy;

	make_directory();
	from = load_text(USER S("") "control { admin_group = root }\n", NULL);
	to =
	    load_text(USER S("") "control { admin_group = root }\n", from.plan);
	copy = malloc(to.plan->length);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, to.plan, to.plan->length);
	ck_assert_str_eq(restart_key(from.plan, copy), "");
	copy->control.admin.id = 4711;
	ck_assert_str_eq(restart_key(from.plan, copy), "control.admin_group");
	copy->control.admin.id = to.plan->control.admin.id;
	copy->gid++;
	ck_assert_str_eq(restart_key(from.plan, copy), ".group");
	copy->uid++;
	ck_assert_str_eq(restart_key(from.plan, copy), ".user");
	free(copy);
	config_result_release(&from);
	config_result_release(&to);
}
END_TEST

UNIT_MAIN("config_diff", each_setting_is_told, no_key_is_forgotten,
    services_come_with_what_is_in_them, listeners_are_told, backends_are_told,
    what_comes_back_is_added, resolved_addresses_are_compared,
    restart_is_asked_for, restart_is_asked_for_other_ids)
