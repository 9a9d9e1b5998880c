/*
 * cells - members of an answer as cells of a table.
 *
 * Runs in: srvctl.
 */
#ifndef SRVD_CTL_CELLS_H
#define SRVD_CTL_CELLS_H

#include <jansson.h>

#include "ctl/table.h"

void cell_text(struct table *table, const json_t *object, const char *key);
void cell_empty(struct table *table);
/* A number as it is: an id, a PID; 0 is "-". */
void cell_number(struct table *table, const json_t *object, const char *key);
/* How many; of something bad, more than none stands out. */
void cell_count(struct table *table, const json_t *object, const char *key);
void cell_bad_count(struct table *table, const json_t *object, const char *key);
void cell_bytes(struct table *table, const json_t *object, const char *key);
/* From milliseconds. */
void cell_age(struct table *table, const json_t *object, const char *key);
/* A state's word, as it is: good, bad, or in between. */
void cell_state(struct table *table, const json_t *object, const char *key,
    const char *good, const char *bad);

#endif
