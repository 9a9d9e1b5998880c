/*
 * Real programs through the gateway while its workers are killed once a
 * second: no request of theirs may fail.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disturb.h"
#include "gateway.h"
#include "harness.h"
#include "net.h"
#include "proc.h"
#include "software.h"

#define WORKERS     2
#define OUTPUT_SIZE 65536
#define FILE_BYTES  (24u << 20)

/* The gateway's own Unix-domain socket, before the TCP backend. */
#define FRONT "front.sock"

static char output[OUTPUT_SIZE];

/* Run a command to its end while workers are killed; what it printed is in
 * output. */
static void
run_under_kills(const struct gateway *g, const char *command)
{
	struct disturb disturb = {.gateway = g, .kills_workers = true};

	disturb_run(&disturb, command, output, sizeof output);
}

static void
start_gateway(struct gateway *g, int port, const char *socket)
{
	char front[E2E_PATH_SIZE];

	gateway_init(g);
	g->workers = WORKERS;
	gateway_start(g,
	    "service tcp {\n	listen = {\"127.0.0.1:0\", \"unix:%s\"}\n"
	    "	backend b { address = \"127.0.0.1:%d\" }\n}\n"
	    "service unix {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = \"unix:%s\" }\n}\n",
	    e2e_path(front, FRONT), port, socket);
}

/* Through a service's TCP port, or NULL: through the Unix-domain socket. */
static void
run_redis(const struct gateway *g, const char *service, const char *options)
{
	char command[2 * E2E_PATH_SIZE];
	char where[E2E_PATH_SIZE + 8];
	char front[E2E_PATH_SIZE];

	if (service == NULL)
		snprintf(where, sizeof where, "-s %s", e2e_path(front, FRONT));
	else
		snprintf(where, sizeof where, "-h 127.0.0.1 -p %d",
		    software_port_of(g, service));
	snprintf(command, sizeof command,
	    "exec redis-benchmark %s -c 50 -q -t ping,set,get %s", where,
	    options);
	run_under_kills(g, command);
	ck_assert_msg(strcasestr(output, "error") == NULL &&
		strstr(output, "GET:") != NULL,
	    "%s says: %s", command, output);
}

START_TEST(redis)
{
	static const char *const programs[] = {
	    "redis-server", "redis-benchmark"};
	struct gateway g;
	char socket[E2E_PATH_SIZE];
	int port;
	pid_t pid;

	if (!software_has(programs, ARRAY_LEN(programs)))
		return;
	port = software_free_port();
	pid = software_start_redis(port, e2e_path(socket, "redis.sock"));
	start_gateway(&g, port, socket);
	run_redis(&g, "tcp", "-n 60000");
	run_redis(&g, "unix", "-n 60000");
	run_redis(&g, "tcp", "-n 8000 -k 0");
	run_redis(&g, "unix", "-n 8000 -k 0");
	run_redis(&g, NULL, "-n 60000");
	run_redis(&g, NULL, "-n 8000 -k 0");
	gateway_expect_number(&g, "totals/connections", 0);
	gateway_stop(&g);
	proc_end(pid);
}
END_TEST

/* A file whose bytes are e2e_bytes of seed 1. */
static void
write_big_file(const char *path)
{
	static char data[65536];
	FILE *out = fopen(path, "we");

	ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
	for (size_t at = 0; at < FILE_BYTES; at += sizeof data) {
		e2e_bytes(1, at, data, sizeof data);
		ck_assert_uint_eq(fwrite(data, sizeof data, 1, out), 1);
	}
	ck_assert_int_eq(fclose(out), 0);
}

static void
write_nginx_config(const char *path, int port, const char *socket)
{
	FILE *out = fopen(path, "we");

	ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
	fprintf(out,
	    "daemon off;\nmaster_process off;\npid %s/nginx.pid;\n"
	    "events { worker_connections 1024; }\n"
	    "http {\n"
	    "	access_log off;\n	keepalive_requests 1000000;\n"
	    "	client_body_temp_path %s/t1;\n	proxy_temp_path %s/t2;\n"
	    "	fastcgi_temp_path %s/t3;\n	uwsgi_temp_path %s/t4;\n"
	    "	scgi_temp_path %s/t5;\n"
	    "	server {\n		listen 127.0.0.1:%d backlog=4096;\n"
	    "		listen unix:%s backlog=4096;\n"
	    "		root %s/www;\n	}\n}\n",
	    e2e_dir(), e2e_dir(), e2e_dir(), e2e_dir(), e2e_dir(), e2e_dir(),
	    port, socket, e2e_dir());
	ck_assert_int_eq(fclose(out), 0);
}

static pid_t
start_nginx(int port, const char *socket)
{
	char path[E2E_PATH_SIZE];
	char command[256];
	char address[64];
	pid_t pid;
	FILE *out;

	ck_assert_int_eq(mkdir(e2e_path(path, "www"), 0755), 0);
	out = fopen(e2e_path(path, "www/small.txt"), "we");
	ck_assert_ptr_nonnull(out);
	fputs("hello, world\n", out);
	ck_assert_int_eq(fclose(out), 0);
	write_big_file(e2e_path(path, "www/big.bin"));
	write_nginx_config(e2e_path(path, "nginx.conf"), port, socket);
	snprintf(command, sizeof command,
	    "exec nginx -e stderr -p %s -c %s/nginx.conf", e2e_dir(),
	    e2e_dir());
	pid = software_start(command, "nginx.log");
	snprintf(address, sizeof address, "127.0.0.1:%d", port);
	software_wait(pid, address);
	return pid;
}

static void
run_ab(const struct gateway *g, const char *service, const char *options)
{
	char command[256];

	snprintf(command, sizeof command,
	    "exec ab -q -c 40 %s http://127.0.0.1:%d/small.txt", options,
	    software_port_of(g, service));
	run_under_kills(g, command);
	ck_assert_msg(strstr(output, "Failed requests:        0\n") != NULL &&
		strstr(output, "Non-2xx") == NULL,
	    "%s says: %s", command, output);
}

/* Downloads side by side, each compared with the file. */
static void
run_curl(const struct gateway *g, const char *service)
{
	char command[640];

	snprintf(command, sizeof command,
	    "get() { for n in 1 2 3; do "
	    "curl -sS --limit-rate 24M http://127.0.0.1:%d/big.bin | "
	    "cmp - %s/www/big.bin || exit 1; done; }; "
	    "get & a=$!; get & b=$!; get & c=$!; "
	    "wait $a && wait $b && wait $c",
	    software_port_of(g, service), e2e_dir());
	run_under_kills(g, command);
	ck_assert_str_eq(output, "");
}

START_TEST(nginx)
{
	static const char *const programs[] = {"nginx", "ab", "curl", "cmp"};
	struct gateway g;
	char socket[E2E_PATH_SIZE];
	int port;
	pid_t pid;

	if (!software_has(programs, ARRAY_LEN(programs)))
		return;
	port = software_free_port();
	pid = start_nginx(port, e2e_path(socket, "nginx.sock"));
	ck_assert_msg(chmod(socket, 0777) == 0, "chmod: %s", strerror(errno));
	start_gateway(&g, port, socket);
	run_ab(&g, "tcp", "-n 200000 -k");
	run_ab(&g, "unix", "-n 200000 -k");
	run_ab(&g, "tcp", "-n 20000");
	run_ab(&g, "unix", "-n 20000");
	run_curl(&g, "tcp");
	run_curl(&g, "unix");
	gateway_expect_number(&g, "totals/connections", 0);
	gateway_stop(&g);
	proc_end(pid);
}
END_TEST

E2E_MAIN("software", redis, nginx)
