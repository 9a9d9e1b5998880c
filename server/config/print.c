/*
 * print - the effective configuration as text, and what differs in two.
 *
 * Every key's row writes itself, so that what is printed reads back to an
 * equal plan.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/config.h"
#include "server/config/key.h"

static void
print_keys(const struct plan *plan, enum section_id id, const void *row,
    FILE *out)
{
	const struct section *section = &sections[id];
	static const char *const indent[] = {
	    [SECTION_CONTROL] = "\t",
	    [SECTION_LOG] = "\t",
	    [SECTION_SERVICE] = "\t",
	    [SECTION_BACKEND] = "\t\t",
	    [SECTION_TOP] = "",
	};

	for (size_t i = 0; i < section->keys_count; i++) {
		const struct key *key = &section->keys[i];
		const void *member = key_member(key, row);

		if (key->type->is_set != NULL &&
		    !key->type->is_set(plan, member))
			continue;
		(void)fprintf(out, "%s%s = ", indent[id], key->name);
		key->type->print(plan, key, member, out);
		(void)fputc('\n', out);
	}
}

static void
print_service(const struct plan *plan, const struct plan_service *service,
    FILE *out)
{
	(void)fprintf(out, "\nservice %s {\n",
	    plan_string(plan, service->name));
	print_keys(plan, SECTION_SERVICE, service, out);
	for (uint32_t i = service->first_backend; i != PLAN_END;
	     i = plan_backend(plan, i)->next) {
		const struct plan_backend *backend = plan_backend(plan, i);

		(void)fprintf(out, "\tbackend %s {\n",
		    plan_string(plan, backend->name));
		print_keys(plan, SECTION_BACKEND, backend, out);
		(void)fputs("\t}\n", out);
	}
	(void)fputs("}\n", out);
}

int
config_print(const struct plan *plan, FILE *out)
{
	print_keys(plan, SECTION_TOP, plan, out);
	(void)fputs("\ncontrol {\n", out);
	print_keys(plan, SECTION_CONTROL, plan, out);
	(void)fputs("}\n\nlog {\n", out);
	print_keys(plan, SECTION_LOG, plan, out);
	(void)fputs("}\n", out);
	for (uint32_t i = 0; i < plan->services.count; i++)
		print_service(plan, plan_service(plan, i), out);
	if (fflush(out) != 0 || ferror(out))
		return errno != 0 ? -errno : -EIO;
	return 0;
}

/* A value as text; NULL without memory. */
static char *
value_text(const struct plan *plan, const struct key *key)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	key->type->print(plan, key, key_member(key, plan), out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Values that can't be told apart for want of memory count as changed. */
static bool
is_changed(const struct plan *from, const struct plan *to,
    const struct key *key)
{
	char *old = value_text(from, key);
	char *new = value_text(to, key);
	bool changed = old == NULL || new == NULL || strcmp(old, new) != 0;

	free(old);
	free(new);
	return changed;
}

bool
config_needs_restart(const struct plan *from, const struct plan *to,
    const char **section, const char **key)
{
	/* What these sections set stands in the plan's head. */
	static const enum section_id ids[] = {
	    SECTION_TOP, SECTION_CONTROL, SECTION_LOG};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		const struct section *in = &sections[ids[i]];

		for (size_t k = 0; k < in->keys_count; k++) {
			if (in->keys[k].reload != RELOAD_RESTART ||
			    !is_changed(from, to, &in->keys[k]))
				continue;
			*section = ids[i] == SECTION_TOP ? "" : in->name;
			*key = in->keys[k].name;
			return true;
		}
	}
	return false;
}
