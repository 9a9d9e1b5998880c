/*
 * scan_state - what the two halves of the scan share; see scan.h.
 *
 * scan.c knows statements and sections, scan_value.c values and lists.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_SCAN_STATE_H
#define SRVD_CONFIG_SCAN_STATE_H

#include "server/config/canon.h"
#include "server/config/files.h"
#include "server/config/key.h"
#include "server/config/lex.h"

#define NAME_BYTES_MAX 63
#define BODIES_MAX     4

/* A section that is being scanned, from its { to its }. */
struct body {
	const struct section *section;
	struct place place;
	char label[NAME_BYTES_MAX + 20]; /* for messages */
	bool muted;                      /* not passed on */
	/* Where its keys were given, then its sections; line 0: nowhere. */
	struct place seen[SECTION_ITEMS_MAX];
	void *titles; /* tree of the names of its sections */
};

struct scan {
	struct report *report;
	struct canon *canon;
	struct files files;
	struct lex *lex; /* of the file on top */
	struct body bodies[BODIES_MAX];
	unsigned depth; /* of the body that is being scanned */
	uint32_t counts[SECTIONS_COUNT];
};

struct body *scan_body(struct scan *scan);

/* The token to be handled, the one after it, and on to that. */
const struct token *scan_now(const struct scan *scan);
const struct token *scan_next(const struct scan *scan);
void scan_advance(struct scan *scan);

/* Behind a name that is not acted on: skip its value or section. */
void scan_skip_content(struct scan *scan);
/* Skip what is left of a statement that makes no sense. */
void scan_skip_statement(struct scan *scan);

/* Behind the = of a key that was named at place. */
void scan_value(struct scan *scan, const struct key *key, struct place place,
    bool muted);

#endif
