/*
 * test_config - configurations that are right, and the plans that they make.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "server/config/compile.h"
#include "tests/unit/config_file.h"

static const char full[] =
    "# every key, none at its default\n"
    "workers = 3\nuser = root // who\ngroup = root\n"
    "max_connections = 77\ndrain_timeout = 1500ms\nwatchdog = 0\n"
    "control { path = '/tmp/a b\\'\"#.sock' mode = 600 group = root\n"
    "\tadmin_group = root }\n"
    "log { level = debug target = \"/var/log/x \\\\ \\\"y\\\".log\"\n"
    "\taccess = \"/var/log/access # 1\" }\n"
    "service one {\n"
    "\tlisten = { # a comment in a list\n"
    "\t\t1.2.3.4:80, \"*:81\", /* another\n*/ [::1]:http,\n"
    "\t\tunix:/run/x, \"unix:@y z\", }\n"
    "\tbalance = leastconn on_remove = close connect_timeout = 0 retries = 010\n"
    "\tidle_timeout = 90m half_closed_timeout = 2d max_connections = 9\n"
    "\tkeepalive = 0 nodelay = off backlog = 5 mode = 0640\n"
    "\towner = root group = root\n"
    "\tbackend a-1.x_ { address = 10.0.0.1:80 weight = 0 }\n"
    "\tbackend b { address = localhost:https backup = yes }\n"
    "\tbackend c { address = \"unix:/run/b\" weight = 256 }\n"
    "}\n"
    "service two { listen = 127.0.0.1:0 backend a { address = "
    "builtin:discard } }\n";

START_TEST(every_key_reaches_the_plan)
{
	const struct plan_service *service;
	struct config_result result;
	const struct plan *plan;

	make_directory();
	/* 010 retries would be 8 in octal, and ten are too many. */
	write_text("full.conf", full);
	result = load("full.conf", true);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "full.conf", 17, "010 is out of range"));
	config_result_release(&result);

	write_text("user.conf", "user = root\n" SERVICE);
	result = load_good("user.conf", true);
	plan = result.plan;
	service = plan_service(plan, 0);
	ck_assert_uint_ge(plan->workers, 1);
	ck_assert_uint_eq(plan->max_connections, 9800);
	ck_assert_uint_eq(plan->drain_timeout_ms, 30000);
	ck_assert_uint_eq(plan->watchdog_ms, 5000);
	ck_assert_uint_eq(plan->control.mode, 0660);
	ck_assert_uint_eq(plan->control.gid, PLAN_NO_ID);
	ck_assert_uint_eq(plan->control.admin.id, PLAN_NO_ID);
	ck_assert_uint_eq(plan->log.access.target, TARGET_OFF);
	ck_assert_uint_eq(service->on_remove, ON_REMOVE_KEEP);
	ck_assert_uint_eq(service->retries, 2);
	ck_assert_uint_eq(service->connect_timeout_ms, 5000);
	ck_assert_uint_eq(service->idle_timeout_ms, 3600000);
	ck_assert_uint_eq(service->half_closed_timeout_ms, 3600000);
	ck_assert_uint_eq(service->keepalive_ms, 60000);
	ck_assert_uint_eq(service->nodelay, 1);
	ck_assert_uint_eq(plan_listener(plan, 0)->backlog, 4096);
	ck_assert_uint_eq(plan_listener(plan, 0)->mode, 0666);
	ck_assert_uint_eq(plan_listener(plan, 0)->uid, PLAN_NO_ID);
	ck_assert_uint_eq(plan_backend(plan, 0)->weight, 1);
	config_result_release(&result);
}
END_TEST

static void
write_full(void)
{
	const char *number = strstr(full, "010");
	char text[2 * sizeof(full)];

	ck_assert_ptr_nonnull(number);
	(void)snprintf(text, sizeof(text), "%.*s007%s", (int)(number - full),
	    full, number + 3);
	write_text("full.conf", text);
}

static void
print_to(const struct plan *plan, const char *name)
{
	FILE *file = fopen(path_of(name), "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(config_print(plan, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* Equal, but for the name of the file that each was compiled from. */
START_TEST(trap_12_print_reads_back_to_the_same_plan)
{
	struct config_result first;
	struct config_result second;
	const char *section;
	const char *key;

	make_directory();
	write_full();
	first = load_good("full.conf", true);
	print_to(first.plan, "back.conf");
	second = load_good("back.conf", true);
	ck_assert_uint_eq(first.plan->length, second.plan->length);
	ck_assert_int_eq(memcmp(first.plan, second.plan,
			     first.plan->strings.offset),
	    0);
	ck_assert_int_eq(memcmp(plan_string(first.plan,
				    first.plan->config_path + 1) +
				 strlen(path_of("full.conf")),
			     plan_string(second.plan,
				 second.plan->config_path + 1) +
				 strlen(path_of("back.conf")),
			     first.plan->strings.count - 1 -
				 strlen(path_of("full.conf"))),
	    0);
	ck_assert(!config_needs_restart(first.plan, second.plan, &section,
	    &key));
	config_result_release(&first);
	config_result_release(&second);
}
END_TEST

START_TEST(values_reach_the_plan)
{
	struct config_result result;
	const struct plan_listener *listener;
	const struct plan *plan;

	make_directory();
	write_full();
	result = load_good("full.conf", true);
	plan = result.plan;
	ck_assert_uint_eq(plan->workers, 3);
	ck_assert_uint_eq(plan->max_connections, 77);
	ck_assert_uint_eq(plan->drain_timeout_ms, 1500);
	ck_assert_uint_eq(plan->watchdog_ms, 0);
	ck_assert_str_eq(plan_string(plan, plan->control.path),
	    "/tmp/a b'\"#.sock");
	ck_assert_uint_eq(plan->control.mode, 0600);
	ck_assert_str_eq(plan_string(plan, plan->log.messages.path),
	    "/var/log/x \\ \"y\".log");
	ck_assert_uint_eq(plan->log.access.target, TARGET_FILE);
	ck_assert_str_eq(plan_string(plan, plan->log.access.path),
	    "/var/log/access # 1");
	ck_assert_str_eq(plan_string(plan, plan->control.admin.name), "root");
	ck_assert_uint_eq(plan->control.admin.id,
	    geteuid() == 0 ? 0 : PLAN_NO_ID);
	ck_assert_uint_eq(plan_service(plan, 0)->on_remove, ON_REMOVE_CLOSE);
	ck_assert_uint_eq(plan->services.count, 2);
	ck_assert_uint_eq(plan_service(plan, 0)->listeners, 5);
	ck_assert_uint_eq(plan_service(plan, 0)->balance, BALANCE_LEASTCONN);
	ck_assert_uint_eq(plan_service(plan, 0)->retries, 7);
	ck_assert_uint_eq(plan_service(plan, 1)->first_listener, 5);
	ck_assert_uint_eq(plan_backend(plan, 0)->next, 1);
	ck_assert_uint_eq(plan_backend(plan, 2)->next, PLAN_END);
	ck_assert_uint_eq(plan_service(plan, 1)->first_backend, 3);
	listener = plan_listener(plan, 4);
	ck_assert_str_eq(listener->addr.path, "@y z");
	ck_assert_uint_eq(listener->backlog, 5);
	ck_assert_uint_eq(listener->mode, 0640);
	ck_assert_uint_eq(listener->nodelay, 0);
	ck_assert_uint_eq(plan_backend(plan, 0)->weight, 0);
	ck_assert_uint_eq(plan_backend(plan, 1)->addr.kind, ADDR_NAME);
	ck_assert_uint_eq(plan_backend(plan, 1)->backup, 1);
	config_result_release(&result);
}
END_TEST

START_TEST(names_are_looked_up_for_use)
{
	struct config_result result;
	const struct plan_backend *backend;

	make_directory();
	write_text("name.conf",
	    "user = root\nservice s { listen = 127.0.0.1:1 group = root\n"
	    "backend b { address = localhost:7 } }\n");
	result = load_good("name.conf", false);
	backend = plan_backend(result.plan, 0);
	ck_assert(backend->addr.kind == ADDR_TCP4 ||
	    backend->addr.kind == ADDR_TCP6);
	ck_assert_uint_eq(backend->addr.port, 7);
	ck_assert_str_eq(plan_string(result.plan, backend->text),
	    "localhost:7");
	ck_assert_uint_eq(plan_listener(result.plan, 0)->gid, 0);
	config_result_release(&result);

	write_text("name.conf",
	    "user = root\nservice s { listen = 127.0.0.1:1\n"
	    "owner = \"no such user\" backend b { address = builtin:echo } }\n"
	    "control { group = nosuchgroup }\n");
	result = load("name.conf", false);
	ck_assert_uint_eq(result.errors_count, 2);
	ck_assert(has_error(&result, "name.conf", 3, "no such user"));
	ck_assert(has_error(&result, "name.conf", 4, "nosuchgroup"));
	config_result_release(&result);
}
END_TEST

START_TEST(local_ports_are_split)
{
	static const struct {
		const char *release;
		const char *range;
		uint32_t split;
	} cases[] = {
	    {"6.8.0", "32768\t60999\n", 39826},
	    {"6.18.44-1-amd64", "32768\t60999\n", 39826},
	    {"10.0", "1024\t65535\n", 17152},
	    {"6.8", "1 65535", 16384},
	    {"6.8", "5000 5003", 5001},
	    /* Before: every socket is searched as any other. */
	    {"6.7.12", "32768\t60999\n", 0},
	    {"6.1.0-41-amd64", "32768\t60999\n", 0},
	    {"5.10.0", "32768\t60999\n", 0},
	    {"6", "32768\t60999\n", 0},
	    {"", "32768\t60999\n", 0},
	    /* None, or nothing to divide. */
	    {"6.8", "5000 5002", 0},
	    {"6.8", "60999 32768", 0},
	    {"6.8", "0 65535", 0},
	    {"6.8", "32768 65536", 0},
	    {"6.8", "32768", 0},
	    {"6.8", "", 0},
	    {"6.8", "x y", 0},
	    {"6.8", "99999999999999999999 -99999999999999999999", 0},
	    {"6.8", "-99999999999999999999 99999999999999999999", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_uint_eq(local_ports_split(cases[i].release,
				      cases[i].range),
		    cases[i].split);
}
END_TEST

START_TEST(limits_are_counted)
{
	struct config_result result;

	make_directory();
	write_text("limit.conf",
	    "user = root\nmax_connections = 9937\n" SERVICE);
	result = load("limit.conf", false);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "limit.conf", 2,
	    "need 20003 descriptors, 3 more than the hard limit of 20000"));
	config_result_release(&result);
	result = load_good("limit.conf", true);
	config_result_release(&result);
	write_text("limit.conf",
	    "user = root\nmax_connections = 9935\n" SERVICE);
	result = load_good("limit.conf", false);
	config_result_release(&result);
}
END_TEST

START_TEST(plan_is_sealed)
{
	struct config_result result;
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

	make_directory();
	write_full();
	result = load_good("full.conf", true);
	ck_assert_int_eq(fcntl(result.plan_fd, F_GET_SEALS), seals);
	ck_assert_int_lt(write(result.plan_fd, "x", 1), 0);
	ck_assert_int_lt(ftruncate(result.plan_fd, 0), 0);
	ck_assert_int_eq(fcntl(result.plan_fd, F_GETFD), FD_CLOEXEC);
	config_result_release(&result);
	ck_assert_int_eq(result.plan_fd, -1);
}
END_TEST

START_TEST(many_rows_have_limits)
{
	struct config_result result;
	FILE *file;

	make_directory();
	file = fopen(path_of("many.conf"), "we");
	ck_assert_ptr_nonnull(file);
	(void)fputs("user = root\n", file);
	for (int i = 0; i < PLAN_SERVICES_MAX + 5; i++)
		(void)fprintf(file,
		    "service s%d { listen = unix:@%d\n"
		    "backend b { address = builtin:echo } }\n",
		    i, i);
	ck_assert_int_eq(fclose(file), 0);
	result = load("many.conf", true);
	ck_assert_uint_eq(result.errors_count, 1);
	ck_assert(has_error(&result, "many.conf", 2 * PLAN_SERVICES_MAX + 2,
	    "one service too many"));
	config_result_release(&result);
}
END_TEST

UNIT_MAIN("config", every_key_reaches_the_plan,
    trap_12_print_reads_back_to_the_same_plan, values_reach_the_plan,
    names_are_looked_up_for_use, local_ports_are_split, limits_are_counted,
    plan_is_sealed, many_rows_have_limits)
