/*
 * log - one line for a person; see log.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/utf8.h"

static const char *const words[] = {"error", "warn", "info", "debug"};

static void
sink_stderr(enum log_level level, const char *line)
{
	fprintf(stderr, "srvd: %s: %s\n", words[level], line);
}

static log_sink_fn *current_sink = sink_stderr;
static enum log_level current_level = LEVEL_INFO;

void
log_open(log_sink_fn *sink, enum log_level level)
{
	current_sink = sink;
	current_level = level;
}

void
log_set_level(enum log_level level)
{
	current_level = level;
}

bool
log_wants(enum log_level level)
{
	return level <= current_level;
}

int
log_level_parse(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}

const char *
log_level_word(enum log_level level)
{
	return (size_t)level < ARRAY_LEN(words) ? words[level] : "error";
}

static bool
is_control(const unsigned char *p)
{
	/* U+0080 to U+009F are controls, too. */
	return *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

char *
log_printable(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p != '\0') {
		size_t length = utf8_length(p);
		bool is_good = length > 0 && !is_control(p);

		if (length == 0)
			length = 1;
		if (!is_good)
			memset(p, '?', length);
		p += length;
	}
	return text;
}

printf_like(2, 0) static void log_line(enum log_level level, const char *format,
    va_list args)
{
	char line[LOG_LINE_SIZE];
	int saved_errno = errno;

	if (!log_wants(level))
		return;
	(void)vsnprintf(line, sizeof(line), format, args);
	current_sink(level, log_printable(line));
	errno = saved_errno;
}

#define LOG_FUNCTION(name, level)              \
	void name(const char *format, ...)     \
	{                                      \
		va_list args;                  \
                                               \
		va_start(args, format);        \
		log_line(level, format, args); \
		va_end(args);                  \
	}

LOG_FUNCTION(log_error, LEVEL_ERROR)
LOG_FUNCTION(log_warn, LEVEL_WARN)
LOG_FUNCTION(log_info, LEVEL_INFO)
LOG_FUNCTION(log_debug, LEVEL_DEBUG)
