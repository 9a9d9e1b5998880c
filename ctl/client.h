/*
 * client - one connection to the control socket, and calls on it.
 *
 * Runs in: srvctl.  Blocks, never longer than the timeout for each answer.
 * What it reads is checked: the server's word is not trusted with our memory
 * or our terminal.
 */
#ifndef SRVD_CTL_CLIENT_H
#define SRVD_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/frame.h"

struct ctl_client {
	int fd;
	uint64_t timeout_ms;
	struct frame frame;
};

struct ctl_reply {
	json_t *whole;      /* owns the rest */
	const char *error;  /* interface.Error, or NULL */
	json_t *parameters; /* an object */
	bool continues;
};

/*
 * All: 0 or -errno.  -ETIMEDOUT: no answer in time; -ECONNRESET: the gateway
 * hung up; -EBADMSG: what came is no reply; -EMSGSIZE: it is longer than any.
 */
must_check int ctl_client_open(struct ctl_client *client, const char *path,
    uint64_t timeout_ms);
void ctl_client_close(struct ctl_client *client);

/* Call interface.Method; takes over parameters.  more asks for a stream: a
 * method that does not stream answers once all the same. */
must_check int ctl_client_call(struct ctl_client *client, const char *method,
    json_t *parameters, bool more);
/* The next answer, to be released. */
must_check int ctl_client_reply(struct ctl_client *client,
    struct ctl_reply *reply);
void ctl_reply_release(struct ctl_reply *reply);

#endif
