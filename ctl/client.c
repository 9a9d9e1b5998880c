/*
 * client - one connection to the control socket; see client.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "ctl/client.h"

/* More than any answer; a bound for a server gone wrong. */
#define REPLY_MAX    ((size_t)32 << 20)
#define FULL_WAIT_MS 20

static int
wait_until(int fd, short events, uint64_t until_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	uint64_t now_ms = clock_monotonic_ms();
	int ready;

	if (now_ms >= until_ms)
		return -ETIMEDOUT;
	/* A timeout is at most a day: it fits. */
	ready = poll(&poll_fd, 1, (int)(until_ms - now_ms));
	if (ready == -1)
		return errno == EINTR ? 0 : -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

static int
connect_until(int fd, const struct sockaddr_un *address, uint64_t until_ms)
{
	while (connect(fd, (const struct sockaddr *)address,
		   sizeof(*address)) == -1) {
		/* A full backlog tells nobody when it has room again. */
		if (errno != EAGAIN)
			return -errno;
		if (clock_monotonic_ms() >= until_ms)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, FULL_WAIT_MS);
	}
	return 0;
}

int
ctl_client_open(struct ctl_client *client, const char *path,
    uint64_t timeout_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	client->timeout_ms = timeout_ms;
	frame_init(&client->frame, REPLY_MAX);
	client->fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd == -1)
		return -errno;
	error = connect_until(client->fd, &address,
	    clock_monotonic_ms() + timeout_ms);
	if (error < 0)
		ctl_client_close(client);
	return error;
}

void
ctl_client_close(struct ctl_client *client)
{
	(void)close(client->fd);
	client->fd = -1;
	frame_release(&client->frame);
}

static int
send_all(const struct ctl_client *client, const char *bytes, size_t length)
{
	uint64_t until_ms = clock_monotonic_ms() + client->timeout_ms;
	int error;

	while (length > 0) {
		ssize_t count = send(client->fd, bytes, length, MSG_NOSIGNAL);

		if (count >= 0) {
			bytes += count;
			length -= (size_t)count;
			continue;
		}
		/* Gone already; it may have said why. */
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		error = wait_until(client->fd, POLLOUT, until_ms);
		if (error < 0)
			return error;
	}
	return 0;
}

int
ctl_client_call(struct ctl_client *client, const char *method,
    json_t *parameters, bool more)
{
	json_t *call =
	    json_pack("{s:s, s:o}", "method", method, "parameters", parameters);
	char *text = NULL;
	int error;

	if (!more || json_object_set_new(call, "more", json_true()) == 0)
		text = json_dumps(call, JSON_COMPACT);
	json_decref(call);
	if (text == NULL)
		return -ENOMEM;
	error = send_all(client, text, strlen(text) + 1);
	free(text);
	return error;
}

static int
read_some(struct ctl_client *client, uint64_t until_ms)
{
	char *at = NULL;
	size_t room = 0;
	ssize_t count;
	int error = frame_room(&client->frame, &at, &room);

	if (error == 0)
		error = wait_until(client->fd, POLLIN, until_ms);
	if (error < 0)
		return error;
	count = recv(client->fd, at, room, 0);
	if (count == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (count == 0)
		return -ECONNRESET;
	frame_added(&client->frame, (size_t)count);
	return 0;
}

static int
reply_parse(struct ctl_reply *reply, const char *text, size_t length)
{
	const json_t *error;

	*reply = (struct ctl_reply){
	    .whole = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL)};
	error = json_object_get(reply->whole, "error");
	reply->parameters = json_object_get(reply->whole, "parameters");
	reply->continues =
	    json_is_true(json_object_get(reply->whole, "continues"));
	reply->error = json_string_value(error);
	if (json_is_object(reply->parameters) &&
	    (error == NULL || reply->error != NULL))
		return 0;
	ctl_reply_release(reply);
	return -EBADMSG;
}

int
ctl_client_reply(struct ctl_client *client, struct ctl_reply *reply)
{
	uint64_t until_ms = clock_monotonic_ms() + client->timeout_ms;
	char *text = NULL;
	size_t length = 0;
	int got;
	int error;

	while ((got = frame_next(&client->frame, &text, &length)) == 0) {
		error = read_some(client, until_ms);
		if (error < 0)
			return error;
	}
	if (got < 0)
		return got;
	return reply_parse(reply, text, length);
}

void
ctl_reply_release(struct ctl_reply *reply)
{
	json_decref(reply->whole);
	*reply = (struct ctl_reply){.error = NULL};
}
