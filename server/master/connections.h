/*
 * connections - the live connections of all bodies, for who lists them.
 *
 * Runs in: master.  Never blocks.  Knows bodies and slots; who asks sees
 * views.  Workers write the slots: each is copied, and the copy is checked;
 * one that is damaged is no connection.
 */
#ifndef SRVD_MASTER_CONNECTIONS_H
#define SRVD_MASTER_CONNECTIONS_H

#include <stdint.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/state/filter.h"

struct master;

/* Where a list has got to; zero is its beginning.  It stays valid whatever
 * becomes of bodies and plan meanwhile: a connection that is there from the
 * list's beginning to its end is met once. */
struct connections_cursor {
	uint32_t body;
	uint32_t slot;
};

/* One row a flag: the bit's name, its word, and what it says. */
/* clang-format off */
#define CONNECTION_FLAGS(X)                                                    \
	X(CONNECTION_CLIENT_ENDED,  "client_ended",  "the client sends no more")   \
	X(CONNECTION_BACKEND_ENDED, "backend_ended", "the backend sends no more")  \
	X(CONNECTION_WAITING,       "waiting",       "bytes or the dial wait")     \
	X(CONNECTION_BACKUP,        "backup",        "its backend is a backup")    \
	X(CONNECTION_REMOVED,       "removed",       "its service or backend left")
/* clang-format on */

#define CONNECTION_FLAG(name, word, meaning) name,
enum connection_flag {
	CONNECTION_FLAGS(CONNECTION_FLAG) CONNECTION_FLAGS_COUNT
};
#undef CONNECTION_FLAG

/* What may be known of a connection.  Names live as long as the plan. */
struct connection {
	uint64_t id;
	const char *service;
	const char *backend; /* "": none yet */
	const char *state;
	uint32_t worker;
	uint32_t flags; /* bit n: enum connection_flag n */
	char client[ADDR_TEXT_SIZE];
	char local[ADDR_TEXT_SIZE];
	char source[ADDR_TEXT_SIZE]; /* "": there is no backend's side yet */
	char server[ADDR_TEXT_SIZE];
	uint64_t bytes_up;
	uint64_t bytes_down;
	uint64_t age_ms;
	uint64_t idle_ms;
};

const char *connection_flag_word(uint32_t flag);

/*
 * The next connection that filter matches: 1 with *connection, 0 at the end,
 * or -EAGAIN when *budget slots have been looked at, which it counts down.
 */
must_check int connections_next(const struct master *m,
    struct connections_cursor *cursor, const struct filter *filter,
    uint32_t *budget, struct connection *connection);

#endif
