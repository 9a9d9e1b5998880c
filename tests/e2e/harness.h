/*
 * harness - what every end-to-end test program shares.
 *
 * A program is one file, test_NAME.c, and ends with E2E_MAIN.  Each test runs
 * in a process of its own with a fresh directory under /tmp.  When a test has
 * ended, the runner (the subreaper of all that it started) prints the logs if
 * it failed, removes the directory, and ends and reports whatever still runs:
 * a passed test that leaves a process behind is a failure.
 *
 * Runs in: the runner (e2e_run) and the process of one test (all else).
 */
#ifndef SRVD_TESTS_HARNESS_H
#define SRVD_TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* Room for a path in the directory of a test. */
#define E2E_PATH_SIZE 96

/* What ctest takes for "skipped": exit status of a program that left out a
 * test for want of something and failed none. */
#define E2E_SKIPPED 77

/* The limit of one test, E2E_MORE_SECONDS of the environment are added; ctest
 * has one for the whole program. */
#define E2E_TEST_TIMEOUT_S 55

/* How much longer things take in this build than in one that is measured. */
#if defined(__SANITIZE_ADDRESS__)
#define E2E_SLOWNESS 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define E2E_SLOWNESS 10
#endif
#endif
#ifndef E2E_SLOWNESS
#define E2E_SLOWNESS 1
#endif

#define E2E_MAIN(name, ...)                                    \
	int main(void)                                         \
	{                                                      \
		const TTest *const tests[] = {__VA_ARGS__};    \
                                                               \
		return e2e_run(name, tests, ARRAY_LEN(tests)); \
	}

int e2e_run(const char *name, const TTest *const *tests, size_t count);

/* The directory of this test: everyone may enter it, no slash at the end. */
const char *e2e_dir(void);
/* DIR/name in path; returns path. */
const char *e2e_path(char path[E2E_PATH_SIZE], const char *name);

/* Say aloud that something is not tested here, and why.  With CI=true in the
 * environment the test fails instead.  The caller then returns. */
void e2e_skip(const char *format, ...) printf_like(1, 2);

/* The end of a test that may have lasted longer than Check can count: it has
 * microseconds in an int, 35 minutes, and fails with an hour. */
_Noreturn void e2e_pass(void);

/* CLOCK_MONOTONIC. */
uint64_t e2e_now_ms(void);
/* For loops that wait for something within a deadline. */
void e2e_pause(int ms);

typedef bool e2e_condition_fn(void *arg);
/* Ask until it is true or the time is over; returns the last answer. */
bool e2e_wait(e2e_condition_fn *condition, void *arg, int timeout_ms);

/*
 * Byte number at of the stream called seed: the same everywhere, and no two
 * places of a stream look alike, so that a loss, a doubling or a change shows.
 */
void e2e_bytes(uint64_t seed, uint64_t at, void *buffer, size_t length);

#endif
