/*
 * gateway - a srvd of the test's own; see gateway.h.
 */
#include "gateway.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "proc.h"

#define CALL_TIMEOUT_MS 5000

const char *
gateway_program(void)
{
	const char *program = getenv("SRVD_BIN");

	ck_assert_msg(program != NULL && access(program, X_OK) == 0,
	    "set SRVD_BIN to the srvd to test (it is %s)",
	    program == NULL ? "not set" : program);
	return program;
}

void
gateway_init(struct gateway *g)
{
	memset(g, 0, sizeof *g);
	g->workers = 2;
	g->globals = "";
	g->control_keys = "";
	g->access = "off";
	g->pid = -1;
	e2e_path(g->config, "srvd.conf");
	e2e_path(g->control, "control.sock");
	e2e_path(g->log, "srvd.log");
}

static void write_config(const struct gateway *g, const char *services,
    va_list args) printf_like(2, 0);

static void
write_config(const struct gateway *g, const char *services, va_list args)
{
	FILE *out = fopen(g->config, "we");

	ck_assert_msg(out != NULL, "%s: %s", g->config, strerror(errno));
	fprintf(out,
	    "workers = %u\nuser = nobody\n%s\n"
	    "control { path = \"%s\" %s }\n"
	    "log { level = info target = stderr access = \"%s\" }\n",
	    g->workers, g->globals, g->control, g->control_keys, g->access);
	vfprintf(out, services, args);
	ck_assert_msg(fclose(out) == 0, "%s: %s", g->config, strerror(errno));
}

void
gateway_configure(const struct gateway *g, const char *services, ...)
{
	va_list args;

	va_start(args, services);
	write_config(g, services, args);
	va_end(args);
}

void
gateway_write(const char *path, const char *text, size_t length)
{
	FILE *out = fopen(path, "we");

	ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
	fwrite(text, 1, length, out);
	ck_assert_msg(fclose(out) == 0, "%s: %s", path, strerror(errno));
}

json_t *
gateway_call(const struct gateway *g, const char *method,
    const char *parameters)
{
	struct client client;
	json_t *reply = NULL;

	if (client_open(&client, g->control) != 0)
		return NULL;
	if (client_call(&client, method, parameters, false) == 0)
		reply = client_hear(&client, CALL_TIMEOUT_MS);
	client_close(&client);
	return reply;
}

void
gateway_expect_success(const json_t *reply)
{
	char *text = json_dumps(reply, JSON_COMPACT);

	ck_assert_msg(json_object_get(reply, "error") == NULL,
	    "the answer is %s", text);
	free(text);
}

/* GetStatus' parameters, or NULL. */
static json_t *
try_status(const struct gateway *g)
{
	json_t *reply = gateway_call(g, "GetStatus", NULL);
	json_t *parameters = json_incref(json_object_get(reply, "parameters"));

	if (json_object_get(reply, "error") != NULL) {
		json_decref(parameters);
		parameters = NULL;
	}
	json_decref(reply);
	return parameters;
}

json_t *
gateway_status(const struct gateway *g)
{
	json_t *status = try_status(g);

	ck_assert_msg(status != NULL, "no answer to GetStatus on %s",
	    g->control);
	return status;
}

/* One step of a path: a member, an element, or an element's "name". */
static json_t *
find_step(json_t *in, const char *key)
{
	size_t i;
	json_t *element;

	if (!json_is_array(in))
		return json_object_get(in, key);
	if (isdigit((unsigned char)key[0]))
		return json_array_get(in, strtoul(key, NULL, 10));
	json_array_foreach(in, i, element)
	{
		const char *name =
		    json_string_value(json_object_get(element, "name"));

		if (name != NULL && strcmp(name, key) == 0)
			return element;
	}
	return NULL;
}

json_t *
gateway_find(json_t *status, const char *path)
{
	char steps[128];
	char *save = NULL;
	json_t *at = status;

	snprintf(steps, sizeof steps, "%s", path);
	for (char *key = strtok_r(steps, "/", &save); key != NULL;
	     key = strtok_r(NULL, "/", &save)) {
		at = find_step(at, key);
		ck_assert_msg(at != NULL, "no %s (of %s) in the status", key,
		    path);
	}
	return at;
}

int64_t
gateway_number(const struct gateway *g, const char *path)
{
	json_t *status = gateway_status(g);
	const json_t *found = gateway_find(status, path);
	int64_t number;

	ck_assert_msg(json_is_integer(found), "%s is not an integer", path);
	number = json_integer_value(found);
	json_decref(status);
	return number;
}

void
gateway_expect_number(const struct gateway *g, const char *path, int64_t value)
{
	uint64_t end = e2e_now_ms() + 5000;
	int64_t number;

	while ((number = gateway_number(g, path)) != value) {
		ck_assert_msg(e2e_now_ms() < end, "%s is %lld, not %lld", path,
		    (long long)number, (long long)value);
		e2e_pause(5);
	}
}

const char *
gateway_address(const struct gateway *g, const char *service, unsigned n,
    char address[ADDR_TEXT_SIZE])
{
	json_t *status = gateway_status(g);
	json_t *rows = gateway_find(status, "listeners");
	size_t i;
	json_t *row;

	address[0] = '\0';
	json_array_foreach(rows, i, row)
	{
		const char *of =
		    json_string_value(json_object_get(row, "service"));
		const char *bound =
		    json_string_value(json_object_get(row, "bound"));

		ck_assert_msg(of != NULL && bound != NULL,
		    "listener %zu has no service or bound", i);
		if (strcmp(of, service) == 0 && n-- == 0)
			snprintf(address, ADDR_TEXT_SIZE, "%s", bound);
	}
	json_decref(status);
	ck_assert_msg(address[0] != '\0', "no such listener of %s", service);
	return address;
}

static bool
workers_are_running(json_t *status, size_t expected)
{
	const json_t *workers = json_object_get(status, "workers");
	size_t i;
	json_t *worker;

	if (json_array_size(workers) != expected)
		return false;
	json_array_foreach(workers, i, worker)
	{
		const char *state =
		    json_string_value(json_object_get(worker, "state"));

		if (state == NULL || strcmp(state, "running") != 0)
			return false;
	}
	return true;
}

bool
gateway_is_ready(const struct gateway *g)
{
	json_t *status = try_status(g);
	bool ready = status != NULL && workers_are_running(status, g->workers);

	json_decref(status);
	return ready;
}

/* Its workers run, or it has ended: then pid is -1. */
static bool
has_settled(void *arg)
{
	struct gateway *g = arg;

	g->ended = proc_wait(g->pid, 0);
	if (g->ended >= 0) {
		g->pid = -1;
		return true;
	}
	return gateway_is_ready(g);
}

void
gateway_begin(struct gateway *g)
{
	const char *const argv[] = {
	    gateway_program(), "-d", "-f", g->config, NULL};

	/* SIGINT is "stop at once": so it ends even when the test cannot stop
	 * it any more. */
	g->pid = proc_spawn_activated(argv, g->log, SIGINT, &g->sockets);
}

bool
gateway_settles(struct gateway *g)
{
	ck_assert_msg(e2e_wait(has_settled, g, GATEWAY_TIMEOUT_MS),
	    "srvd is not ready after %d ms", GATEWAY_TIMEOUT_MS);
	ck_assert_msg(g->pid >= 0 || g->ended == 128 + SIGKILL,
	    "srvd ended with status %d while starting", g->ended);
	return g->pid >= 0;
}

void
gateway_run(struct gateway *g)
{
	gateway_begin(g);
	ck_assert_msg(gateway_settles(g), "srvd was killed while starting");
}

void
gateway_start(struct gateway *g, const char *services, ...)
{
	va_list args;

	va_start(args, services);
	write_config(g, services, args);
	va_end(args);
	gateway_run(g);
}

static bool
has_family(void *arg)
{
	struct gateway *g = arg;

	g->family_count =
	    proc_descendants(g->pid, g->family, GATEWAY_FAMILY_MAX);
	return g->family_count > 0;
}

/* Where there are thousands of processes a look at all takes as long as an
 * upgrade, which may have replaced each before it was looked at. */
void
gateway_signal(struct gateway *g, int signal)
{
	ck_assert_msg(e2e_wait(has_family, g, GATEWAY_TIMEOUT_MS),
	    "no process below the master");
	ck_assert_msg(kill(g->pid, signal) == 0, "kill: %s", strerror(errno));
}

void
gateway_kill(struct gateway *g)
{
	int status;

	g->family_count =
	    proc_descendants(g->pid, g->family, GATEWAY_FAMILY_MAX);
	ck_assert_msg(kill(g->pid, SIGKILL) == 0, "kill: %s", strerror(errno));
	status = proc_wait(g->pid, GATEWAY_TIMEOUT_MS);
	ck_assert_msg(status == 128 + SIGKILL,
	    "srvd ended with status %d when it was killed", status);
	g->pid = -1;
}

void
gateway_expect_no_files(const struct gateway *g)
{
	char bodies[E2E_PATH_SIZE + 8];

	snprintf(bodies, sizeof bodies, "%s.bodies", g->control);
	ck_assert_msg(access(g->control, F_OK) != 0 && errno == ENOENT,
	    "%s is still there", g->control);
	ck_assert_msg(access(bodies, F_OK) != 0 && errno == ENOENT,
	    "%s is still there", bodies);
}

void
gateway_expect_ended(struct gateway *g, int timeout_ms)
{
	int status = proc_wait(g->pid, timeout_ms);

	ck_assert_msg(status != -1, "srvd still runs after %d ms", timeout_ms);
	g->pid = -1;
	ck_assert_msg(status == 0, "srvd ended with status %d", status);
	for (size_t i = 0; i < g->family_count; i++) {
		char name[32];

		proc_comm(g->family[i], name, sizeof name);
		ck_assert_msg(!proc_is_alive(g->family[i]),
		    "srvd ended before its process %d (%s)", (int)g->family[i],
		    name);
	}
	gateway_expect_no_files(g);
}

void
gateway_stop(struct gateway *g)
{
	gateway_signal(g, SIGINT);
	gateway_expect_ended(g, GATEWAY_TIMEOUT_MS);
}

static pid_t
worker_number(const struct gateway *g, unsigned index, const char *what)
{
	char path[48];

	snprintf(path, sizeof path, "workers/%u/%s", index, what);
	return (pid_t)gateway_number(g, path);
}

pid_t
gateway_worker(const struct gateway *g, unsigned index)
{
	return worker_number(g, index, "pid");
}

pid_t
gateway_holder(const struct gateway *g, unsigned index)
{
	return worker_number(g, index, "holder_pid");
}

pid_t
gateway_signal_worker(const struct gateway *g, unsigned index, int signal)
{
	uint64_t end = e2e_now_ms() + 5000;
	char expected[32];
	char comm[32] = "";
	pid_t pid;

	snprintf(expected, sizeof expected, "srvd: worker %u", index);
	expected[15] = '\0';
	for (;;) {
		pid = gateway_worker(g, index);
		proc_comm(pid, comm, sizeof comm);
		if (proc_is_alive(pid) && strcmp(comm, expected) == 0 &&
		    kill(pid, signal) == 0)
			return pid;
		/* It may just have died: ask again then. */
		ck_assert_msg(e2e_now_ms() < end,
		    "worker %u is process %d, whose name is \"%s\"", index,
		    (int)pid, comm);
	}
}

void
gateway_expect_successor(const struct gateway *g, unsigned index, pid_t old)
{
	uint64_t end = e2e_now_ms() + GATEWAY_TIMEOUT_MS;
	char path[48];

	snprintf(path, sizeof path, "workers/%u", index);
	for (;;) {
		json_t *status = gateway_status(g);
		const json_t *worker = gateway_find(status, path);
		pid_t pid =
		    (pid_t)json_integer_value(json_object_get(worker, "pid"));
		const char *state =
		    json_string_value(json_object_get(worker, "state"));
		bool good = pid > 0 && pid != old && state != NULL &&
		    strcmp(state, "running") == 0;

		ck_assert_msg(good || e2e_now_ms() < end,
		    "worker %u is %s as process %d, after %d", index, state,
		    (int)pid, (int)old);
		json_decref(status);
		if (good)
			return;
		e2e_pause(2);
	}
}
