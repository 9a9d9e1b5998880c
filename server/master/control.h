/*
 * control - the control socket: Varlink over sockaddr_un.
 *
 * Runs in: master.  Never blocks, and nothing that a client sends can end,
 * stall or grow the master beyond the limits below.
 */
#ifndef SRVD_MASTER_CONTROL_H
#define SRVD_MASTER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

struct call;
struct control;
struct master;

/* A control socket that one program leaves to the next, which it is executed
 * as: those who connect meanwhile wait. */
struct control_heir {
	int fd;          /* listening, or -1 */
	uint64_t device; /* of its file */
	uint64_t inode;
};

struct control_limits {
	uint32_t clients;  /* at most, at a time */
	uint32_t kept;     /* of them for root and the master's own user */
	uint64_t idle_ms;  /* without a call: may be put out for another */
	uint64_t half_ms;  /* for the rest of a message */
	uint64_t take_ms;  /* for taking some of an answer */
	uint64_t pause_ms; /* of accepting, when descriptors are short */
};
extern const struct control_limits control_limits_default;

/* Does a gateway serve on plan's control path, or something else stand there?
 * Returns 0 if not, or -errno with a sentence in why. */
struct plan;
must_check int control_probe(const struct plan *plan, char *why,
    size_t why_size);

/*
 * Bind and listen on plan's control path.  A socket file there that nobody
 * listens on is replaced; anything else is -EADDRINUSE or -EEXIST.  If an heir
 * (or NULL) is the socket of that path, it is taken over instead; in any case
 * its descriptor is.  Returns 0 or -errno with a sentence in why.
 */
must_check int control_open(struct master *m, const struct control_heir *heir,
    struct control **control, char *why, size_t why_size);
/* Is it that? */
must_check bool control_is_heir(const struct control_heir *heir,
    const struct plan *plan);
void control_bequeath(const struct control *control, struct control_heir *heir);
/* Open it with other limits, and without an heir. */
must_check int control_open_limited(struct master *m,
    const struct control_limits *limits, struct control **control, char *why,
    size_t why_size);

/*
 * Take over a connected client from the program before.  It has a call open,
 * which is answered later as a deferred one; with is_last it is dropped after
 * that.  Returns the call, or NULL with fd closed.
 */
must_check struct call *control_adopt(struct control *control, int fd,
    bool is_last);

/* Take no more calls, drop the clients and remove the socket's file, if it is
 * still ours.  NULL is ignored. */
void control_close(struct control *control);

#endif
