/*
 * shortage - what a worker can run out of.  One row a thing: the enum, the
 * word in status and logs, and what becomes of connections meanwhile.
 *
 * Runs in: worker (meets them), master and srvctl (show them).
 */
#ifndef SRVD_COMMON_SHORTAGE_H
#define SRVD_COMMON_SHORTAGE_H

/* clang-format off */
#define SHORTAGE_ROWS(X)                                                       \
	/* enum               word           meaning */                        \
	X(SHORT_DESCRIPTORS,  "descriptors", "new connections wait in the backlog") \
	X(SHORT_MEMORY,       "memory",      "new connections wait in the backlog") \
	X(SHORT_PIPES,        "pipes",       "bytes wait until others have moved on") \
	X(SHORT_PORTS,        "ports",       "clients go to another backend, or are reset") \
	X(SHORT_CONNECTIONS,  "connections", "max_connections is reached, new ones wait in the backlog")
/* clang-format on */

#define SHORTAGE_ENUM(name, word, meaning) name,
enum shortage {
	SHORTAGE_ROWS(SHORTAGE_ENUM) SHORTAGES
};
#undef SHORTAGE_ENUM

const char *shortage_word(enum shortage shortage);
/* What it means for connections. */
const char *shortage_meaning(enum shortage shortage);
/* The one with this word, or SHORTAGES. */
enum shortage shortage_find(const char *word);

#endif
