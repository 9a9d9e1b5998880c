/*
 * type - how the values of keys are read and written.
 *
 * Runs in: as key.h.
 */
#ifndef SRVD_CONFIG_TYPE_H
#define SRVD_CONFIG_TYPE_H

#include "server/config/key.h"

/* The member that each sets is named behind it. */
extern const struct key_type type_number;         /* uint32_t */
extern const struct key_type type_number_or_auto; /* uint32_t; auto is 0 */
extern const struct key_type type_duration;       /* uint64_t, ms */
extern const struct key_type type_switch;         /* uint8_t */
extern const struct key_type type_mode;           /* uint32_t */
extern const struct key_type type_choice;         /* uint32_t, an enum */
extern const struct key_type type_name;           /* uint32_t, a string */
extern const struct key_type type_socket_path;    /* uint32_t, a string */
extern const struct key_type type_owner;          /* struct plan_id, a user */
extern const struct key_type type_group;          /* struct plan_id */
extern const struct key_type type_log_target;     /* struct plan_target */
extern const struct key_type type_access_target;  /* struct plan_target */
extern const struct key_type type_listen;         /* struct plan_service */
extern const struct key_type type_address;        /* struct plan_backend */

#endif
