/*
 * control_json - pieces of the control socket's answers.
 *
 * Runs in: master.  What is out of memory is NULL, which json_pack() and
 * control_row() pass on to the whole.
 */
#ifndef SRVD_MASTER_CONTROL_JSON_H
#define SRVD_MASTER_CONTROL_JSON_H

#include <jansson.h>
#include <stdint.h>

/* Varlink's integers are signed: the largest one stands for more. */
json_int_t control_number(uint64_t value);

/* Text as it is, or with '?' for what is not ASCII if it is not UTF-8: a path
 * may be any bytes. */
json_t *control_text(const char *text);

/* Take over row into the array *rows, which becomes NULL when memory lacks. */
void control_row(json_t **rows, json_t *row);

#endif
