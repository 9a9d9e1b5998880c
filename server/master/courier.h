/*
 * courier - what the master and the worker of a body tell each other.
 *
 * Runs in: master.  Never blocks: what the channel does not take now is sent
 * when there is room, and again to a successor of the worker (its hello says
 * that there is one) until it is acknowledged.
 */
#ifndef SRVD_MASTER_COURIER_H
#define SRVD_MASTER_COURIER_H

#include "common/attr.h"
#include "server/master/body_ref.h"

/* Lines of log a worker may have written in a second. */
#define COURIER_LINES_A_SECOND 500

/* Make a channel and watch our end; *theirs is for the body's table, and the
 * caller's to close.  Returns 0 or -errno. */
must_check int courier_open(struct body_ref *ref, int *theirs);

/* The same with what another master's body has: a channel, and the worker
 * at its other end.  Takes both descriptors, whatever comes of it. */
must_check int courier_adopt(struct body_ref *ref, int channel_fd, pid_t pid,
    int pidfd);

/* Close the channel, forget the worker. */
void courier_close(struct body_ref *ref);

/* This process is the body's worker now, if it can be. */
void courier_greet(struct body_ref *ref, pid_t pid);

/* Take what the worker has sent, without waiting for the loop. */
void courier_receive(struct body_ref *ref);

/* Once a second: send what the kernel would not take (ETOOMANYREFS, memory). */
void courier_retry(struct body_ref *ref);

/* There is something new to say (outbox.h). */
void courier_send(struct body_ref *ref);

#endif
