/*
 * client - one client of a gateway's control socket; see client.h.
 */
#include "client.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"

int
client_open(struct client *client, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = NET_TIMEOUT_MS / 1000};
	int error;

	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_msg(client->fd >= 0, "socket: %s", strerror(errno));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	frame_init(&client->frame, CLIENT_REPLY_MAX);
	if (connect(client->fd, (struct sockaddr *)&sun, sizeof sun) == 0)
		return 0;
	error = errno;
	client_close(client);
	return -error;
}

void
client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	frame_release(&client->frame);
}

int
client_send(const struct client *client, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t n = send(client->fd, at, length, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

int
client_call(const struct client *client, const char *method,
    const char *parameters, bool more)
{
	char call[1024];
	int length = snprintf(call, sizeof call,
	    "{\"method\":\"io.srvd.Control.%s\",\"parameters\":%s%s}", method,
	    parameters == NULL ? "{}" : parameters,
	    more ? ",\"more\":true" : "");

	ck_assert_int_lt(length, (int)sizeof call);
	return client_send(client, call, (size_t)length + 1);
}

/* Take what has come, or comes until end_ms: false if there is nothing, and
 * nothing more will come in time. */
static bool
client_read(struct client *client, uint64_t end_ms)
{
	struct pollfd pfd = {.fd = client->fd, .events = POLLIN};
	uint64_t now_ms = e2e_now_ms();
	int wait_ms = now_ms < end_ms ? (int)(end_ms - now_ms) : 0;
	char *at;
	size_t room;
	ssize_t n;

	if (poll(&pfd, 1, wait_ms) != 1)
		return false;
	ck_assert_int_eq(frame_room(&client->frame, &at, &room), 0);
	n = recv(client->fd, at, room, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	frame_added(&client->frame, (size_t)n);
	return true;
}

json_t *
client_hear(struct client *client, int timeout_ms)
{
	uint64_t end_ms = e2e_now_ms() + (uint64_t)timeout_ms;
	char *text;
	size_t length;
	json_t *reply;
	int got;

	while ((got = frame_next(&client->frame, &text, &length)) == 0) {
		if (!client_read(client, end_ms))
			return NULL;
	}
	ck_assert_msg(got == 1, "a reply of more than %zu bytes",
	    CLIENT_REPLY_MAX);
	reply = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(json_is_object(reply),
	    "a reply that is no object: %.200s", text);
	return reply;
}

bool
client_has_ended(struct client *client, int timeout_ms)
{
	return net_end_within(client->fd, timeout_ms) != NET_OPEN;
}
