/*
 * shortages - what a gateway says of what it lacks: in its status, in its log.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_SHORTAGES_H
#define SRVD_TESTS_SHORTAGES_H

#include <stdbool.h>

#include "gateway.h"

/* A shortage is over some seconds after it was last met. */
#define SHORTAGE_OVER_MS 9000

/* How often the words stand in the log. */
unsigned shortage_lines(const struct gateway *g, const char *words);
/* Wait until they do, and see that it is once. */
void shortage_expect_said_once(const struct gateway *g, const char *words);

/* Is the word among what worker index is short of? */
bool shortage_is_shown(const struct gateway *g, unsigned index,
    const char *word);
/* Wait until it is, or is not. */
void shortage_expect(const struct gateway *g, unsigned index, const char *word,
    bool shown);

/* Wait until the status says these words of worker index as its fault; NULL:
 * nothing. */
void shortage_expect_fault(const struct gateway *g, unsigned index,
    const char *words);

#endif
