/*
 * access_log - a gateway's access log, read back line by line.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_ACCESS_LOG_H
#define SRVD_TESTS_ACCESS_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

/* The fields of a line, in its order. */
struct access_entry {
	char time[32];
	uint64_t id;
	char service[64];
	char backend[64];
	char client[ADDR_TEXT_SIZE];
	char local[ADDR_TEXT_SIZE];
	char source[ADDR_TEXT_SIZE];
	char server[ADDR_TEXT_SIZE];
	uint64_t up;
	uint64_t down;
	double connect_ms; /* -1: it says "-" */
	double total_ms;
	char reason[32];
};

struct access_log {
	struct access_entry *entries;
	size_t count;
};

/* Read a text; the test fails where a line is not exactly one of the access
 * log.  access_log_free() takes it back. */
void access_log_parse(struct access_log *log, const char *text);

/* Read a file once it has so many lines, or all it has after 5 s. */
void access_log_read(struct access_log *log, const char *path, size_t lines);
void access_log_free(struct access_log *log);

/* How many lines this service has with this reason (NULL: any). */
size_t access_log_count(const struct access_log *log, const char *service,
    const char *reason);

/* The line of a service whose client is this one; fails if there is none. */
const struct access_entry *access_log_find(const struct access_log *log,
    const char *service, const char *client);

/* No id stands there twice. */
void access_log_expect_unique(const struct access_log *log);
/* A file has so many lines, or gets them: no more, and each with its own id. */
void access_log_expect(const char *path, size_t lines);

#endif
