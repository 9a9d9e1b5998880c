/*
 * Listeners that come, go and change in a reload, more workers, a reload that
 * only pretends, and one asked for by a signal.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"

#define ECHO "	backend e { address = builtin:echo }\n}\n"

static void
expect_echo(const char *address)
{
	int fd = net_connect(address);

	net_say(fd, "hello");
	net_hear(fd, "hello");
	close(fd);
}

static bool
file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* The kernel's number of a listening port, which a restarted one would not
 * get again. */
static void
expect_same_address(const struct gateway *g, const char *service,
    const char *before)
{
	char now[ADDR_TEXT_SIZE];

	ck_assert_str_eq(gateway_address(g, service, 0, now), before);
	expect_echo(now);
}

START_TEST(listeners_come_and_go)
{
	struct gateway g;
	char kept[ADDR_TEXT_SIZE];
	char gone[ADDR_TEXT_SIZE];
	char new[ADDR_TEXT_SIZE];
	json_t *parameters;

	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\", \"127.0.0.2:0\"}\n" ECHO);
	gateway_address(&g, "s", 0, kept);
	gateway_address(&g, "s", 1, gone);
	gateway_configure(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\", \"127.0.0.3:0\"}\n" ECHO);
	parameters = reload_expect_changes(&g);
	ck_assert_uint_eq(reload_count(parameters, "added", "listener"), 1);
	ck_assert_uint_eq(reload_count(parameters, "removed", "listener"), 1);
	json_decref(parameters);
	expect_same_address(&g, "s", kept);
	ck_assert_int_eq(net_try_connect(gone), -ECONNREFUSED);
	expect_echo(gateway_address(&g, "s", 1, new));

	/* It goes over to another service, socket and all. */
	gateway_configure(&g,
	    "service other {\n	listen = {\"127.0.0.1:0\"}\n" ECHO
	    "service s {\n	listen = {\"127.0.0.3:0\"}\n" ECHO);
	reload_expect_done(&g);
	ck_assert_int_eq(gateway_number(&g, "services/other/accepted"), 0);
	expect_same_address(&g, "other", kept);
	gateway_expect_number(&g, "services/other/accepted", 1);
	gateway_stop(&g);
}
END_TEST

static void
configure_unix(struct gateway *g, const char *keys, bool there)
{
	char address[E2E_PATH_SIZE + 16] = "";

	if (there)
		snprintf(address, sizeof address, ", \"unix:%s/in\"",
		    e2e_dir());
	gateway_configure(g,
	    "service s {\n	listen = {\"127.0.0.1:0\"%s}\n	%s\n" ECHO,
	    address, keys);
}

START_TEST(unix_listeners_come_and_go)
{
	struct gateway g;
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];

	gateway_init(&g);
	configure_unix(&g, "", false);
	gateway_run(&g);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "in"));
	for (int i = 0; i < 3; i++) {
		ck_assert(!file_exists(path));
		configure_unix(&g, "", true);
		reload_expect_done(&g);
		expect_echo(address);
		configure_unix(&g, "", false);
		reload_expect_done(&g);
	}
	ck_assert(!file_exists(path));
	gateway_stop(&g);
}
END_TEST

static unsigned
mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 0777;
}

static ino_t
inode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_ino;
}

static void
signal_workers(struct gateway *g, int signal)
{
	for (unsigned i = 0; i < g->workers; i++)
		(void)gateway_signal_worker(g, i, signal);
}

/* Connects that a Unix-domain socket takes while nobody accepts. */
static unsigned
queue_length(struct gateway *g, const char *address)
{
	struct sockaddr_storage ss;
	socklen_t length = net_sockaddr(address, &ss);
	unsigned count = 0;
	int fds[64];
	int error;

	signal_workers(g, SIGSTOP);
	do {
		ck_assert_uint_lt(count, ARRAY_LEN(fds));
		fds[count] = socket(AF_UNIX,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		error = connect(fds[count], (struct sockaddr *)&ss, length);
		count += error == 0;
	} while (error == 0);
	ck_assert_int_eq(errno, EAGAIN);
	close(fds[count]);
	signal_workers(g, SIGCONT);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
	gateway_expect_number(g, "totals/connections", 0);
	return count;
}

START_TEST(options_of_a_kept_listener_change)
{
	struct gateway g;
	char path[E2E_PATH_SIZE];
	char address[E2E_PATH_SIZE + 8];
	ino_t inode;
	unsigned before;

	gateway_init(&g);
	configure_unix(&g, "mode = 600 backlog = 3", true);
	gateway_run(&g);
	snprintf(address, sizeof address, "unix:%s", e2e_path(path, "in"));
	inode = inode_of(path);
	ck_assert_uint_eq(mode_of(path), 0600);
	before = queue_length(&g, address);
	configure_unix(&g, "mode = 666 backlog = 20", true);
	reload_expect_done(&g);
	ck_assert_uint_eq(mode_of(path), 0666);
	ck_assert_uint_eq(inode_of(path), inode);
	ck_assert_uint_eq(queue_length(&g, address), before + 17);
	expect_echo(address);
	gateway_stop(&g);
}
END_TEST

/* How far worker 0 has come with a reload. */
struct prepare {
	const struct gateway *gateway;
	int memory_files; /* of its body, before */
};

/* It has got the new plan, and has nothing more to do: worker 1 is stopped,
 * so that the reload stays where it is. */
static bool
worker_is_prepared(void *arg)
{
	const struct prepare *p = arg;
	pid_t holder = gateway_holder(p->gateway, 0);

	return proc_fds_named(holder, "/memfd:") > p->memory_files &&
	    proc_state(gateway_worker(p->gateway, 0)) == 'S';
}

/* What had been connected to a listener before it was closed is served. */
START_TEST(queue_of_a_removed_listener_is_served)
{
	struct gateway g;
	struct prepare prepare = {.gateway = &g};
	struct client client;
	char address[ADDR_TEXT_SIZE];
	json_t *reply;
	int fds[12];

	if (getuid() != 0) {
		e2e_skip("only root sees what a worker has been sent");
		return;
	}
	gateway_init(&g);
	g.globals = "watchdog = 20s\n";
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO
	    "service gone {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	gateway_address(&g, "gone", 0, address);
	gateway_configure(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	(void)gateway_signal_worker(&g, 1, SIGSTOP);
	prepare.memory_files = proc_fds_named(gateway_holder(&g, 0), "/memfd:");
	reload_send(&g, &client, false);
	ck_assert(e2e_wait(worker_is_prepared, &prepare, 1500));
	(void)gateway_signal_worker(&g, 0, SIGSTOP);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = net_connect(address);
		net_say(fds[i], "hello");
	}
	signal_workers(&g, SIGCONT);
	reply = reload_receive(&client, RELOAD_TIMEOUT_MS);
	ck_assert_ptr_nonnull(reply);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	ck_assert_int_eq(net_try_connect(address), -ECONNREFUSED);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		net_hear(fds[i], "hello");
		net_say(fds[i], "again");
		net_hear(fds[i], "again");
		close(fds[i]);
	}
	gateway_stop(&g);
}
END_TEST

START_TEST(more_workers)
{
	struct gateway g;
	char kept[ADDR_TEXT_SIZE];
	json_t *parameters;
	int64_t got = 0;

	gateway_init(&g);
	g.workers = 1;
	gateway_start(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	gateway_address(&g, "s", 0, kept);
	expect_echo(kept);
	g.workers = 3;
	gateway_configure(&g,
	    "service s {\n	listen = {\"127.0.0.1:0\"}\n" ECHO);
	parameters = reload_expect_changes(&g);
	ck_assert_uint_eq(reload_count(parameters, "changed", "setting"), 1);
	json_decref(parameters);
	gateway_expect_successor(&g, 2, 0);
	expect_same_address(&g, "s", kept);
	for (int i = 0; i < 60; i++) /* all three take part */
		expect_echo(kept);
	for (unsigned i = 0; i < 3; i++) {
		char path[32];

		snprintf(path, sizeof path, "workers/%u/accepted", i);
		ck_assert_int_gt(gateway_number(&g, path), 0);
		got += gateway_number(&g, path);
	}
	ck_assert_int_eq(got, 62);
	gateway_stop(&g);
}
END_TEST

/* It says what the real one then does, and leaves no trace. */
START_TEST(dry_run_changes_nothing)
{
	struct gateway g;
	char *picture;
	json_t *dry;
	json_t *real;

	gateway_init(&g);
	configure_unix(&g, "", false);
	gateway_run(&g);
	g.workers = 3;
	configure_unix(&g, "mode = 600", true);
	picture = reload_picture(&g);
	for (int i = 0; i < 3; i++) {
		dry = reload_ask(&g, true);
		ck_assert(reload_is_done(dry));
		reload_expect_picture(&g, picture);
		picture = reload_picture(&g);
		if (i < 2)
			json_decref(dry);
	}
	free(picture);
	ck_assert_int_eq(gateway_number(&g, "generation"), 1);
	real = reload_expect_changes(&g);
	ck_assert_msg(json_equal(json_object_get(real, "changes"),
			  json_object_get(json_object_get(dry, "parameters"),
			      "changes")),
	    "the dry run says %s, and the real one %s",
	    json_dumps(dry, JSON_COMPACT), json_dumps(real, JSON_COMPACT));
	json_decref(dry);
	json_decref(real);
	gateway_stop(&g);
}
END_TEST

/* A reload without a change is done, and is none. */
START_TEST(nothing_to_change)
{
	struct gateway g;
	char *picture;
	json_t *reply;

	gateway_init(&g);
	configure_unix(&g, "", true);
	gateway_run(&g);
	picture = reload_picture(&g);
	reply = reload_ask(&g, false);
	ck_assert(reload_is_done(reply));
	ck_assert_uint_eq(json_array_size(json_object_get(json_object_get(reply,
							      "parameters"),
			      "changes")),
	    0);
	json_decref(reply);
	reload_expect_picture(&g, picture);
	gateway_stop(&g);
}
END_TEST

static bool
last_reload_failed(void *arg)
{
	json_t *status = gateway_status(arg);
	bool failed = json_is_false(gateway_find(status, "last_reload/ok"));

	json_decref(status);
	return failed;
}

struct logged {
	const struct gateway *gateway;
	const char *words;
	char text[1 << 16];
};

static bool
is_logged(void *arg)
{
	struct logged *logged = arg;

	proc_read_file(logged->gateway->log, logged->text, sizeof logged->text);
	return strstr(logged->text, logged->words) != NULL;
}

/* Who sent a signal is told by the log alone, and when all workers follow: the
 * generation is another one before. */
static void
expect_logged(const struct gateway *g, const char *words)
{
	static struct logged logged;

	logged.gateway = g;
	logged.words = words;
	ck_assert_msg(e2e_wait(is_logged, &logged, RELOAD_TIMEOUT_MS),
	    "no \"%s\" in the log: %s", words, logged.text);
}

START_TEST(signal_reloads)
{
	static const char bad[] = "workers = lots\nservice x {\n";
	struct gateway g;
	json_t *status;
	const char *message;
	int64_t generation;

	gateway_init(&g);
	configure_unix(&g, "", false);
	gateway_run(&g);
	configure_unix(&g, "", true);
	gateway_signal(&g, SIGHUP);
	reload_expect_newer(&g, 1);
	generation = gateway_number(&g, "generation");
	expect_logged(&g, "reload: added listener unix:");
	expect_logged(&g, "the new configuration is in force");

	gateway_write(g.config, bad, strlen(bad));
	gateway_signal(&g, SIGHUP);
	ck_assert(e2e_wait(last_reload_failed, &g, 5000));
	status = gateway_status(&g);
	message =
	    json_string_value(gateway_find(status, "last_reload/message"));
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(message[0] != '\0', "the failed reload has no reason");
	json_decref(status);
	expect_logged(&g, "workers: \"lots\"");
	expect_logged(&g, "reload refused");
	ck_assert_int_eq(gateway_number(&g, "generation"), generation);

	configure_unix(&g, "", false);
	gateway_signal(&g, SIGHUP);
	reload_expect_newer(&g, generation);
	ck_assert(!last_reload_failed(&g));
	gateway_stop(&g);
}
END_TEST

E2E_MAIN("reload_listeners", listeners_come_and_go, unix_listeners_come_and_go,
    options_of_a_kept_listener_change, queue_of_a_removed_listener_is_served,
    more_workers, dry_run_changes_nothing, nothing_to_change, signal_reloads)
