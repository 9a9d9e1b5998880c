/*
 * test_control_hostile - clients that break the protocol, or stall in it:
 * they are told and dropped, and nobody else notices.
 */
#include "tests/unit/control_server.h"

/* Say bytes that are no call: told so, and disconnected. */
static void
thrown_out(const char *bytes, size_t length, const char *what)
{
	struct client client = client_connect();
	json_t *reply;

	(void)client_send(&client, bytes, length);
	reply = client_hear(&client);
	expect_error(reply, SERVICE("InvalidParameter"), "parameter", what);
	json_decref(reply);
	client_expect_end(&client);
	client_end(&client);
}

static void
thrown_out_text(const char *text, const char *what)
{
	thrown_out(text, strlen(text) + 1, what);
}

START_TEST(what_is_no_call_is_told_so_and_disconnected)
{
	static const struct {
		const char *text;
		const char *what;
	} rows[] = {
	    {"", "message"},
	    {"x", "message"},
	    {"[]", "message"},
	    {"\"method\"", "message"},
	    {"{", "message"},
	    {"{}", "method"},
	    {"{\"method\":\"a.B\"}{}", "message"},
	    {"{\"method\":\"a.B\",\"method\":\"a.B\"}", "message"},
	    {"{\"method\":\"a.B\",\"parameters\":{\"x\":1,\"x\":1}}",
		"message"},
	    {"{\"method\":\"a.\xff\"}", "message"},
	    {"{\"method\":\"a.\\u0000B\"}", "message"},
	    {"{\"method\":\"a.B\",\"parameters\":{\"x\":NaN}}", "message"},
	    {"{\"method\":\"a.B\",\"parameters\":{\"x\":99999999999999999999}}",
		"message"},
	    {"{\"method\":1}", "method"},
	    {"{\"method\":null}", "method"},
	    {"{\"method\":\"a.B\",\"parameters\":[]}", "parameters"},
	    {"{\"method\":\"a.B\",\"parameters\":\"\"}", "parameters"},
	    {"{\"method\":\"a.B\",\"more\":1}", "more"},
	    {"{\"method\":\"a.B\",\"oneway\":\"true\"}", "oneway"},
	    {"{\"method\":\"a.B\",\"oneway\":true,\"more\":true}", "more"},
	    {"{\"method\":\"a.B\",\"upgrade\":true}", "upgrade"},
	    {"{\"method\":\"a.B\",\"extra\":0}", "extra"},
	};
	struct client good;

	server_begin();
	good = client_connect();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		thrown_out_text(rows[i].text, rows[i].what);
	expect_served(&good);
	client_end(&good);
	server_end();
}
END_TEST

static void
nested(char *text, size_t size, size_t depth, bool close_them)
{
	size_t at = (size_t)snprintf(text, size,
	    "{\"method\":\"org.varlink.service.GetInfo\","
	    "\"parameters\":{\"x[[{\\\"[\":");

	memset(text + at, '[', depth - 2);
	at += depth - 2;
	if (close_them) {
		memset(text + at, ']', depth - 2);
		at += depth - 2;
	}
	(void)snprintf(text + at, size - at, "%s", close_them ? "}}" : "");
}

START_TEST(deep_json_is_refused_before_it_is_parsed)
{
	static char text[MIB];
	struct client client;

	server_begin();
	client = client_connect();
	/* As deep as may be, brackets in strings not counted. */
	nested(text, sizeof(text), 32, true);
	refused(&client, text, SERVICE("InvalidParameter"), "parameter",
	    "x[[{\"[");
	client_end(&client);
	nested(text, sizeof(text), 33, true);
	thrown_out_text(text, "message");
	nested(text, sizeof(text), 400000, true);
	thrown_out_text(text, "message");
	nested(text, sizeof(text), MIB - 200, false);
	thrown_out_text(text, "message");
	expect_service();
	server_end();
}
END_TEST

START_TEST(a_long_message_is_refused_and_one_of_the_limit_is_not)
{
	static char text[10 * MIB];
	struct client client;

	server_begin();
	memset(text, ' ', sizeof(text));
	thrown_out(text, sizeof(text), "message");

	memcpy(text, CALL_INFO, strlen(CALL_INFO));
	text[MIB + 1] = '\0';
	thrown_out(text, MIB + 2, "message");

	text[MIB] = '\0';
	client = client_connect();
	ck_assert_int_eq(client_send(&client, text, MIB + 1), 0);
	json_decref(client_hear(&client));
	expect_served(&client);
	client_end(&client);
	server_end();
}
END_TEST

START_TEST(half_a_message_is_waited_for_but_not_for_long)
{
	struct client half;
	struct client dripping;
	struct client idle;
	uint64_t begin_ms;

	server_begin();
	half = client_connect();
	dripping = client_connect();
	idle = client_connect();
	begin_ms = clock_ms();
	ck_assert_int_eq(client_send(&half, "{\"met", 5), 0);
	/* A byte now and then doesn't put the end off. */
	while (client_send(&dripping, " ", 1) == 0) {
		ck_assert_uint_lt(clock_ms() - begin_ms, WAIT_MS);
		(void)poll(NULL, 0, 20);
	}
	client_expect_end(&half);
	ck_assert_uint_ge(clock_ms() - begin_ms, limits_short.half_ms - 20);
	/* One that says nothing at all may stay. */
	expect_served(&idle);
	client_end(&half);
	client_end(&dripping);
	client_end(&idle);
	server_end();
}
END_TEST

START_TEST(one_that_never_reads_is_dropped_and_blocks_nobody)
{
	struct client deaf;
	struct client good;
	static char batch[2000 * sizeof(CALL_OURS)];
	uint64_t begin_ms;
	struct pollfd poll_fd = {.events = 0};

	server_begin();
	deaf = client_connect();
	good = client_connect();
	for (size_t i = 0; i < 2000; i++)
		memcpy(batch + i * sizeof(CALL_OURS), CALL_OURS,
		    sizeof(CALL_OURS));
	ck_assert_int_eq(client_send(&deaf, batch, sizeof(batch)), 0);
	begin_ms = clock_ms();
	poll_fd.fd = deaf.fd;
	do {
		expect_served(&good);
		ck_assert_uint_lt(clock_ms() - begin_ms, WAIT_MS);
	} while (poll(&poll_fd, 1, 10) == 0);
	ck_assert(poll_fd.revents & POLLHUP);
	ck_assert_uint_ge(clock_ms() - begin_ms, limits_short.take_ms - 20);
	client_end(&deaf);
	client_end(&good);
	server_end();
}
END_TEST

START_TEST(one_that_reads_slowly_gets_all_of_it)
{
	struct client slow;
	char text[4096];
	ssize_t count;
	size_t replies = 0;
	int size = 4096;

	server_begin();
	slow = client_connect();
	(void)setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (int i = 0; i < 300; i++)
		client_say(&slow, CALL_OURS);
	ck_assert_int_eq(shutdown(slow.fd, SHUT_WR), 0);
	/* In all longer than the limit, no pause as long as it. */
	while ((count = read(slow.fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < count; i++)
			replies += text[i] == '\0';
		(void)poll(NULL, 0, 5);
	}
	ck_assert_int_eq(count, 0);
	ck_assert_uint_eq(replies, 300);
	client_end(&slow);
	server_end();
}
END_TEST

static size_t
server_descriptors(void)
{
	char path[64];
	struct stat st;
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d",
		    (int)server_pid, fd);
		count += lstat(path, &st) == 0;
	}
	return count;
}

static void
send_descriptors(const struct client *client, int count)
{
	int fds[64] = {0};
	char bytes[] = CALL_INFO;
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg = &control.align;
	size_t size = sizeof(int) * (size_t)count;

	memset(&control, 0, sizeof(control));
	for (int i = 0; i < count; i++)
		fds[i] = STDERR_FILENO;
	msg.msg_control = control.bytes;
	msg.msg_controllen = CMSG_SPACE(size);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(cmsg), fds, size);
	ck_assert_int_gt(sendmsg(client->fd, &msg, MSG_NOSIGNAL), 0);
}

START_TEST(passed_descriptors_are_closed_and_the_client_is_out)
{
	struct client client;
	struct client good;
	size_t before;

	server_begin();
	good = client_connect();
	expect_served(&good);
	before = server_descriptors();
	for (int count = 1; count <= 64; count *= 4) {
		client = client_connect();
		send_descriptors(&client, count);
		client_expect_end(&client);
		client_end(&client);
	}
	expect_served(&good);
	ck_assert_uint_eq(server_descriptors(), before);
	client_end(&good);
	server_end();
}
END_TEST

UNIT_MAIN("control_hostile", what_is_no_call_is_told_so_and_disconnected,
    deep_json_is_refused_before_it_is_parsed,
    a_long_message_is_refused_and_one_of_the_limit_is_not,
    half_a_message_is_waited_for_but_not_for_long,
    one_that_never_reads_is_dropped_and_blocks_nobody,
    one_that_reads_slowly_gets_all_of_it,
    passed_descriptors_are_closed_and_the_client_is_out)
