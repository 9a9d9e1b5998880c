/*
 * canon - the configuration as plain text for libconfuse.
 *
 * One setting or value a line, values in single quotes (where libconfuse
 * replaces nothing), no comments, no includes, nothing given twice.  Each
 * line remembers the place that it was written at, which is how a line number
 * of libconfuse's leads back to a file.
 *
 * Values that are not for the plan, since what they stand in is wrong, are kept
 * aside: what is wrong with them is to be said, too.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_CANON_H
#define SRVD_CONFIG_CANON_H

#include "server/config/key.h"
#include "server/config/memory.h"
#include "server/config/report.h"

struct canon_aside {
	const struct section *section;
	const struct key *key;
	struct place place;
	char *value;
};

struct canon {
	struct bytes text;
	struct place *places; /* of line 1, 2, … */
	uint32_t lines;
	struct canon_aside *asides;
	uint32_t asides_count;
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

/* A value of the section's key that is only to be checked. */
void canon_keep_aside(struct canon *canon, const struct section *section,
    const struct key *key, struct place place, const char *value);

/* The place of a line, counted from 1; that of the file for any other. */
struct place canon_place(const struct canon *canon, int line);

#endif
