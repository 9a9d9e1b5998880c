/*
 * channel - the messages between the master and the worker of a body.
 *
 * A SOCK_SEQPACKET socket pair in the body's table; it outlives the worker as
 * every descriptor there does.  All orders are idempotent: the master sends
 * what the worker has not acknowledged again to its successor.
 *
 * Runs in: master, worker.  With transfer.h the only module that has
 * descriptors passed.  Never blocks.
 */
#ifndef SRVD_STATE_CHANNEL_H
#define SRVD_STATE_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "server/state/filter.h"

/* Tests build others. */
#ifndef CHANNEL_VERSION
#define CHANNEL_VERSION 4
#endif
#define CHANNEL_TEXT_MAX 1024
#define CHANNEL_ALL      UINT32_MAX
/* The kernel passes at most 253 descriptors a message (SCM_MAX_FD). */
#define CHANNEL_FDS_MAX 250
/* When the time to drain is over, what is left is closed over so long. */
#define CHANNEL_SPREAD_MS 1000

enum channel_type {
	/* From the worker. */
	CHANNEL_HELLO,   /* I am new here and follow generation; the kernel */
			 /* adds my process's number */
	CHANNEL_READY,   /* I have all of generation and could follow it */
	CHANNEL_REFUSED, /* I can't follow generation: text says why */
	CHANNEL_FOLLOWS, /* generation is what I work by now */
	CHANNEL_CLOSED,  /* request is done; count connections were closed */
	CHANNEL_ACCESS,  /* access lines wait in the body */
	CHANNEL_LOG,     /* level, text */
	CHANNEL_JOINED,  /* the end of transfer request has come */
	CHANNEL_GIVEN, /* transfer request is over: count connections are the */
	/* taker's; with is_reset it broke before that */
	/* From the worker to a master that came to its door, after the hello. */
	CHANNEL_BODY,    /* first: its seat, count: its row; body, board, and */
			 /* the plan of generation, if that isn't 0; request: */
			 /* the last generation that it was sent; text: what */
			 /* its program speaks (versions.h) */
	CHANNEL_SOCKETS, /* count listening sockets; text: so many */
			 /* struct channel_socket that say which */
	CHANNEL_INVENTORY, /* that was all */
	/* From the master. */
	CHANNEL_PLAN, /* generation, its memfd; count sockets come for it */
		      /* that are of seats which are no more */
	CHANNEL_LISTENERS, /* generation, sockets first to first + count, the */
			   /* members of seat */
	CHANNEL_ABORT,     /* forget what was sent for generation */
	CHANNEL_LEVEL,     /* log this level and what is graver: of service */
			   /* first, or of all (CHANNEL_ALL), which ends */
			   /* what was said of single ones */
	CHANNEL_CLOSE,     /* request: close what filter matches; with a */
			   /* reset if is_reset */
	CHANNEL_DRAIN,     /* accept no more, and end when empty; from */
			   /* until_ms on close what is left */
	CHANNEL_STOP,      /* end now */
	CHANNEL_GIVE,      /* hand over count connections, or all */
	/* (CHANNEL_ALL), by what comes: our end of transfer */
	/* request */
	CHANNEL_TAKE,   /* take what comes over this end of it */
	CHANNEL_RETIRE, /* close the listening sockets, which are others' */
			/* now; end when all connections are given away */
	CHANNEL_TYPES
};

/* Of a listening socket: its number in the plan that the worker follows, and
 * the seat whose member of the group it is. */
struct channel_socket {
	uint32_t number;
	uint32_t seat;
};

#define CHANNEL_SOCKETS_MAX (CHANNEL_TEXT_MAX / sizeof(struct channel_socket))

struct channel_message {
	uint32_t version;
	uint32_t type; /* enum channel_type */
	uint64_t generation;
	uint64_t request;
	uint64_t until_ms; /* CLOCK_MONOTONIC */
	struct filter filter;
	uint32_t is_reset;
	uint32_t first;
	uint32_t count;
	uint32_t level;
	uint32_t seat;
	uint32_t text_length; /* without a NUL; text is what follows */
	char text[CHANNEL_TEXT_MAX];
};

/* What came with a message. */
struct channel_extra {
	pid_t pid; /* of the sender, from the kernel; 0: not told */
	int fds[CHANNEL_FDS_MAX]; /* the receiver's to keep or close */
	uint32_t fds_count;
};

/* Make a pair, both ends non-blocking and close-on-exec; the first end, the
 * master's, is told the sender of each message.  Returns 0 or -errno. */
must_check int channel_open(int fds[2]);

/* A message of this type, all else zero. */
void channel_init(struct channel_message *message, enum channel_type type);

struct msghdr;

/* Have count descriptors go with a message of whatever kind; room is aligned
 * for a struct cmsghdr, and large enough. */
void channel_attach_fds(struct msghdr *header, void *room, const int *fds,
    uint32_t count);

/* Send with count descriptors.  Returns 0, -EAGAIN when the channel is full,
 * -EPIPE or -ECONNREFUSED when the other end is gone, or -errno. */
must_check int channel_send(int fd, const struct channel_message *message,
    const int *fds, uint32_t count);

/* Does this error of sending, here or over a transfer, say that the other end
 * is gone?  Others pass: the channel is full, or memory is short. */
bool channel_is_over(int error);

/*
 * Take the next message.  Returns 1; 0 at the end of the channel; -EAGAIN
 * when none is there; -EPROTO for one that is malformed, -EPROTONOSUPPORT for
 * one of another version (message->version), and -EMFILE for one whose
 * descriptors there was no room for in our table (those that came are closed;
 * the channel can still be read); or -errno.
 */
must_check int channel_receive(int fd, struct channel_message *message,
    struct channel_extra *extra);

/* Our end of one to a worker's door: as the first end of channel_open(), but
 * for descriptors, which it may bring until channel_refuse_fds().  Returns 0
 * or -errno. */
must_check int channel_open_door(int *fd);
void channel_refuse_fds(int fd);

/* Close a descriptor that somebody has passed, without waiting for bytes that
 * were never sent, as its sender may have wished (socket(7), SO_LINGER). */
void channel_close_fd(int fd);

/* Close the descriptors from index first on, in the same way. */
void channel_close_fds(struct channel_extra *extra, uint32_t first);

#endif
