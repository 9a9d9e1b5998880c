/*
 * in_use - which rows of a plan connections use, and what is counted of them,
 * when another plan follows.
 *
 * Runs in: master, and the configuration's child, which has a copy of its
 * memory.
 */
#ifndef SRVD_MASTER_IN_USE_H
#define SRVD_MASTER_IN_USE_H

#include <stdbool.h>
#include <stdint.h>

struct master;
struct plan;

/* Do connections use a row?  arg is the master (config_request). */
bool in_use_service(const void *arg, uint32_t service);
bool in_use_backend(const void *arg, uint32_t backend);

/* Rows that are given to a name count from where they stand. */
void in_use_set_bases(struct master *m, const struct plan *from,
    const struct plan *to);

#endif
