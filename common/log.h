/*
 * log - one line for a person: a level, a sentence, then key=value.
 *
 * Who writes the lines out is the process's choice: it gives log_open() a
 * sink.  A line is made printable here (control characters escaped), cut at
 * LOG_LINE_SIZE, and handed to the sink without a newline.
 *
 * Runs in: every process.  Blocks only if the sink does.
 */
#ifndef SRVD_COMMON_LOG_H
#define SRVD_COMMON_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"

#define LOG_LINE_SIZE 1024

enum log_level {
	LEVEL_ERROR,
	LEVEL_WARN,
	LEVEL_INFO,
	LEVEL_DEBUG
};

typedef void log_sink_fn(enum log_level level, const char *line);

/* Until log_open is called lines of all levels but debug go to stderr. */
void log_open(log_sink_fn *sink, enum log_level level);
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

void log_error(const char *format, ...) printf_like(1, 2);
void log_warn(const char *format, ...) printf_like(1, 2);
void log_info(const char *format, ...) printf_like(1, 2);
void log_debug(const char *format, ...) printf_like(1, 2);

/* "error", "warn", "info", "debug"; -EINVAL for other words. */
must_check int log_level_parse(const char *word);
const char *log_level_word(enum log_level level);

/* Replace what is not printable in text, or is not UTF-8, by '?', in place;
 * returns text.  systemd and its journal don't show a line that was cut within a
 * character. */
char *log_printable(char *text);

#endif
