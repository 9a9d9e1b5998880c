/*
 * software - programs of others for tests; see software.h.
 */
#include "software.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"
#include "proc.h"
#include "tests/free_port.h"

bool
software_has(const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!proc_has_program(names[i])) {
			e2e_skip("%s is not installed", names[i]);
			return false;
		}
	}
	return true;
}

int
software_free_port(void)
{
	struct sockaddr_in sin;

	close(free_port_bind(&sin));
	return ntohs(sin.sin_port);
}

int
software_port_of(const struct gateway *g, const char *service)
{
	char address[ADDR_TEXT_SIZE];

	gateway_address(g, service, 0, address);
	return (int)strtol(strrchr(address, ':') + 1, NULL, 10);
}

void
software_wait(pid_t pid, const char *address)
{
	uint64_t end = e2e_now_ms() + 10000;
	int fd;

	while ((fd = net_try_connect(address)) < 0) {
		ck_assert_msg(proc_wait(pid, 0) == -1,
		    "the server at %s has ended", address);
		ck_assert_msg(e2e_now_ms() < end, "no server at %s: %s",
		    address, strerror(-fd));
		e2e_pause(10);
	}
	close(fd);
}

pid_t
software_start(const char *command, const char *log)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	char path[E2E_PATH_SIZE];

	return proc_spawn(argv, e2e_path(path, log));
}

pid_t
software_start_redis(int port, const char *socket)
{
	char command[512];
	char address[64];
	pid_t pid;

	snprintf(command, sizeof command,
	    "exec redis-server --bind 127.0.0.1 --port %d --unixsocket %s "
	    "--unixsocketperm 777 --save '' --appendonly no --dir %s "
	    "--daemonize no --maxclients 2000",
	    port, socket, e2e_dir());
	pid = software_start(command, "redis.log");
	snprintf(address, sizeof address, "127.0.0.1:%d", port);
	software_wait(pid, address);
	return pid;
}
