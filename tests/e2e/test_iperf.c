/*
 * iperf3 through the gateway, in all its directions: what it measures directly
 * it measures here too, and reloads and killed workers change nothing of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disturb.h"
#include "gateway.h"
#include "harness.h"
#include "proc.h"
#include "software.h"

#define OUTPUT_SIZE (1u << 20)

/* How long one run is: until so much has been sent, or time for something to
 * happen. */
#define DIRECT    "-n 128M"
#define CALM      "-n 512M"
#define DISTURBED "-t 3"

static char output[OUTPUT_SIZE];
static int server_port; /* of the servers behind the gateway */

/*
 * With --bidir the server takes the streams that come first for those it
 * receives from.  Workers side by side may change that order, as whatever
 * does two things at once may; one worker keeps it.
 */
struct mode {
	const char *options;
	size_t streams; /* each of both directions counts */
	unsigned workers;
};

static const struct mode modes[] = {
    {"-P 1", 1, 2},
    {"-P 8", 8, 2},
    {"-P 1 -R", 1, 2},
    {"-P 8 -R", 8, 2},
    {"-P 1 --bidir", 2, 1},
    {"-P 8 --bidir", 16, 1},
};

/*
 * Service direct leads to the server, service chain leads there through two
 * more of this gateway's, the first behind a Unix-domain socket: each byte is
 * relayed three times.
 */
static void
configure(const struct gateway *g, unsigned round, const void *arg)
{
	const char *balance = round % 2 == 0 ? "roundrobin" : "leastconn";

	(void)arg;
	gateway_configure(g,
	    "service direct {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	idle_timeout = %us\n	balance = %s\n"
	    "	backend b { address = \"127.0.0.1:%d\" weight = %u }\n}\n"
	    "service chain {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	idle_timeout = %us\n"
	    "	backend b { address = \"unix:%s/one\" }\n}\n"
	    "service one {\n	listen = {\"unix:%s/one\"}\n"
	    "	backend b { address = \"unix:%s/two\" weight = %u }\n}\n"
	    "service two {\n	listen = {\"unix:%s/two\"}\n"
	    "	balance = %s\n"
	    "	backend b { address = \"127.0.0.1:%d\" }\n}\n"
	    "service extra%u {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n",
	    600 + round, balance, server_port, 1 + round, 600 + round,
	    e2e_dir(), e2e_dir(), e2e_dir(), 1 + round, e2e_dir(), balance,
	    server_port, round % 3);
}

/* The bytes that an end of a stream counts: "sender" or "receiver". */
static json_int_t
bytes_of(json_t *stream, const char *end)
{
	return json_integer_value(json_object_get(json_object_get(stream, end),
	    "bytes"));
}

/*
 * No error, every stream has carried something, and no more came out than went
 * in.  That is said of all together: the server numbers the streams as they
 * come to it, which through several workers is another order than the client's.
 */
static void
check_output(const struct mode *mode, const char *command)
{
	json_error_t error;
	json_t *all = json_loads(output, 0, &error);
	json_t *streams;
	json_t *stream;
	json_int_t sent = 0;
	json_int_t received = 0;
	size_t i;

	ck_assert_msg(all != NULL, "%s says: %s (%s)", command, output,
	    error.text);
	ck_assert_msg(json_object_get(all, "error") == NULL, "%s says: %s",
	    command, json_string_value(json_object_get(all, "error")));
	streams = json_object_get(json_object_get(all, "end"), "streams");
	ck_assert_uint_eq(json_array_size(streams), mode->streams);
	json_array_foreach(streams, i, stream)
	{
		ck_assert_msg(bytes_of(stream, "sender") > 0 &&
			bytes_of(stream, "receiver") > 0,
		    "%s: nothing on stream %zu", command, i);
		sent += bytes_of(stream, "sender");
		received += bytes_of(stream, "receiver");
	}
	ck_assert_msg(received <= sent, "%s: %lld bytes sent, %lld received",
	    command, (long long)sent, (long long)received);
	json_decref(all);
}

static bool
server_is_ready(void *arg)
{
	char text[4096];

	proc_read_file(arg, text, sizeof text);
	return strstr(text, "Server listening on") != NULL;
}

/* Each run has a server of its own: between two runs one does not listen, and
 * an attempt to connect counts as one. */
static pid_t
start_server(int port)
{
	static unsigned runs;
	char command[128];
	char name[32];
	char path[E2E_PATH_SIZE];
	pid_t pid;

	snprintf(name, sizeof name, "server%u.log", runs++);
	snprintf(command, sizeof command,
	    "exec iperf3 -s -1 -B 127.0.0.1 -p %d --forceflush", port);
	pid = software_start(command, name);
	e2e_path(path, name);
	ck_assert_msg(e2e_wait(server_is_ready, path, 10000),
	    "iperf3 does not listen");
	return pid;
}

static void
run_mode(struct disturb *d, const struct mode *mode, int port,
    const char *length)
{
	char command[256];
	pid_t server = start_server(server_port);

	snprintf(command, sizeof command,
	    "exec iperf3 -c 127.0.0.1 -p %d -J -i 0 %s %s", port, length,
	    mode->options);
	disturb_run(d, command, output, sizeof output);
	check_output(mode, command);
	ck_assert_int_eq(proc_wait(server, 5000), 0);
}

static bool
has_iperf(void)
{
	static const char *const programs[] = {"iperf3"};

	return software_has(programs, ARRAY_LEN(programs));
}

static void
start_gateway(struct gateway *g, const struct mode *mode)
{
	server_port = software_free_port();
	gateway_init(g);
	g->workers = mode->workers;
	configure(g, 0, NULL);
	gateway_run(g);
}

/* Every connection has ended, and no worker died but those that were killed. */
static void
stop_gateway(struct gateway *g, unsigned kills)
{
	gateway_expect_number(g, "totals/connections", 0);
	gateway_expect_number(g, "totals/deaths", kills);
	gateway_stop(g);
}

START_TEST(as_direct)
{
	struct gateway g;
	struct disturb none = {.gateway = &g};

	if (!has_iperf())
		return;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		start_gateway(&g, &modes[i]);
		run_mode(&none, &modes[i], server_port, DIRECT);
		run_mode(&none, &modes[i], software_port_of(&g, "direct"),
		    CALM);
		stop_gateway(&g, 0);
	}
}
END_TEST

START_TEST(disturbed)
{
	struct gateway g;

	if (!has_iperf())
		return;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct disturb disturb = {
		    .gateway = &g,
		    .kills_workers = true,
		    .configure = configure,
		};

		start_gateway(&g, &modes[i]);
		run_mode(&disturb, &modes[i], software_port_of(&g, "chain"),
		    DISTURBED);
		stop_gateway(&g, disturb.kills);
	}
}
END_TEST

E2E_MAIN("iperf", as_direct, disturbed)
