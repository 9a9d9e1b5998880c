/*
 * clock - what time it is, in the units the rest of the program counts in.
 *
 * Runs in: every process.  Never fails: the clocks asked for always exist.
 */
#ifndef SRVD_COMMON_CLOCK_H
#define SRVD_COMMON_CLOCK_H

#include <stdint.h>

/* Since some moment before this process began; never goes back. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);

/* Since 1970-01-01T00:00:00Z; goes where the administrator sets it. */
uint64_t clock_epoch_us(void);

#endif
