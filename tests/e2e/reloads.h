/*
 * reloads - a gateway that is told to read its configuration again, and what
 * is seen of it from outside before and after.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_RELOADS_H
#define SRVD_TESTS_RELOADS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "gateway.h"

/* Longer than reading, preparing and following may take together. */
#define RELOAD_TIMEOUT_MS 45000

/* Reload by the control socket and hear the whole reply, which the caller
 * releases. */
json_t *reload_ask(const struct gateway *g, bool dry_run);
/* The same in two steps, for who has something to do between them. */
void reload_send(const struct gateway *g, struct client *client, bool dry_run);
/* NULL: not yet answered after timeout_ms.  Closes the client otherwise. */
json_t *reload_receive(struct client *client, int timeout_ms);

/* Was it done?  One that was not must have been refused in order. */
bool reload_is_done(const json_t *reply);
/* It was done, and another generation is in force. */
void reload_expect_done(const struct gateway *g);
/* The same; the reply's parameters, which the caller releases. */
json_t *reload_expect_changes(const struct gateway *g);
/*
 * It is refused, with an error of this name ("ReloadFailed") whose parameters
 * have words in a message, and nothing that can be seen has changed.
 */
void reload_expect_refused(const struct gateway *g, const char *error,
    const char *words);

/* Wait for a generation after this one. */
void reload_expect_newer(const struct gateway *g, int64_t generation);

/* The number of changes of this kind ("added") to such objects ("service"). */
unsigned reload_count(const json_t *parameters, const char *kind,
    const char *object);

/*
 * All that a refused reload must leave as it was, as text that the caller
 * frees: generation, workers, listeners, services, backends, the files in the
 * test's directory, the sockets and memory files of master and holders.  Two
 * of them can be compared while no connection is made or ended.
 */
char *reload_picture(const struct gateway *g);
/* Nothing of the picture has changed; frees it. */
void reload_expect_picture(const struct gateway *g, char *picture);

#endif
