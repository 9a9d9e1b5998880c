/*
 * upgrades - a gateway that is told to let another program take its place; see
 * upgrades.h.
 */
#include "upgrades.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "proc.h"
#include "reloads.h"

void
upgrade_send(const struct gateway *g, struct client *client,
    const char *program)
{
	char parameters[2 * E2E_PATH_SIZE];
	int error = client_open(client, g->control);

	(void)snprintf(parameters, sizeof parameters, "{\"program\":\"%s\"}",
	    program == NULL ? "" : program);
	if (error == 0)
		error = client_call(client, "Upgrade",
		    program == NULL ? NULL : parameters, false);
	ck_assert_msg(error == 0, "%s: %s", g->control, strerror(-error));
}

json_t *
upgrade_receive(struct client *client)
{
	json_t *reply = client_hear(client, UPGRADE_TIMEOUT_MS);

	ck_assert_msg(reply != NULL, "no answer to Upgrade");
	client_close(client);
	return reply;
}

const char *
upgrade_this_program(void)
{
	static char path[PATH_MAX];

	ck_assert_ptr_nonnull(realpath(gateway_program(), path));
	return path;
}

void
upgrade_expect_done(const struct gateway *g, const char *program,
    const char *from, const char *to)
{
	struct client client;

	upgrade_send(g, &client, program);
	upgrade_expect_reply(upgrade_receive(&client), from, to);
}

static void
expect_version(const json_t *reply, const char *key, const char *version)
{
	const char *got =
	    json_string_value(json_object_get(json_object_get(reply,
						  "parameters"),
		key));

	ck_assert_ptr_nonnull(got);
	ck_assert_str_eq(got, version);
}

void
upgrade_expect_reply(json_t *reply, const char *from, const char *to)
{
	char *text = json_dumps(reply, JSON_COMPACT);
	json_t *remaining =
	    json_object_get(json_object_get(reply, "parameters"), "remaining");

	ck_assert_msg(json_is_integer(remaining), "not done: %s", text);
	expect_version(reply, "from", from);
	expect_version(reply, "to", to);
	ck_assert_msg(json_integer_value(remaining) == 0,
	    "there are bodies of before: %s", text);
	free(text);
	json_decref(reply);
}

static void
expect_program_of(pid_t pid, const char *program)
{
	char by_number[32];
	char is[PATH_MAX];
	ssize_t length;

	(void)snprintf(by_number, sizeof by_number, "/proc/%d/exe", (int)pid);
	length = readlink(by_number, is, sizeof is - 1);
	/* It may just have ended. */
	if (length < 0)
		return;
	is[length] = '\0';
	ck_assert_msg(strcmp(is, program) == 0, "process %d is %s, not %s",
	    (int)pid, is, program);
}

void
upgrade_expect_program(const struct gateway *g, const char *program)
{
	pid_t family[GATEWAY_FAMILY_MAX];
	size_t count = proc_descendants(g->pid, family, GATEWAY_FAMILY_MAX);
	size_t alive = 0;

	if (geteuid() != 0)
		return;
	expect_program_of(g->pid, program);
	for (size_t i = 0; i < count && i < GATEWAY_FAMILY_MAX; i++) {
		if (!proc_is_alive(family[i]))
			continue;
		expect_program_of(family[i], program);
		alive++;
	}
	ck_assert_uint_eq(alive, (size_t)2 * g->workers);
}

void
upgrade_check_refused(const json_t *reply, const char *stage, const char *words)
{
	const json_t *parameters = json_object_get(reply, "parameters");
	const char *error = json_string_value(json_object_get(reply, "error"));
	const char *got =
	    json_string_value(json_object_get(parameters, "stage"));
	const char *message =
	    json_string_value(json_object_get(parameters, "message"));

	ck_assert_msg(error != NULL && got != NULL && message != NULL,
	    "it is no refusal of an upgrade, but %s",
	    error == NULL ? "done" : error);
	ck_assert_str_eq(error, "io.srvd.Control.UpgradeFailed");
	ck_assert_msg(strcmp(got, stage) == 0 && strstr(message, words) != NULL,
	    "not \"%s: %s\" but \"%s: %s\"", stage, words, got, message);
}

void
upgrade_expect_refused(const struct gateway *g, const char *program,
    const char *stage, const char *words)
{
	struct client client;
	char *picture = reload_picture(g);
	json_t *reply;

	upgrade_send(g, &client, program);
	reply = upgrade_receive(&client);
	upgrade_check_refused(reply, stage, words);
	json_decref(reply);
	reload_expect_picture(g, picture);
}

void
upgrade_copy(const char *from, const char *to, unsigned mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	struct stat st;
	off_t done = 0;

	ck_assert_msg(in >= 0 && fstat(in, &st) == 0, "%s: %s", from,
	    strerror(errno));
	ck_assert_msg(out >= 0, "%s: %s", to, strerror(errno));
	while (done < st.st_size) {
		ssize_t n =
		    sendfile(out, in, &done, (size_t)(st.st_size - done));

		ck_assert_msg(n > 0, "%s: %s", to, strerror(errno));
	}
	ck_assert_int_eq(fchmod(out, mode), 0);
	(void)close(in);
	(void)close(out);
}

/* Before any test: nearly all of them name programs, as only root may. */
__attribute__((constructor)) static void
skip_unless_root(void)
{
	if (geteuid() == 0)
		return;
	fputs("skipped: only root may name a program to upgrade to\n", stderr);
	_exit(E2E_SKIPPED);
}
