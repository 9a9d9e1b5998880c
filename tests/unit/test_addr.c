/*
 * test_addr - addresses as text, as structs and as the kernel's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/addr.h"
#include "tests/unit/unit.h"

static char why[300];

struct good {
	const char *text;
	enum addr_use use;
	enum addr_kind kind;
	uint16_t port;
	const char *printed; /* NULL: as text */
};

static const struct good good[] = {
    {"1.2.3.4:80", ADDR_FOR_LISTEN, ADDR_TCP4, 80, NULL},
    {"0.0.0.0:0", ADDR_FOR_LISTEN, ADDR_TCP4, 0, NULL},
    {"1.2.3.4:65535", ADDR_FOR_BACKEND, ADDR_TCP4, 65535, NULL},
    {"1.2.3.4:080", ADDR_FOR_BACKEND, ADDR_TCP4, 80, "1.2.3.4:80"},
    {"1.2.3.4:http", ADDR_FOR_BACKEND, ADDR_TCP4, 80, "1.2.3.4:80"},
    {"[::1]:80", ADDR_FOR_LISTEN, ADDR_TCP6, 80, NULL},
    {"[2001:DB8:0::1]:80", ADDR_FOR_BACKEND, ADDR_TCP6, 80, "[2001:db8::1]:80"},
    {"*:80", ADDR_FOR_LISTEN, ADDR_ANY, 80, NULL},
    {"*:0", ADDR_FOR_LISTEN, ADDR_ANY, 0, NULL},
    {"localhost:80", ADDR_FOR_BACKEND, ADDR_NAME, 80, NULL},
    {"a_b-c.example:80", ADDR_FOR_BACKEND, ADDR_NAME, 80, NULL},
    {"unix:/run/x.sock", ADDR_FOR_LISTEN, ADDR_UNIX, 0, NULL},
    {"unix:@abstract", ADDR_FOR_BACKEND, ADDR_UNIX, 0, NULL},
    {"systemd:web", ADDR_FOR_LISTEN, ADDR_PASSED, 0, NULL},
    {"systemd:a b~1.socket", ADDR_FOR_LISTEN, ADDR_PASSED, 0, NULL},
    {"builtin:echo", ADDR_FOR_BACKEND, ADDR_ECHO, 0, NULL},
    {"builtin:discard", ADDR_FOR_BACKEND, ADDR_DISCARD, 0, NULL},
};

static void
check_good(const struct good *c)
{
	char text[ADDR_TEXT_SIZE];
	struct addr addr;

	ck_assert_int_eq(addr_parse(c->text, c->use, &addr, why, sizeof(why)),
	    0);
	ck_assert_uint_eq(addr.kind, c->kind);
	ck_assert_uint_eq(addr.port, c->port);
	ck_assert_str_eq(addr_format(&addr, text),
	    c->printed == NULL ? c->text : c->printed);
}

START_TEST(good_addresses_read_and_print)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check_good(&good[i]);
}
END_TEST

struct bad {
	const char *text;
	enum addr_use use;
	const char *why;
};

static const struct bad bad[] = {
    {"", ADDR_FOR_LISTEN, "empty"},
    {"80", ADDR_FOR_LISTEN, "has no port"},
    {":80", ADDR_FOR_LISTEN, "\"*:PORT\""},
    {"1.2.3.4", ADDR_FOR_LISTEN, "has no port"},
    {"1.2.3.4:", ADDR_FOR_LISTEN, "has no port"},
    {"1.2.3.4:65536", ADDR_FOR_LISTEN, "65535"},
    {"1.2.3.4:99999999999999999999", ADDR_FOR_LISTEN, "65535"},
    {"1.2.3.4:-1", ADDR_FOR_LISTEN, "neither a number"},
    {"1.2.3.4:nosuchport", ADDR_FOR_LISTEN, "/etc/services"},
    {"1.2.3.4:0", ADDR_FOR_BACKEND, "can't be 0"},
    {"1.2.3.256:80", ADDR_FOR_BACKEND, "not an IPv4 address"},
    {"010.0.0.1:80", ADDR_FOR_BACKEND, "not an IPv4 address"},
    {"1.2.3:80", ADDR_FOR_BACKEND, "not an IPv4 address"},
    {"::1:80", ADDR_FOR_LISTEN, "brackets"},
    {"[::1]", ADDR_FOR_LISTEN, "has no port"},
    {"[::1]80", ADDR_FOR_LISTEN, "has no port"},
    {"[::1:80", ADDR_FOR_LISTEN, "] is missing"},
    {"[::g]:80", ADDR_FOR_LISTEN, "not an IPv6"},
    {"[]:80", ADDR_FOR_LISTEN, "not an IPv6"},
    {"[1.2.3.4]:80", ADDR_FOR_LISTEN, "not an IPv6"},
    {"[fe80::1%lo]:80", ADDR_FOR_LISTEN, "interface"},
    {"*:80", ADDR_FOR_BACKEND, "one address"},
    {"localhost:80", ADDR_FOR_LISTEN, "is a name"},
    {"a..b:80", ADDR_FOR_BACKEND, "neither an address nor"},
    {"-a:80", ADDR_FOR_BACKEND, "neither an address nor"},
    {"a b:80", ADDR_FOR_BACKEND, "neither an address nor"},
    {"unix:", ADDR_FOR_LISTEN, "absolute"},
    {"unix:x", ADDR_FOR_LISTEN, "absolute"},
    {"unix:/", ADDR_FOR_LISTEN, "path is missing"},
    {"unix:@", ADDR_FOR_LISTEN, "name after @"},
    {"/run/x", ADDR_FOR_LISTEN, "unix:/run/x"},
    {"@x", ADDR_FOR_LISTEN, "unix:@x"},
    {"systemd:", ADDR_FOR_LISTEN, "FileDescriptorName="},
    {"systemd:a:80", ADDR_FOR_LISTEN, "no colon"},
    {"systemd:\xc3\xa4", ADDR_FOR_LISTEN, "printable ASCII"},
    {"systemd:web", ADDR_FOR_BACKEND, "can't be connected"},
    {"builtin:echo", ADDR_FOR_LISTEN, "can't be listened on"},
    {"builtin:dashboard", ADDR_FOR_BACKEND, "not in this version"},
    {"builtin:nothing", ADDR_FOR_BACKEND, "builtin:discard"},
    {"vsock:2:80", ADDR_FOR_BACKEND, "not in this version"},
    {"srv:_x._tcp.example", ADDR_FOR_BACKEND, "not in this version"},
};

static void
check_bad(const struct bad *c)
{
	const struct addr none = {0};
	struct addr addr;

	memset(&addr, 0xff, sizeof(addr));
	ck_assert_int_eq(addr_parse(c->text, c->use, &addr, why, sizeof(why)),
	    -EINVAL);
	ck_assert_msg(strstr(why, c->why) != NULL, "%s: %s", c->text, why);
	ck_assert(addr_equal(&addr, &none));
}

START_TEST(bad_addresses_say_what_is_right)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_bad(&bad[i]);
}
END_TEST

START_TEST(lengths_have_limits)
{
	char text[300] = "unix:/";
	struct sockaddr_storage ss;
	struct addr addr;

	memset(text + 6, 'x', 106);
	ck_assert_int_eq(addr_parse(text, ADDR_FOR_LISTEN, &addr, why,
			     sizeof(why)),
	    0);
	ck_assert_uint_eq(strlen(addr.path), 107);
	memset(text + 6, 'x', 107);
	ck_assert_int_eq(addr_parse(text, ADDR_FOR_LISTEN, &addr, why,
			     sizeof(why)),
	    -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "107"));
	memcpy(text, "systemd:", 8);
	memset(text + 8, 'x', 108);
	text[116] = '\0';
	ck_assert_int_eq(addr_parse(text, ADDR_FOR_LISTEN, &addr, why,
			     sizeof(why)),
	    -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "too long"));
	text[115] = '\0';
	ck_assert_int_eq(addr_parse(text, ADDR_FOR_LISTEN, &addr, why,
			     sizeof(why)),
	    0);
	ck_assert_int_eq(addr_to_sockaddr(&addr, &ss), -EINVAL);
	memset(text, 'x', 250);
	memcpy(text + 250, ":80", 4);
	ck_assert_int_eq(addr_parse(text, ADDR_FOR_BACKEND, &addr, why,
			     sizeof(why)),
	    -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "too long"));
}
END_TEST

START_TEST(sockaddrs_go_there_and_back)
{
	const char *const texts[] = {
	    "1.2.3.4:80", "[2001:db8::1]:443", "unix:/run/x", "unix:@x"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct sockaddr_storage ss;
		struct addr addr;
		struct addr back;
		int length;

		ck_assert_int_eq(addr_parse(texts[i], ADDR_FOR_LISTEN, &addr,
				     why, sizeof(why)),
		    0);
		length = addr_to_sockaddr(&addr, &ss);
		ck_assert_int_gt(length, 0);
		addr_from_sockaddr(&back, (struct sockaddr *)&ss,
		    (socklen_t)length);
		ck_assert(addr_equal(&addr, &back));
	}
}
END_TEST

START_TEST(odd_sockaddrs)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_storage ss = {.ss_family = AF_NETLINK};
	struct addr addr;

	/* An unnamed socket, as accept() and socketpair() have them. */
	addr_from_sockaddr(&addr, (struct sockaddr *)&un,
	    sizeof(un.sun_family));
	ck_assert_uint_eq(addr.kind, ADDR_UNIX);
	ck_assert_str_eq(addr.path, "");
	/* A path without a NUL that fills all of sun_path. */
	memset(un.sun_path, 'p', sizeof(un.sun_path));
	addr_from_sockaddr(&addr, (struct sockaddr *)&un, sizeof(un));
	ck_assert_uint_eq(strlen(addr.path), ADDR_PATH_SIZE - 1);
	/* An abstract name with NUL bytes in it. */
	memcpy(un.sun_path, "\0a\0b", 4);
	addr_from_sockaddr(&addr, (struct sockaddr *)&un,
	    offsetof(struct sockaddr_un, sun_path) + 4);
	ck_assert_str_eq(addr.path, "@a@b");
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss, sizeof(ss));
	ck_assert_uint_eq(addr.kind, ADDR_NONE);
	/* Too short for what it says it is. */
	ss.ss_family = AF_INET6;
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss,
	    sizeof(struct sockaddr_in));
	ck_assert_uint_eq(addr.kind, ADDR_NONE);
	addr_from_sockaddr(&addr, (struct sockaddr *)&ss, 0);
	ck_assert_uint_eq(addr.kind, ADDR_NONE);
	ck_assert_int_eq(addr_to_sockaddr(&addr, &ss), -EINVAL);
}
END_TEST

UNIT_MAIN("addr", good_addresses_read_and_print,
    bad_addresses_say_what_is_right, lengths_have_limits,
    sockaddrs_go_there_and_back, odd_sockaddrs)
