/*
 * access - the line of a connection in the access log.
 *
 * Written at the connection's end into the ring in the body, from where the
 * master takes it: so no death loses one, and a worker never waits for a log.
 *
 * Runs in: worker.  Opens nothing and never blocks.
 */
#ifndef SRVD_WORKER_ACCESS_H
#define SRVD_WORKER_ACCESS_H

#include "server/worker/worker.h"

/*
 * Write the line of a connection that ends with slot->reason, while its
 * sockets are still open.  Once a connection, however often it is called
 * (TALLY_LOGGED).  Without room it is counted as dropped; without an access
 * log nothing happens.
 */
void access_note(struct worker *w, struct slot *slot);

/* Has the master all lines, or said that it will not take them? */
bool access_is_taken(const struct worker *w);

/* Write the line, with its newline, into text; returns its length. */
size_t access_format(const struct worker *w, const struct slot *slot,
    char text[BODY_ACCESS_LINE]);

#endif
