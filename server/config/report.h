/*
 * report - what was found wrong with the configuration, and where.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_REPORT_H
#define SRVD_CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* More than a person reads; what comes after is only counted. */
#define REPORT_FINDINGS_MAX 200
#define REPORT_MESSAGE_SIZE 512

struct place {
	uint32_t file; /* index in the report's files */
	uint32_t line; /* 0: the whole file */
};

struct finding {
	struct place place;
	uint32_t order; /* in which it was found */
	char *message;
};

struct report {
	char **files;
	uint32_t files_count;
	struct finding *findings;
	uint32_t findings_count;
	uint32_t dropped; /* findings that had no room */
};

/* Keep a file's name; returns its index for places. */
must_check uint32_t report_file(struct report *report, const char *path);

void report_add(struct report *report, struct place place, const char *format,
    ...) printf_like(3, 4);

bool report_is_full(const struct report *report);

/* By file, then line; at one line in the order in which they were found. */
void report_sort(struct report *report);

/* "line 7", or "FILE:7" for a place in another file than the origin's. */
#define REPORT_PLACE_SIZE 300
const char *report_place(const struct report *report, struct place target,
    struct place origin, char text[REPORT_PLACE_SIZE]);

#endif
