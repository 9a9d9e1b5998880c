/*
 * canon - the configuration as plain text for libconfuse.
 *
 * One setting or value a line, values in single quotes (where libconfuse
 * replaces nothing), no comments, no includes, nothing given twice.  Each
 * line remembers the place that it was written at, which is how a line number
 * of libconfuse's leads back to a file.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_CANON_H
#define SRVD_CONFIG_CANON_H

#include "server/config/memory.h"
#include "server/config/report.h"

struct canon {
	struct bytes text;
	struct place *places; /* of line 1, 2, … */
	uint32_t lines;
};

/* Each ends a line. */
void canon_setting(struct canon *canon, struct place place, const char *name,
    const char *value);
void canon_list_begin(struct canon *canon, struct place place,
    const char *name);
void canon_list_value(struct canon *canon, struct place place, bool first,
    const char *value);
void canon_section_begin(struct canon *canon, struct place place,
    const char *name, const char *title);
void canon_end(struct canon *canon, struct place place);

/* The place of a line, counted from 1; that of the file for any other. */
struct place canon_place(const struct canon *canon, int line);

#endif
