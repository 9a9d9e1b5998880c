/*
 * client - one client of a gateway's control socket, well-behaved or not.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_CLIENT_H
#define SRVD_TESTS_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/frame.h"

/* The longest reply that is believed. */
#define CLIENT_REPLY_MAX ((size_t)64 << 20)

struct client {
	int fd; /* -1: not connected */
	struct frame frame;
};

/* Connect to the socket at path: 0 or -errno. */
int client_open(struct client *client, const char *path);
void client_close(struct client *client);

/* As much as the gateway takes within NET_TIMEOUT_MS a call: 0, or -errno
 * when it takes no more. */
int client_send(const struct client *client, const void *bytes, size_t length);
/* A call of io.srvd.Control; parameters is JSON text or NULL.  more: ask for a
 * stream. */
int client_call(const struct client *client, const char *method,
    const char *parameters, bool more);

/* The next reply, which the caller releases; NULL if the connection ends or
 * the time is over first. */
json_t *client_hear(struct client *client, int timeout_ms);
/* The gateway ends the connection within the time, whatever comes before. */
bool client_has_ended(struct client *client, int timeout_ms);

#endif
