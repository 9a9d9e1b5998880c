/*
 * test_manual - the manuals say what the tables say: every key with its kind
 * of value, default and range, every verb and option of srvctl, its exit
 * statuses, and every reason for which a connection ends; and nothing else.
 */
#include "common/units.h"
#include "ctl/command.h"
#include "ctl/option.h"
#include "server/config/key.h"
#include "server/config/type.h"
#include "server/state/reason.h"
#include "tests/unit/config_file.h"
#include "tests/unit/manual.h"
#include "tests/unit/unit.h"

/* Said of all durations; a key's own limit is said with it. */
#define DURATION_MAX_DAYS UINT64_C(365)
#define DAY_MS            (UINT64_C(24) * 60 * 60 * 1000)

static struct manual manual;

/* srvd.conf(5) */

static const char *const headings[SECTIONS_COUNT] = {
    [SECTION_TOP] = "SETTINGS OF THE GATEWAY",
    [SECTION_CONTROL] = "SETTINGS OF THE CONTROL SOCKET",
    [SECTION_LOG] = "SETTINGS OF THE LOG",
    [SECTION_SERVICE] = "SETTINGS OF A SERVICE",
    [SECTION_BACKEND] = "SETTINGS OF A BACKEND",
};

/* What the manual calls the values of a type; a choice has its words. */
static const struct {
	const struct key_type *type;
	const char *values;
} kinds[] = {
    {&type_number, "number"},
    {&type_number_or_auto, "auto | number"},
    {&type_duration, "duration"},
    {&type_switch, "switch"},
    {&type_mode, "mode"},
    {&type_name, "name"},
    {&type_socket_path, "path"},
    {&type_owner, "name"},
    {&type_group, "name"},
    {&type_log_target, "stderr | journal | syslog | path"},
    {&type_access_target, "off | stderr | journal | syslog | path"},
    {&type_listen, "list"},
    {&type_address, "address"},
};

static void
values_of(const struct key *key, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].type == key->type)
			(void)snprintf(text, size, "%s", kinds[i].values);
	}
	for (size_t i = 0; key->words != NULL && key->words[i] != NULL; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s",
		    i == 0 ? "" : " | ", key->words[i]);
	ck_assert_msg(*text != '\0', "%s: a type that this test doesn't know",
	    key->name);
}

static void
expect_range(const struct key *key, const struct manual_item *item)
{
	char min[UNITS_TEXT_SIZE];
	char max[UNITS_TEXT_SIZE];

	if (key->type == &type_number || key->type == &type_number_or_auto)
		manual_expect_text(item, "%llu to %llu",
		    (unsigned long long)key->min, (unsigned long long)key->max);
	if (key->type != &type_duration)
		return;
	(void)units_format_duration(key->min, min);
	(void)units_format_duration(key->max, max);
	if (key->max != DURATION_MAX_DAYS * DAY_MS)
		manual_expect_text(item, "%s to %s", min, max);
	else if (key->min > 1)
		manual_expect_text(item, "at least %s", min);
}

static void
expect_key(const struct key *key, const char *heading)
{
	static const char restart[] = "Only a restart changes it.";
	struct manual_item *item;
	char values[128];

	values_of(key, values, sizeof(values));
	item = manual_expect(&manual, heading, "%s = %s", key->name, values);
	if (key->required)
		manual_expect_text(item, "Required.");
	else if (key->fallback == NULL)
		manual_expect_text(item, "Default: ");
	else
		manual_expect_text(item, "Default: %s.", key->fallback);
	expect_range(key, item);
	ck_assert_msg((key->reload == RELOAD_RESTART) ==
		(strstr(item->body, restart) != NULL),
	    "%s: whether a reload can change it", key->name);
}

static void
expect_section(const struct section *section)
{
	const char *heading = headings[section->parent];
	struct manual_item *item = manual_expect(&manual, heading,
	    section->titled ? "%s NAME { ... }" : "%s { ... }", section->name);

	manual_expect_text(item, "%s", headings[section - sections]);
	if (section->required)
		manual_expect_text(item, "there must be at least one");
	if (section->max > 0)
		manual_expect_text(item, "%u", section->max);
}

START_TEST(srvd_conf_has_every_key)
{
	manual_read(&manual, MANUALS "/srvd.conf.5");
	for (size_t i = 0; i < SECTIONS_COUNT; i++) {
		for (size_t k = 0; k < sections[i].keys_count; k++)
			expect_key(&sections[i].keys[k], headings[i]);
		if (i != SECTION_TOP)
			expect_section(&sections[i]);
	}
	for (size_t i = 0; i < SECTIONS_COUNT; i++)
		manual_expect_no_more(&manual, headings[i]);
	manual_expect_text(manual_expect(&manual, "SYNTAX", "duration"),
	    "at most %u days", (unsigned)DURATION_MAX_DAYS);
}
END_TEST

static void
append(char *text, size_t size, const char *line)
{
	size_t length = strlen(text);

	ck_assert_uint_lt(length + strlen(line), size);
	memcpy(text + length, line, strlen(line) + 1);
}

static char example[65536];

/* What has been gathered, if there is a service in it, is a configuration. */
static bool
load_example(void)
{
	bool is_one = strncmp(example, "service ", 8) == 0 ||
	    strstr(example, "\nservice ") != NULL;
	struct config_result result;

	if (is_one) {
		write_text("example.conf", example);
		result = load_good("example.conf", true);
		config_result_release(&result);
	}
	example[0] = '\0';
	return is_one;
}

/* Of a manual: its displays.  Returns how many are configurations. */
static size_t
load_displays(FILE *file)
{
	char line[512];
	bool inside = false;
	size_t count = 0;

	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, ".Bd ", 4) == 0) {
			inside = true;
		} else if (strncmp(line, ".Ed", 3) == 0) {
			inside = false;
			count += load_example();
		} else if (inside) {
			append(example, sizeof(example), line);
		}
	}
	return count;
}

/* Of a text: what is indented by a tab. */
static size_t
load_indented(FILE *file)
{
	char line[512];
	size_t count = 0;

	while (fgets(line, sizeof(line), file) != NULL) {
		if (*line == '\t' || *line == '\n')
			append(example, sizeof(example),
			    line + (*line == '\t'));
		else
			count += load_example();
	}
	return count + load_example();
}

/* Root's configuration must name users that exist, and the examples' need not
 * do so here. */
static void
become_nobody(void)
{
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
}

/* The leak checker can trace nobody else's process. */
static void
become_oneself(void)
{
	ck_assert_int_eq(seteuid(getuid()), 0);
}

START_TEST(examples_are_configurations)
{
	FILE *manual_file = fopen(MANUALS "/srvd.conf.5", "re");
	FILE *readme_file = fopen(README, "re");

	ck_assert_ptr_nonnull(manual_file);
	ck_assert_ptr_nonnull(readme_file);
	become_nobody();
	make_directory();
	ck_assert_uint_ge(load_displays(manual_file), 3);
	ck_assert_uint_ge(load_indented(readme_file), 1);
	become_oneself();
	ck_assert_int_eq(fclose(manual_file), 0);
	ck_assert_int_eq(fclose(readme_file), 0);
}
END_TEST

/* The installed srvd.conf */

/* A setting that stands there as a comment: its default, if it has one. */
static bool
expect_default(const struct section *section, const char *line)
{
	const struct key *key;
	char name[64];
	char value[64];

	if (sscanf(line, " #%63[a-z_] = %63s", name, value) != 2)
		return false;
	key = section_key(section, name);
	ck_assert_msg(key != NULL, "there is no key %s", name);
	if (key->fallback != NULL)
		ck_assert_str_eq(value, key->fallback);
	return true;
}

/* Its comments are the defaults, and may be made settings as they are. */
START_TEST(the_installed_comments_are_defaults)
{
	const struct section *section = &sections[SECTION_TOP];
	FILE *file = fopen(ETC "/srvd.conf", "re");
	char text[16384] = SERVICE;
	struct config_result result;
	char line[256];
	size_t count = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		char name[64];

		if (sscanf(line, "%63[a-z] {", name) == 1 &&
		    strchr(line, '{') != NULL)
			section = section_child(section, name);
		else if (*line == '}')
			section = &sections[SECTION_TOP];
		ck_assert_ptr_nonnull(section);
		if (expect_default(section, line)) {
			*strchr(line, '#') = ' ';
			count++;
		}
		append(text, sizeof(text), line);
	}
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_uint_ge(count, 10);
	become_nobody();
	make_directory();
	write_text("srvd.conf", text);
	result = load_good("srvd.conf", true);
	become_oneself();
	config_result_release(&result);
}
END_TEST

/* srvctl(1) */

/* name, and each of the ways in which its arguments may be written. */
static void
expect_verb(const char *name, const char *arguments)
{
	if (*arguments == '\0')
		(void)manual_expect(&manual, "Verbs", "%s", name);
	while (*arguments != '\0') {
		size_t length = strcspn(arguments, "|");

		(void)manual_expect(&manual, "Verbs", "%s %.*s", name,
		    (int)length, arguments);
		arguments += length;
		arguments += strspn(arguments, "| ");
	}
}

START_TEST(srvctl_has_every_verb)
{
	manual_read(&manual, MANUALS "/srvctl.1");
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = &verbs_table[i];

		expect_verb(verb->name, verb->arguments);
		if (verb->alias != NULL)
			expect_verb(verb->alias, verb->arguments);
	}
	expect_verb("help", "[VERB]");
	manual_expect_no_more(&manual, "Verbs");
}
END_TEST

/* One that only some verbs take stands with them. */
static void
expect_option_of_a_verb(const struct option_row *row)
{
	char text[64];
	size_t takers = 0;

	(void)snprintf(text, sizeof(text), "--%s%s%s", row->name,
	    row->value == NULL ? "" : " ",
	    row->value == NULL ? "" : row->value);
	for (size_t i = 0; i < verbs_count; i++) {
		bool takes = (verbs_table[i].options & row->set) != 0;

		ck_assert_msg(takes ==
			(strstr(verbs_table[i].arguments, text) != NULL),
		    "usage of %s: %s", verbs_table[i].name, text);
		takers += takes;
	}
	ck_assert_msg(takers > 0, "no verb takes %s", text);
}

START_TEST(srvctl_has_every_option)
{
	manual_read(&manual, MANUALS "/srvctl.1");
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];
		const char *value = row->value == NULL ? "" : row->value;
		bool has_letter = strcmp(row->name, "help") == 0;

		if (row->set == OPTIONS_FILTER)
			(void)manual_expect(&manual, "Filters", "--%s %s",
			    row->name, value);
		else if (row->set == OPTIONS_GATEWAY ||
		    row->set == OPTIONS_ALONE || row->set == OPTIONS_ALWAYS)
			(void)manual_expect(&manual, "Options", "%s--%s %s",
			    has_letter ? "-h, " : "", row->name, value);
		else
			expect_option_of_a_verb(row);
	}
	manual_expect_no_more(&manual, "Filters");
	manual_expect_no_more(&manual, "Options");
}
END_TEST

/* The last number before a word that is there. */
static unsigned
number_before(const char *text, const char *word)
{
	const char *end = strstr(text, word);
	unsigned number = 0;

	ck_assert_msg(end != NULL, "no '%s' in: %s", word, text);
	while (text < end) {
		size_t digits = strspn(text, "0123456789");

		if (digits > 0)
			number = (unsigned)strtoul(text, NULL, 10);
		text += digits > 0 ? digits : 1;
	}
	return number;
}

/* "The default is 45 for call, close and reload, and 10 for the others." */
START_TEST(srvctl_has_every_timeout)
{
	const char *text;

	manual_read(&manual, MANUALS "/srvctl.1");
	text =
	    strstr(manual_expect(&manual, "Options", "--timeout SECONDS")->body,
		"The default is ");
	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = &verbs_table[i];
		const char *name = verb->name;

		if ((verb->options & OPTIONS_GATEWAY) == 0)
			continue;
		if (strstr(text, name) == NULL)
			name = "the others";
		ck_assert_msg(number_before(text, name) == verb->timeout_s,
		    "%s has %u s", verb->name, verb->timeout_s);
	}
}
END_TEST

START_TEST(srvctl_has_every_exit_status)
{
	manual_read(&manual, MANUALS "/srvctl.1");
#define EXPECT_EXIT(name, number, meaning) \
	(void)manual_expect(&manual, "EXIT STATUS", "%d", name);
	CTL_EXITS(EXPECT_EXIT)
#undef EXPECT_EXIT
	manual_expect_no_more(&manual, "EXIT STATUS");
}
END_TEST

/* srvd(8); what only the program itself tells is in e2e/test_manual.c. */

START_TEST(srvd_has_every_reason)
{
	manual_read(&manual, MANUALS "/srvd.8");
	for (uint32_t i = REASON_NONE + 1; i < REASON_COUNT; i++)
		(void)manual_expect(&manual, "Reasons", "%s", reason_word(i));
	manual_expect_no_more(&manual, "Reasons");
}
END_TEST

UNIT_MAIN("manual", srvd_conf_has_every_key, examples_are_configurations,
    the_installed_comments_are_defaults, srvctl_has_every_verb,
    srvctl_has_every_option, srvctl_has_every_timeout,
    srvctl_has_every_exit_status, srvd_has_every_reason)
