/*
 * deaths - how workers died, as their holders wrote it down.
 *
 * Runs in: master.  The worker can write there too: what is read is copied,
 * and believed only as far as it can do no harm.
 */
#ifndef SRVD_MASTER_DEATHS_H
#define SRVD_MASTER_DEATHS_H

#include "server/master/body_ref.h"

/* Its body is a fresh one. */
void deaths_begin(const struct body_ref *ref);

/* Of all workers that this row ever had: kept on the board, where the next
 * master finds it. */
uint64_t deaths_count(const struct body_ref *ref);

/* Of them, how many this body has told of. */
uint32_t deaths_told(const struct body_ref *ref);

/* A worker's process has ended, as the kernel says: if its holder has written
 * down how, count and log it.  Else the successor's hello comes here again. */
void deaths_note(struct body_ref *ref);

/* Holder and worker are both gone, and nobody wrote down how. */
void deaths_lost(struct body_ref *ref);

/* Bring up to date what can change without such an event: who the culprit
 * was, and deaths of workers that never got to say hello. */
void deaths_look(struct body_ref *ref);

/* Of the last one: "killed", "signal", "watchdog", "exit" or "unknown". */
const char *deaths_cause(const struct body_ref *ref);

#endif
