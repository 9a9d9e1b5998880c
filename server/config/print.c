/*
 * print - the effective configuration as text.
 *
 * Every key's row writes itself, so that what is printed reads back to an
 * equal plan.  What was removed is no part of the configuration.
 *
 * Runs in: srvd -n.
 */
#include <errno.h>

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
	for (uint32_t i = 0; i < plan->services.count; i++) {
		const struct plan_service *service = plan_service(plan, i);

		if (service->state == ROW_ACTIVE)
			print_service(plan, service, out);
	}
	if (fflush(out) != 0 || ferror(out))
		return errno != 0 ? -errno : -EIO;
	return 0;
}
