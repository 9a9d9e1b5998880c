/*
 * signals - a process begins with none ignored, caught or blocked.
 *
 * Runs in: a child that is to be another program, or reads files.
 */
#ifndef SRVD_COMMON_SIGNALS_H
#define SRVD_COMMON_SIGNALS_H

/* Every signal does what it does by default, and none is blocked. */
void signals_reset(void);

#endif
