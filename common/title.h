/*
 * title - what ps(1) shows for this process.
 *
 * Runs in: every process of the gateway.
 */
#ifndef SRVD_COMMON_TITLE_H
#define SRVD_COMMON_TITLE_H

/*
 * Once, first thing in main: remember where the arguments stand and move the
 * environment out of their way.  Exits if memory is short.
 */
void title_init(int argc, char **argv);

/*
 * /proc/PID/cmdline reads exactly title from here on, comm its first 15
 * bytes.  A title that does not fit is cut.
 */
void title_set(const char *title);

#endif
