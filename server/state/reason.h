/*
 * reason - why a connection ended.  One row a reason: the enum, the word in
 * logs and status, and what it means come from here.
 *
 * Runs in: worker (sets it), master (shows it).
 */
#ifndef SRVD_STATE_REASON_H
#define SRVD_STATE_REASON_H

#include <stdint.h>

/* clang-format off */
#define CLOSE_REASONS(X)                                                       \
	/* enum             word            meaning */                         \
	X(REASON_NONE,      "none",         "it has not ended")                \
	X(REASON_DONE,      "done",         "both sides ended cleanly")        \
	X(REASON_RESET,     "reset",        "one side was reset")              \
	X(REASON_REFUSED,   "refused",      "no backend could be reached")     \
	X(REASON_IDLE,      "idle",         "idle_timeout ran out")            \
	X(REASON_HALF_CLOSED, "half-closed", "half_closed_timeout ran out")    \
	X(REASON_STOP,      "stop",         "the gateway stopped")             \
	X(REASON_REMOVED,   "removed",      "its service or backend left the configuration") \
	X(REASON_CLOSED,    "closed",       "srvctl close, or another client of the control socket") \
	X(REASON_CULPRIT,   "culprit",      "its worker crashed on it")        \
	X(REASON_WATCHDOG,  "watchdog",     "its worker hung on it")           \
	X(REASON_DAMAGED,   "damaged",      "its slot was damaged")            \
	X(REASON_ERROR,     "error",        "a system call failed on it")
/* clang-format on */

#define REASON_ENUM(name, word, meaning) name,
enum close_reason {
	CLOSE_REASONS(REASON_ENUM) REASON_COUNT
};
#undef REASON_ENUM

/* The reason's word; "none" for a number that is no reason. */
const char *reason_word(uint32_t reason);

#endif
