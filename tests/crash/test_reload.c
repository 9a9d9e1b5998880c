/*
 * A reload with its worker killed at each system call: it is done all the
 * same, and nothing that went on beside it notices.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"
#include "points.h"
#include "reloads.h"

static const char extra[] = "service extra {\n"
			    "	listen = {\"127.0.0.1:0\", \"[::1]:0\"}\n"
			    "	on_remove = close\n"
			    "	backend b { address = builtin:echo }\n}\n";

static void
say_and_hear(int fd)
{
	net_say(fd, "still there?");
	net_hear(fd, "still there?");
}

/* A service comes, is used, and goes with its connection. */
static void
come_and_go(struct points *p, enum pair_side client, enum pair_side backend)
{
	char address[ADDR_TEXT_SIZE];
	int fd;

	(void)client;
	(void)backend;
	points_configure(p, extra);
	reload_expect_done(&p->gateway);
	gateway_address(&p->gateway, "extra", 0, address);
	fd = net_connect(address);
	p->made++;
	say_and_hear(fd);
	points_configure(p, "");
	reload_expect_done(&p->gateway);
	net_expect_end(fd, NET_CLOSED);
	close(fd);
}

/* Prepared, and given up again. */
static void
dry_run(struct points *p, enum pair_side client, enum pair_side backend)
{
	json_t *reply;

	(void)client;
	(void)backend;
	points_configure(p, extra);
	reply = reload_ask(&p->gateway, true);
	ck_assert(reload_is_done(reply));
	json_decref(reply);
	points_configure(p, "");
}

START_TEST(reload)
{
	points_test("reload", come_and_go);
}
END_TEST

START_TEST(reload_given_up)
{
	points_test("dry run", dry_run);
}
END_TEST

E2E_MAIN("crash.reload", reload, reload_given_up)
