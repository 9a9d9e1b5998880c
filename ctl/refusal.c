/*
 * refusal - the gateway's errors; see refusal.h.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/refusal.h"
#include "ctl/text.h"

#define OURS(error)    "io.srvd.Control." error
#define VARLINK(error) "org.varlink.service." error

static void
unchanged_print(FILE *out)
{
	fputs("srvctl: nothing was changed: the gateway runs on as before\n",
	    out);
}

/* As compilers write it, so that editors find the place. */
static void
config_error_print(const json_t *error, FILE *out)
{
	int64_t line = json_number_of(error, "line");

	text_put(out, json_text_of(error, "file"));
	if (line > 0)
		fprintf(out, ":%lld", (long long)line);
	fputs(": ", out);
	text_put(out, json_text_of(error, "message"));
	fputc('\n', out);
}

static void
print_config_invalid(const json_t *parameters, FILE *out)
{
	json_t *errors = json_object_get(parameters, "errors");
	size_t i;
	json_t *error;

	json_array_foreach(errors, i, error) config_error_print(error, out);
	fprintf(out, "srvctl: the configuration has %zu error%s\n",
	    json_array_size(errors), json_array_size(errors) == 1 ? "" : "s");
	unchanged_print(out);
}

/* A stop is no fault of the configuration: whoever asks for both can tell. */
static bool
is_stopped(const json_t *parameters)
{
	return json_text_is(parameters, "stage", "stop");
}

static void
print_failed(const char *what, const json_t *parameters, FILE *out)
{
	fprintf(out, "srvctl: the %s failed (", what);
	text_put(out, json_text_of(parameters, "stage"));
	fputs("): ", out);
	text_put(out, json_text_of(parameters, "message"));
	fputc('\n', out);
}

static void
print_reload_failed(const json_t *parameters, FILE *out)
{
	print_failed("reload", parameters, out);
	if (is_stopped(parameters))
		fputs("srvctl: nothing was changed\n", out);
	else
		unchanged_print(out);
}

static void
print_upgrade_failed(const json_t *parameters, FILE *out)
{
	print_failed("upgrade", parameters, out);
	if (is_stopped(parameters))
		fputs("srvctl: nothing was changed\n", out);
	else if (json_text_is(parameters, "stage", "start"))
		fputs("srvctl: the gateway's master has ended; its workers go "
		      "on until srvd is started again\n",
		    out);
	else
		unchanged_print(out);
}

/* clang-format off */
static const struct error_row {
	const char *name;
	const char *sentence;
	const char *key; /* of the parameter that the sentence ends with */
	enum ctl_exit status;
	void (*print)(const json_t *parameters, FILE *out); /* instead */
} errors[] = {
	{ OURS("NoSuchService"),
	  "there is no such service", "service", CTL_REFUSED, NULL },
	{ OURS("NoSuchBackend"),
	  "the service has no such backend", "backend", CTL_REFUSED, NULL },
	{ OURS("RebalanceFailed"),
	  "connections could not be evened out", "message", CTL_REFUSED, NULL },
	{ OURS("ReopenFailed"),
	  "a log file stays as it was", "message", CTL_REFUSED, NULL },
	{ OURS("Busy"),
	  "not now", "message", CTL_REFUSED, NULL },
	{ OURS("ConfigInvalid"),
	  NULL, NULL, CTL_REFUSED, print_config_invalid },
	{ OURS("ReloadFailed"),
	  NULL, NULL, CTL_REFUSED, print_reload_failed },
	{ OURS("UpgradeFailed"),
	  NULL, NULL, CTL_REFUSED, print_upgrade_failed },
	{ VARLINK("InterfaceNotFound"),
	  "the gateway has no such interface", "interface", CTL_REFUSED, NULL },
	{ VARLINK("MethodNotFound"),
	  "the gateway has no such method", "method", CTL_REFUSED, NULL },
	{ VARLINK("MethodNotImplemented"),
	  "the gateway does not do this", "method", CTL_REFUSED, NULL },
	{ VARLINK("InvalidParameter"),
	  "this parameter is missing, unknown or wrong", "parameter",
	  CTL_REFUSED, NULL },
	{ VARLINK("ExpectedMore"),
	  "the method answers with a stream, and was not asked for one", NULL,
	  CTL_REFUSED, NULL },
	{ VARLINK("PermissionDenied"),
	  "you may not do this: root, the gateway's own user and its "
	  "admin_group may, and root alone names a program to upgrade to", NULL, CTL_FORBIDDEN, NULL },
};
/* clang-format on */

static const struct error_row *
error_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		if (strcmp(errors[i].name, name) == 0)
			return &errors[i];
	}
	return NULL;
}

enum ctl_exit
refusal_status(const char *error, const json_t *parameters)
{
	const struct error_row *row = error_find(error);

	if (row != NULL && is_stopped(parameters) &&
	    (row->print == print_reload_failed ||
		row->print == print_upgrade_failed))
		return CTL_STOPPING;
	return row == NULL ? CTL_REFUSED : row->status;
}

static void
print_unknown(const char *error, const json_t *parameters, FILE *out)
{
	char *text = json_dumps(parameters, JSON_COMPACT | JSON_ENSURE_ASCII);

	fputs("srvctl: the gateway refused: ", out);
	text_put(out, error);
	fprintf(out, " %s\n", text == NULL ? "" : text);
	free(text);
}

void
refusal_print(const char *error, const json_t *parameters, FILE *out)
{
	const struct error_row *row = error_find(error);
	const char *value;

	if (row == NULL) {
		print_unknown(error, parameters, out);
		return;
	}
	if (row->print != NULL) {
		row->print(parameters, out);
		return;
	}
	value = row->key == NULL ? "" : json_text_of(parameters, row->key);
	fprintf(out, "srvctl: %s%s", row->sentence,
	    value[0] == '\0' ? "" : ": ");
	text_put(out, value);
	fputc('\n', out);
}
