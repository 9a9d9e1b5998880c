/*
 * hostile - a worker that somebody else has taken over; hostile.c.
 */
#ifndef SRVD_TESTS_HOSTILE_H
#define SRVD_TESTS_HOSTILE_H

#include "server/state/body.h"

#define HOSTILE_TRUNCATE 0
#define HOSTILE_SCRIBBLE 1
#define HOSTILE_FLOOD    2
#define HOSTILE_CRASH    3
#define HOSTILE_SHUT     4
#define HOSTILE_DEAF     5

/* A worker_main_fn. */
int hostile_main(struct body *body, const struct board *board,
    struct board_row *row);

#endif
