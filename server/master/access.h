/*
 * access - the access log's way from the bodies to its target.
 *
 * Runs in: master.  Takes whole lines from the bodies' rings (server/worker/
 * access.h writes them), checks them, has them written, and says on the board
 * how far it got.
 *
 * Invariants
 *  A1  A ring is a worker's: any bytes and any number may stand there.  What
 *      is taken is copied first, and is lines of printable text after.
 *  A2  Taking costs a bounded amount of work a round, and never waits: what
 *      can't be written is dropped and counted.
 */
#ifndef SRVD_MASTER_ACCESS_H
#define SRVD_MASTER_ACCESS_H

#include "server/master/body_ref.h"

/* A fresh body's ring is empty; before its first worker begins. */
void access_begin(const struct body_ref *ref);

/* The body was taken over: lines that the last master has written and did not
 * come to note are not written again, if the log is a file.  For all bodies
 * before any line is written. */
void access_resume(const struct body_ref *ref);

/* Lines wait in this body: they are taken in a moment, with those that come
 * until then. */
void access_wake(struct body_ref *ref);

/* Once a second: the message that they wait may have been lost. */
void access_check(struct body_ref *ref);

/* The ring can't be read, another version has made it: nobody waits for
 * that. */
void access_give_up(const struct body_ref *ref);

/* Take what is left, all of it: the body ends, or the log goes elsewhere. */
void access_take_all(const struct body_ref *ref);

#endif
