/*
 * A master that takes over finds another configuration than the last one had,
 * or somebody who must not take over tries to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "limit.h"
#include "load.h"
#include "net.h"
#include "proc.h"
#include "reloads.h"
#include "shortages.h"
#include "takeovers.h"

#define WORKERS 2
/* Of a body: none of these numbers is ever free. */
#define FIXED_FDS 8

/* What was written meanwhile holds as after a reload: rows keep their names,
 * sockets that stay are the same, workers become more and fewer. */
START_TEST(changed_configuration_is_followed)
{
	static const char *const more[] = {
	    "service two {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    "service three {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:discard }\n}\n",
	    "",
	};
	static const unsigned workers[] = {4, 1, 2};
	struct takeovers f;
	unsigned i;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	for (unsigned round = 0; round < 6; round++) {
		i = round % ARRAY_LEN(more);
		gateway_kill(&f.gateway);
		f.gateway.workers = workers[i];
		takeovers_configure(&f, more[i]);
		load_run(f.load, 30);
		takeovers_succeed(&f);
		takeovers_expect_gone(&f);
		takeovers_expect_addresses(&f);
		load_run(f.load, 50);
	}
	takeovers_finish(&f);
}
END_TEST

/* Connections of a service that left the configuration meanwhile. */
START_TEST(removed_service_is_removed)
{
	struct takeovers f;
	char address[ADDR_TEXT_SIZE];
	char byte;
	int kept;
	int closed;

	takeovers_start(&f, "");
	takeovers_configure(&f,
	    "service keeps {\n	listen = \"127.0.0.1:0\"\n"
	    "	on_remove = keep\n"
	    "	backend b { address = builtin:echo }\n}\n"
	    "service closes {\n	listen = \"127.0.0.1:0\"\n"
	    "	on_remove = close\n"
	    "	backend b { address = builtin:echo }\n}\n");
	reload_expect_done(&f.gateway);
	kept = net_connect(gateway_address(&f.gateway, "keeps", 0, address));
	closed = net_connect(gateway_address(&f.gateway, "closes", 0, address));
	net_say(kept, "before");
	net_hear(kept, "before");
	net_say(closed, "before");
	net_hear(closed, "before");
	gateway_kill(&f.gateway);
	takeovers_configure(&f, "");
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	ck_assert_int_eq(recv(closed, &byte, 1, 0), 0);
	gateway_expect_number(&f.gateway, "totals/connections", 1);
	/* Two services, whatever rows the connections of others still use. */
	ck_assert_uint_eq(shortage_lines(&f.gateway, "serves services=2 "), 2);
	net_say(kept, "after");
	net_hear(kept, "after");
	close(kept);
	close(closed);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	load_free(f.load);
	gateway_stop(&f.gateway);
}
END_TEST

/* While a master lives no other one starts, nor disturbs it. */
START_TEST(living_master_is_not_succeeded)
{
	struct takeovers f;
	pid_t pid;

	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	pid = f.gateway.pid;
	takeovers_expect_failed_start(&f);
	f.gateway.pid = pid;
	load_run(f.load, 50);
	takeovers_finish(&f);
}
END_TEST

/* What comes to a door and is not a master's user is turned away unheard. */
static void
come_as_nobody(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char bytes[64];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	proc_become_nobody();
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		_exit(1);
	_exit(recv(fd, bytes, sizeof bytes, 0) <= 0 ? 0 : 2);
}

START_TEST(strangers_are_turned_away)
{
	struct takeovers f;
	char dir[E2E_PATH_SIZE];
	char door[E2E_PATH_SIZE];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		e2e_skip("only root can come as somebody else");
		return;
	}
	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	e2e_path(dir, "control.sock.bodies");
	e2e_path(door, "control.sock.bodies/0");
	gateway_kill(&f.gateway);
	for (unsigned i = 0; i < 2; i++) {
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			come_as_nobody(door);
		while (waitpid(pid, &status, WNOHANG) == 0)
			load_turn(f.load, 2);
		ck_assert(WIFEXITED(status));
		/* Neither the directory nor the worker lets it in. */
		ck_assert_int_eq(WEXITSTATUS(status), i == 0 ? 1 : 0);
		ck_assert_int_eq(chmod(dir, i == 0 ? 0711 : 0700), 0);
		ck_assert_int_eq(chmod(door, 0777), 0);
	}
	takeovers_succeed(&f);
	takeovers_expect_gone(&f);
	takeovers_finish(&f);
}
END_TEST

/* A gateway with a control socket of its own that wants an address of f's: it
 * does not start, and these words say why. */
static void
expect_address_is_taken(const struct takeovers *f, const char *words)
{
	struct gateway other;
	unsigned before;

	gateway_init(&other);
	e2e_path(other.config, "other.conf");
	e2e_path(other.control, "other.sock");
	e2e_path(other.log, "other.log");
	gateway_configure(&other,
	    "service other {\n	listen = {\"%s\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    f->address[0]);
	before = shortage_lines(&other, words);
	gateway_begin(&other);
	ck_assert_int_eq(proc_wait(other.pid, GATEWAY_TIMEOUT_MS), 1);
	ck_assert_uint_eq(shortage_lines(&other, words), before + 1);
	gateway_expect_no_files(&other);
}

/* Whose address it is, and what loses nothing. */
START_TEST(taken_address_is_explained)
{
	struct takeovers f;
	char words[64];

	if (geteuid() != 0) {
		e2e_skip("only root sees whose sockets they are");
		return;
	}
	takeovers_start(&f, "");
	takeovers_add_traffic(&f);
	snprintf(words, sizeof words, "whose master is process %d: stop",
	    (int)f.gateway.pid);
	expect_address_is_taken(&f, words);
	gateway_kill(&f.gateway);
	expect_address_is_taken(&f,
	    "goes on after the death of its master: a srvd with the same");
	takeovers_succeed(&f);
	takeovers_finish(&f);
}
END_TEST

static bool
answers(void *arg)
{
	const struct takeovers *f = arg;
	json_t *reply = gateway_call(&f->gateway, "GetStatus", NULL);
	bool is_there = reply != NULL;

	json_decref(reply);
	return is_there;
}

/* Who can open nothing at all lets the next master in all the same; it can be
 * replaced when it can take the end of a transfer. */
START_TEST(workers_without_descriptors_are_taken_over)
{
	struct takeovers f;
	char address[ADDR_TEXT_SIZE];
	pid_t pids[WORKERS];
	int fd;

	takeovers_start(&f, "");
	takeovers_configure(&f,
	    "service echo {\n	listen = \"127.0.0.1:0\"\n"
	    "	backend b { address = builtin:echo }\n}\n");
	reload_expect_done(&f.gateway);
	fd = net_connect(gateway_address(&f.gateway, "echo", 0, address));
	net_say(fd, "before");
	net_hear(fd, "before");
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = gateway_worker(&f.gateway, i);
		limit_process(pids[i], RLIMIT_NOFILE, FIXED_FDS);
	}
	gateway_kill(&f.gateway);
	gateway_begin(&f.gateway);
	ck_assert(e2e_wait(answers, &f, GATEWAY_TIMEOUT_MS));
	net_say(fd, "there");
	net_hear(fd, "there");
	for (unsigned i = 0; i < WORKERS; i++) {
		if (proc_is_alive(pids[i]))
			limit_process(pids[i], RLIMIT_NOFILE, RLIM_INFINITY);
	}
	takeovers_expect_gone(&f);
	net_say(fd, "after");
	net_hear(fd, "after");
	close(fd);
	gateway_expect_number(&f.gateway, "totals/connections", 0);
	load_free(f.load);
	gateway_stop(&f.gateway);
}
END_TEST

E2E_MAIN("takeover_changes", changed_configuration_is_followed,
    removed_service_is_removed, living_master_is_not_succeeded,
    strangers_are_turned_away, taken_address_is_explained,
    workers_without_descriptors_are_taken_over)
