/*
 * upgrades - a gateway that is told to let another program take its place.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_UPGRADES_H
#define SRVD_TESTS_UPGRADES_H

#include <jansson.h>

#include "client.h"
#include "gateway.h"

/* What NEXT_PROGRAM calls itself. */
#define UPGRADE_NEXT "9.9.9"

/* Longer than check and hand-over may take together. */
#define UPGRADE_TIMEOUT_MS 45000

/* Ask; program NULL: the one it was started from. */
void upgrade_send(const struct gateway *g, struct client *client,
    const char *program);
/* The whole reply, which the caller releases; closes the client. */
json_t *upgrade_receive(struct client *client);

/* The program that is tested, by the path that the kernel knows. */
const char *upgrade_this_program(void);

/* Ask for it, and it is done, from this version to that. */
void upgrade_expect_done(const struct gateway *g, const char *program,
    const char *from, const char *to);
/* It was done, from this version to that; the reply is released. */
void upgrade_expect_reply(json_t *reply, const char *from, const char *to);
/* Every process of the gateway runs this program, and there are as many as
 * there should be.  Only root can see that. */
void upgrade_expect_program(const struct gateway *g, const char *program);

/* Is reply the refusal of this stage, with words in its message? */
void upgrade_check_refused(const json_t *reply, const char *stage,
    const char *words);
/* Ask for it, and it is refused, and nothing that can be seen has changed. */
void upgrade_expect_refused(const struct gateway *g, const char *program,
    const char *stage, const char *words);

/* Put a copy of the file there, of this mode. */
void upgrade_copy(const char *from, const char *to, unsigned mode);

#endif
