/*
 * soak - the gateway of a long run and its traffic; see soak.h.
 */
#include "soak.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "client.h"
#include "net.h"
#include "reloads.h"

/* Of each pair of families. */
#define RANDOM_STREAMS  7
#define LASTING_STREAMS 1

#define FINISH_MS 30000

const char *const soak_families[SOAK_FAMILIES] = {"tcp4", "tcp6", "unix"};
const char *const soak_cut[SOAK_FAMILIES] = {
    "cut_tcp4", "cut_tcp6", "cut_unix"};

/* splitmix64 */
unsigned
soak_choose(struct soak *s, unsigned below)
{
	uint64_t z = (s->state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ (z >> 31)) % below);
}

pid_t
soak_aim(const struct soak *s, unsigned worker)
{
	return gateway_signal_worker(&s->gateway, worker, 0);
}

void
soak_shoot(struct soak *s, pid_t pid, unsigned most)
{
	for (unsigned spin = soak_choose(s, most); spin > 0; spin--)
		(void)getppid();
	(void)kill(pid, SIGKILL);
}

/* One that listens on all families; returns its length. */
static int
print_service(char *text, size_t size, const char *name, const char *backend,
    unsigned idle_minutes)
{
	int length = snprintf(text, size,
	    "service %s {\n"
	    "	listen = {\"127.0.0.1:0\", \"[::1]:0\", \"unix:%s/in_%s\"}\n"
	    "	idle_timeout = %um\n"
	    "	backend b { address = \"%s\" }\n}\n",
	    name, e2e_dir(), name, idle_minutes, backend);

	ck_assert_int_lt(length, (int)size);
	return length;
}

void
soak_configure(const struct soak *s)
{
	const char *extra = s->has_extra
	    ? "service extra {\n	listen = {\"127.0.0.1:0\"}\n"
	      "	on_remove = close\n	backend b { address = builtin:echo }\n}\n"
	    : "";
	char services[4096];
	char name[16];
	int length = 0;

	for (unsigned i = 0; i < SOAK_FAMILIES; i++) {
		snprintf(name, sizeof name, "to_%s", soak_families[i]);
		length += print_service(services + length,
		    sizeof services - (size_t)length, name, s->backend[i],
		    s->has_extra ? 5 : 6);
		length += print_service(services + length,
		    sizeof services - (size_t)length, soak_cut[i],
		    s->backend[i], 60);
	}
	gateway_configure(&s->gateway,
	    "max_connections = %d\n%s"
	    "service echo {\n	listen = {\"127.0.0.1:0\"}\n"
	    "	backend b { address = builtin:echo }\n}\n%s",
	    SOAK_CONNECTIONS, services, extra);
}

void
soak_change_workers(struct soak *s, unsigned workers)
{
	json_t *reply;

	s->gateway.workers = workers;
	soak_configure(s);
	reply = reload_ask(&s->gateway, false);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
}

void
soak_grow_and_shrink(struct soak *s)
{
	soak_change_workers(s, SOAK_WORKERS_MAX);
	soak_change_workers(s, SOAK_WORKERS);
	ck_assert(gateway_settles(&s->gateway));
}

/* Traffic */

static void
add_pair(struct soak *s, unsigned client, unsigned backend)
{
	const struct load_spec random = {
	    .label = "random", .draw = soak_draw, .draw_arg = s};
	const struct load_spec lasting = {.label = soak_cut[backend],
	    .shape = LOAD_BOTH,
	    .up = 1000 + 70000 * client,
	    .down = 50000,
	    .lasts = true};
	char address[ADDR_TEXT_SIZE];
	char name[16];

	snprintf(name, sizeof name, "to_%s", soak_families[backend]);
	load_add(s->load, gateway_address(&s->gateway, name, client, address),
	    &random, RANDOM_STREAMS, 0);
	load_add(s->load,
	    gateway_address(&s->gateway, soak_cut[backend], client, address),
	    &lasting, LASTING_STREAMS, 0);
}

void
soak_add_traffic(struct soak *s)
{
	for (unsigned backend = 0; backend < SOAK_FAMILIES; backend++) {
		for (unsigned client = 0; client < SOAK_FAMILIES; client++)
			add_pair(s, client, backend);
	}
}

/* Tell it to close; every other time with a reset. */
static void
send_close(struct soak *s, struct client *client, const char *service)
{
	char parameters[96];

	snprintf(parameters, sizeof parameters,
	    "{\"filter\":{\"service\":\"%s\"},\"reset\":%s}", service,
	    soak_choose(s, 2) == 0 ? "true" : "false");
	ck_assert_int_eq(client_open(client, s->gateway.control), 0);
	ck_assert_int_eq(client_call(client, "CloseConnections", parameters,
			     false),
	    0);
}

void
soak_close(struct soak *s, unsigned which, bool kills_worker)
{
	const char *service = soak_cut[which];
	uint64_t end = e2e_now_ms() + NET_TIMEOUT_MS;
	struct client client;
	pid_t worker = soak_aim(s, soak_choose(s, s->gateway.workers));
	json_t *reply;

	(void)load_cut(s->load, service);
	send_close(s, &client, service);
	if (kills_worker)
		soak_shoot(s, worker, 5000);
	reply = client_hear(&client, NET_TIMEOUT_MS);
	client_close(&client);
	ck_assert_ptr_nonnull(reply);
	gateway_expect_success(reply);
	json_decref(reply);
	while (!load_is_cut(s->load, service)) {
		ck_assert_msg(e2e_now_ms() < end,
		    "a connection of %s was not closed", service);
		load_turn(s->load, 10);
	}
	ck_assert(gateway_settles(&s->gateway));
}

/* Who was not yet accepted was not meant. */
static void
close_all(struct soak *s, unsigned which)
{
	uint64_t end = e2e_now_ms() + FINISH_MS;

	while (load_cut(s->load, soak_cut[which]) > 0) {
		ck_assert_msg(e2e_now_ms() < end, "%s has connections",
		    soak_cut[which]);
		soak_close(s, which, false);
		load_run(s->load, 10);
	}
}

void
soak_quiet(struct soak *s)
{
	load_stop_opening(s->load);
	for (unsigned i = 0; i < SOAK_FAMILIES; i++)
		close_all(s, i);
	load_finish(s->load, FINISH_MS);
	gateway_expect_number(&s->gateway, "totals/connections", 0);
}
