/*
 * parse - from canonical text to rows, through libconfuse; see parse.h.
 *
 * To libconfuse every value is a string; what it means is the business of
 * the key's type.  libconfuse forgets where a value stood, so each is kept
 * with its line before it: "17 30s".
 */
#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/lex.h"
#include "server/config/parse.h"

struct parse {
	const struct canon *canon;
	struct build *build;
};

/* libconfuse's callbacks know no context; its lexer is global anyway. */
static struct parse *current;

static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	static char kept[LEX_TEXT_MAX + 32];

	(void)opt;
	(void)snprintf(kept, sizeof(kept), "%d %s", cfg->line, text);
	*(const char **)result = kept;
	return 0;
}

/* Whatever it doesn't like, the scan should have seen before. */
static void printf_like(2, 0)
    on_error(cfg_t *cfg, const char *format, va_list args)
{
	char message[200];

	(void)vsnprintf(message, sizeof(message), format, args);
	report_add(current->build->report,
	    canon_place(current->canon, cfg->line), "the parser says: %s",
	    message);
}

static cfg_opt_t
make_option(const struct key *key)
{
	/* libconfuse copies the names but has them without const. */
	if (key->list)
		return (cfg_opt_t)CFG_STR_LIST_CB((char *)key->name, NULL,
		    CFGF_NODEFAULT, on_value);
	return (cfg_opt_t)CFG_STR_CB((char *)key->name, NULL, CFGF_NODEFAULT,
	    on_value);
}

/* The tables, as libconfuse wants them; children stand before parents. */
static void
make_options(cfg_opt_t options[SECTIONS_COUNT][SECTION_ITEMS_MAX])
{
	for (size_t i = 0; i < SECTIONS_COUNT; i++) {
		cfg_opt_t *option = options[i];

		for (size_t k = 0; k < sections[i].keys_count; k++)
			*option++ = make_option(&sections[i].keys[k]);
		for (size_t c = 0; c < i; c++) {
			cfg_flag_t flags = sections[c].titled
			    ? CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES
			    : CFGF_NONE;

			if (sections[c].parent != i)
				continue;
			*option++ = (cfg_opt_t)CFG_SEC((char *)sections[c].name,
			    options[c], flags);
		}
		*option = (cfg_opt_t)CFG_END();
	}
}

/* Give the key one value: "LINE TEXT". */
static struct place
read_value(const struct parse *parse, const struct key *key, const char *kept,
    void *row)
{
	char *text;
	long line = strtol(kept, &text, 10);
	const struct value value = {
	    .build = parse->build,
	    .key = key,
	    .text = *text == ' ' ? text + 1 : text,
	    .place = canon_place(parse->canon, (int)line),
	};

	key->type->read(&value, (char *)row + key->offset);
	return value.place;
}

static void
read_keys(const struct parse *parse, const struct section *section, cfg_t *cfg,
    void *row)
{
	for (size_t i = 0; i < section->keys_count; i++) {
		const struct key *key = &section->keys[i];
		cfg_opt_t *option =
		    cfg == NULL ? NULL : cfg_getopt(cfg, key->name);
		/* Ask for the size: an unset option has values too. */
		unsigned count = option == NULL ? 0 : cfg_opt_size(option);
		struct place place = {0};

		for (unsigned v = 0; v < count; v++)
			place = read_value(parse, key,
			    cfg_opt_getnstr(option, v), row);
		if (section == &sections[SECTION_TOP])
			parse->build->top_places[i] = place;
		if (count == 0 && key->fallback != NULL) {
			char kept[64];

			(void)snprintf(kept, sizeof(kept), "0 %s",
			    key->fallback);
			(void)read_value(parse, key, kept, row);
		}
	}
}

static void
read_service(const struct parse *parse, cfg_t *cfg)
{
	struct build *build = parse->build;
	const char *name = sections[SECTION_BACKEND].name;
	unsigned count = cfg_size(cfg, name);

	read_keys(parse, &sections[SECTION_SERVICE], cfg,
	    build_service(build, cfg_title(cfg)));
	for (unsigned i = 0; i < count; i++) {
		cfg_t *backend = cfg_getnsec(cfg, name, i);

		read_keys(parse, &sections[SECTION_BACKEND], backend,
		    build_backend(build, cfg_title(backend)));
	}
}

static void
read_tree(const struct parse *parse, cfg_t *cfg)
{
	static const enum section_id singles[] = {SECTION_CONTROL, SECTION_LOG};
	struct plan *head = &parse->build->head;
	const char *name = sections[SECTION_SERVICE].name;
	unsigned count = cfg_size(cfg, name);

	read_keys(parse, &sections[SECTION_TOP], cfg, head);
	for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
		const struct section *section = &sections[singles[i]];

		read_keys(parse, section, cfg_getsec(cfg, section->name), head);
	}
	for (unsigned i = 0; i < count; i++)
		read_service(parse, cfg_getnsec(cfg, name, i));
}

/* The member's row in a plan that nobody is to see. */
static void *
scratch_row(struct build *scratch, const struct section *section)
{
	switch ((enum section_id)(section - sections)) {
	case SECTION_BACKEND:
		return &scratch->backends[0];
	case SECTION_SERVICE:
		return &scratch->services[0];
	default:
		return &scratch->head;
	}
}

void
parse_asides(const struct canon *canon, const struct config_request *request,
    struct report *report)
{
	struct build scratch;

	build_init(&scratch, request, report);
	(void)build_service(&scratch, "");
	(void)build_backend(&scratch, "");
	for (uint32_t i = 0; i < canon->asides_count; i++) {
		const struct canon_aside *aside = &canon->asides[i];
		const struct value value = {
		    .build = &scratch,
		    .key = aside->key,
		    .text = aside->value,
		    .place = aside->place,
		};
		char *row = scratch_row(&scratch, aside->section);

		aside->key->type->read(&value, row + aside->key->offset);
	}
}

void
parse_canon(const struct canon *canon, struct build *build)
{
	cfg_opt_t options[SECTIONS_COUNT][SECTION_ITEMS_MAX];
	struct parse parse = {.canon = canon, .build = build};
	struct bytes text = {0};
	const struct place nowhere = {0};
	cfg_t *cfg;

	make_options(options);
	cfg = cfg_init(options[SECTION_TOP], CFGF_NONE);
	if (cfg == NULL)
		_Exit(MEMORY_EXIT_STATUS);
	current = &parse;
	(void)cfg_set_error_function(cfg, on_error);
	bytes_add(&text, canon->text.data, canon->text.length);
	bytes_add(&text, "\n", sizeof("\n"));
	if (cfg_parse_buf(cfg, text.data) == CFG_SUCCESS)
		read_tree(&parse, cfg);
	else if (build->report->findings_count == 0)
		report_add(build->report, nowhere,
		    "the configuration could not be parsed");
	memory_free(text.data);
	(void)cfg_free(cfg);
	current = NULL;
}
