/*
 * reloads - a gateway that reads its configuration again; see reloads.h.
 */
#include "reloads.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "proc.h"

#define ERROR_PREFIX "io.srvd.Control."

void
reload_send(const struct gateway *g, struct client *client, bool dry_run)
{
	int error = client_open(client, g->control);

	ck_assert_msg(error == 0, "%s: %s", g->control, strerror(-error));
	error = client_call(client, "Reload",
	    dry_run ? "{\"dry_run\":true}" : NULL, false);
	ck_assert_msg(error == 0, "%s: %s", g->control, strerror(-error));
}

json_t *
reload_receive(struct client *client, int timeout_ms)
{
	json_t *reply = client_hear(client, timeout_ms);

	if (reply != NULL)
		client_close(client);
	return reply;
}

json_t *
reload_ask(const struct gateway *g, bool dry_run)
{
	struct client client;
	json_t *reply;

	reload_send(g, &client, dry_run);
	reply = reload_receive(&client, RELOAD_TIMEOUT_MS);
	ck_assert_msg(reply != NULL, "no answer to Reload");
	return reply;
}

/* The error's name without the interface, or NULL. */
static const char *
reply_error(const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (error == NULL)
		return NULL;
	ck_assert_msg(strncmp(error, ERROR_PREFIX, strlen(ERROR_PREFIX)) == 0,
	    "Reload answers %s", error);
	return error + strlen(ERROR_PREFIX);
}

bool
reload_is_done(const json_t *reply)
{
	const char *error = reply_error(reply);

	ck_assert_msg(error == NULL || strcmp(error, "ReloadFailed") == 0,
	    "Reload answers %s", error);
	return error == NULL;
}

json_t *
reload_expect_changes(const struct gateway *g)
{
	int64_t before = gateway_number(g, "generation");
	json_t *reply = reload_ask(g, false);
	json_t *parameters = json_incref(json_object_get(reply, "parameters"));
	char *text = json_dumps(reply, JSON_COMPACT);
	int64_t now;

	ck_assert_msg(json_object_get(reply, "error") == NULL,
	    "the reload was refused: %s", text);
	now = json_integer_value(json_object_get(parameters, "generation"));
	ck_assert_msg(now > before && gateway_number(g, "generation") == now,
	    "after generation %lld comes %lld: %s", (long long)before,
	    (long long)now, text);
	free(text);
	json_decref(reply);
	return parameters;
}

void
reload_expect_done(const struct gateway *g)
{
	json_decref(reload_expect_changes(g));
}

void
reload_expect_newer(const struct gateway *g, int64_t generation)
{
	uint64_t end_ms = e2e_now_ms() + 5000;

	while (gateway_number(g, "generation") <= generation) {
		ck_assert_msg(e2e_now_ms() < end_ms,
		    "it is still generation %lld", (long long)generation);
		e2e_pause(5);
	}
}

void
reload_expect_refused(const struct gateway *g, const char *error,
    const char *words)
{
	char *picture = reload_picture(g);
	json_t *reply = reload_ask(g, false);
	const char *got = reply_error(reply);
	char *text = json_dumps(json_object_get(reply, "parameters"), 0);

	ck_assert_msg(got != NULL && strcmp(got, error) == 0,
	    "Reload answers %s, not %s: %s", got == NULL ? "well" : got, error,
	    text);
	ck_assert_msg(strcasestr(text, words) != NULL,
	    "no \"%s\" in the reason for the refusal: %s", words, text);
	free(text);
	json_decref(reply);
	reload_expect_picture(g, picture);
}

unsigned
reload_count(const json_t *parameters, const char *kind, const char *object)
{
	const json_t *changes = json_object_get(parameters, "changes");
	unsigned count = 0;
	size_t i;
	json_t *change;

	ck_assert_msg(json_is_array(changes), "a reload without changes");
	json_array_foreach(changes, i, change)
	{
		const char *its_kind =
		    json_string_value(json_object_get(change, "kind"));
		const char *its_object =
		    json_string_value(json_object_get(change, "object"));

		ck_assert_ptr_nonnull(its_kind);
		ck_assert_ptr_nonnull(its_object);
		count += strcmp(its_kind, kind) == 0 &&
		    strcmp(its_object, object) == 0;
	}
	return count;
}

static void
print_names(FILE *out, json_t *status)
{
	size_t i;
	size_t j;
	json_t *row;
	json_t *backend;

	fprintf(out, "generation %lld\n",
	    (long long)json_integer_value(json_object_get(status,
		"generation")));
	json_dumpf(json_object_get(status, "listeners"), out,
	    JSON_SORT_KEYS | JSON_INDENT(1));
	json_array_foreach(json_object_get(status, "workers"), i,
	    row) fprintf(out, "worker %zu pid %lld holder %lld\n", i,
	    (long long)json_integer_value(json_object_get(row, "pid")),
	    (long long)json_integer_value(json_object_get(row, "holder_pid")));
	json_array_foreach(json_object_get(status, "services"), i, row)
	{
		fprintf(out, "service %s\n",
		    json_string_value(json_object_get(row, "name")));
		json_array_foreach(json_object_get(row, "backends"), j, backend)
		    fprintf(out, "backend %s at %s\n",
			json_string_value(json_object_get(backend, "name")),
			json_string_value(json_object_get(backend, "address")));
	}
}

static void
print_files(FILE *out)
{
	struct dirent **names;
	int n = scandir(e2e_dir(), &names, NULL, alphasort);

	ck_assert_msg(n >= 0, "scandir: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		fprintf(out, "file %s\n", names[i]->d_name);
		free(names[i]);
	}
	free((void *)names);
}

static void
print_fds(FILE *out, const char *who, pid_t pid)
{
	fprintf(out, "%s: %d sockets, %d memory files\n", who,
	    proc_fds_named(pid, "socket:"), proc_fds_named(pid, "/memfd:"));
}

/* The master drops what it has looked at, such as this client, in its own
 * time: only what is the same twice is taken down. */
static char *
picture_once(const struct gateway *g)
{
	json_t *status = gateway_status(g);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	size_t i;
	json_t *row;

	ck_assert_ptr_nonnull(out);
	print_names(out, status);
	print_files(out);
	print_fds(out, "master", g->pid);
	/* One that hands over may be gone a moment later. */
	json_array_foreach(json_object_get(status, "workers"), i, row)
	    print_fds(out, "a holder",
		(pid_t)json_integer_value(json_object_get(row, "holder_pid")));
	json_decref(status);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

/* They are too long for a message of check's. */
static void
fail_pictures(const char *what, const char *before, const char *now)
{
	fprintf(stderr, "the gateway %s; was:\n%s\nis:\n%s\n", what, before,
	    now);
	ck_abort_msg("the gateway %s, see above", what);
}

char *
reload_picture(const struct gateway *g)
{
	uint64_t end_ms = e2e_now_ms() + 5000;
	char *now = picture_once(g);
	char *before = NULL;

	while (before == NULL || strcmp(before, now) != 0) {
		if (e2e_now_ms() >= end_ms)
			fail_pictures("does not come to rest", before, now);
		free(before);
		before = now;
		e2e_pause(20);
		now = picture_once(g);
	}
	free(before);
	return now;
}

void
reload_expect_picture(const struct gateway *g, char *picture)
{
	uint64_t end_ms = e2e_now_ms() + 3000;
	char *now = picture_once(g);

	/* Workers forget what was aborted after the answer. */
	while (strcmp(now, picture) != 0) {
		if (e2e_now_ms() >= end_ms)
			fail_pictures("has changed", picture, now);
		free(now);
		e2e_pause(20);
		now = picture_once(g);
	}
	free(now);
	free(picture);
}
