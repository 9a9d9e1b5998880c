/*
 * What a service manager gives the master, and nobody else gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "harness.h"
#include "proc.h"

/* Without root, but with a capability that a unit gave it: the master has it,
 * and nobody else. */
START_TEST(nobody_inherits_a_capability)
{
	static const char *const sets[] = {
	    "CapInh", "CapPrm", "CapEff", "CapAmb"};
	struct gateway g;
	char path[E2E_PATH_SIZE];
	char script[E2E_PATH_SIZE * 4];
	char text[64];
	pid_t who[2];
	int length;

	if (getuid() != 0) {
		e2e_skip("only root may give a capability");
		return;
	}
	length = snprintf(script, sizeof script,
	    "#!/bin/sh\nexec setpriv --reuid nobody --regid nogroup "
	    "--clear-groups --inh-caps +net_bind_service "
	    "--ambient-caps +net_bind_service %s \"$@\"\n",
	    gateway_program());
	gateway_write(e2e_path(path, "start"), script, (size_t)length);
	ck_assert_int_eq(chmod(path, 0755), 0);
	ck_assert_int_eq(setenv("SRVD_BIN", path, 1), 0);
	ck_assert_int_eq(chown(e2e_dir(), 65534, 65534), 0);
	gateway_init(&g);
	gateway_start(&g,
	    "service s {\n	listen = 127.0.0.1:0\n"
	    "	backend e { address = builtin:echo }\n}\n");
	proc_status(g.pid, "CapEff", text, sizeof text);
	ck_assert_str_eq(text, "0000000000000400");
	ck_assert_uint_eq(proc_files_owner(g.pid), 0);
	who[0] = gateway_holder(&g, 0);
	who[1] = gateway_worker(&g, 0);
	for (size_t i = 0; i < ARRAY_LEN(sets) * 2; i++) {
		proc_status(who[i % 2], sets[i / 2], text, sizeof text);
		ck_assert_msg(strcmp(text, "0000000000000000") == 0,
		    "%s of %s is %s", sets[i / 2],
		    i % 2 == 0 ? "a holder" : "a worker", text);
	}
	gateway_stop(&g);
}
END_TEST

E2E_MAIN("privileges", nobody_inherits_a_capability)
