/*
 * clock - what time it is; see clock.h.
 */
#include <time.h>

#include "common/clock.h"

static uint64_t
now_us(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_monotonic_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

uint64_t
clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

uint64_t
clock_epoch_us(void)
{
	return now_us(CLOCK_REALTIME);
}
