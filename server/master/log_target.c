/*
 * log_target - one place that lines go to; see log_target.h.
 *
 * A kind of target is one row of the table below.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server/master/log_end.h"
#include "server/master/log_target.h"

#define JOURNAL_PATH "/run/systemd/journal/socket"
#define SYSLOG_PATH  "/dev/log"

/* One line with what a target wants before it. */
#define TEXT_SIZE 4096

/* What is written at once to a regular file; others take PIPE_BUF bytes, whole
 * or not at all (pipe(7)). */
#define BATCH_SIZE (64u << 10)

struct log_kind {
	const char *name; /* what can't be opened; NULL: the path */
	int (*open)(const char *path);
	/* A line, with time and level (a message) or as it is. */
	int (*format)(const struct log_target *target, char *text,
	    enum log_level level, const char *line);
	bool is_datagram;
};

/* clang-format off */
static const int priorities[] = {
	[LEVEL_ERROR] = LOG_ERR,
	[LEVEL_WARN]  = LOG_WARNING,
	[LEVEL_INFO]  = LOG_INFO,
	[LEVEL_DEBUG] = LOG_DEBUG,
};
/* clang-format on */

/* Opening */

static int
open_stderr(const char *path)
{
	(void)path;
	return STDERR_FILENO;
}

static int
open_file(const char *path)
{
	int fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    0640);

	return fd < 0 ? -errno : fd;
}

static int
open_datagram(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int
open_journal(const char *path)
{
	(void)path;
	return open_datagram(JOURNAL_PATH);
}

static int
open_syslog(const char *path)
{
	(void)path;
	return open_datagram(SYSLOG_PATH);
}

/* Formats */

/* A time with milliseconds, as RFC 3339 writes it. */
static void
timestamp(char *text, size_t size)
{
	struct timespec ts;
	struct tm tm;
	char date[32];

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)gmtime_r(&ts.tv_sec, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, size, "%s.%03ldZ", date, ts.tv_nsec / 1000000);
}

static int
format_text(const struct log_target *target, char *text, enum log_level level,
    const char *line)
{
	char time[64];

	if (target->is_prefixed)
		return snprintf(text, TEXT_SIZE, "<%d>%s\n", priorities[level],
		    line);
	timestamp(time, sizeof(time));
	return snprintf(text, TEXT_SIZE, "%s %s %s\n", time,
	    log_level_word(level), line);
}

/* RFC 3164, as syslog(3) says it to the local daemon. */
static int
format_syslog(const struct log_target *target, char *text, enum log_level level,
    const char *line)
{
	time_t now = time(NULL);
	char date[32];
	struct tm tm;

	(void)target;
	(void)localtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm);
	return snprintf(text, TEXT_SIZE, "<%d>%s srvd[%d]: %s",
	    LOG_DAEMON | priorities[level], date, getpid(), line);
}

static int
format_journal(const struct log_target *target, char *text,
    enum log_level level, const char *line)
{
	(void)target;
	return snprintf(text, TEXT_SIZE,
	    "PRIORITY=%d\nSYSLOG_IDENTIFIER=srvd\nMESSAGE=%s\n",
	    priorities[level], line);
}

/* clang-format off */
static const struct log_kind kinds[] = {
	[TARGET_STDERR]  = { "standard error", open_stderr,  format_text,    false },
	[TARGET_JOURNAL] = { JOURNAL_PATH,     open_journal, format_journal, true },
	[TARGET_SYSLOG]  = { SYSLOG_PATH,      open_syslog,  format_syslog,  true },
	[TARGET_FILE]    = { NULL,             open_file,    format_text,    false },
};
/* clang-format on */

/* Is it the stream that systemd connected to the journal?  It says which in
 * the environment, where a shell may have sent the stream elsewhere since. */
static bool
is_journal_stream(const struct stat *st)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];

	(void)snprintf(own, sizeof(own), "%llu:%llu",
	    (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	return stream != NULL && strcmp(stream, own) == 0;
}

static void
look_at(struct log_target *target)
{
	struct stat st;

	target->is_regular = false;
	target->is_prefixed = false;
	target->is_torn = log_end_is_torn(target->fd);
	if (fstat(target->fd, &st) < 0)
		return;
	target->is_regular = S_ISREG(st.st_mode);
	target->is_prefixed =
	    target->kind == &kinds[TARGET_STDERR] && is_journal_stream(&st);
}

int
log_target_open(struct log_target *target, uint32_t number, const char *path,
    char *why, size_t why_size)
{
	const struct log_kind *kind = &kinds[number];
	char *copy = NULL;
	int fd;

	memset(target, 0, sizeof(*target));
	if (number == TARGET_OFF)
		return 0;
	if (number == TARGET_FILE)
		copy = strdup(path);
	fd = number == TARGET_FILE && copy == NULL ? -ENOMEM : kind->open(path);
	if (fd < 0) {
		(void)snprintf(why, why_size, "can't open the log %s: %s",
		    kind->name == NULL ? path : kind->name, strerror(-fd));
		free(copy);
		return fd;
	}
	*target = (struct log_target){.kind = kind, .path = copy, .fd = fd};
	look_at(target);
	return 0;
}

void
log_target_close(struct log_target *target)
{
	if (target->kind != NULL && target->fd != STDERR_FILENO)
		close(target->fd);
	free(target->path);
	memset(target, 0, sizeof(*target));
}

bool
log_target_is(const struct log_target *target, uint32_t number,
    const char *path)
{
	if (number == TARGET_OFF)
		return target->kind == NULL;
	return target->kind == &kinds[number] &&
	    (number != TARGET_FILE || strcmp(target->path, path) == 0);
}

/* Another descriptor in place of the one that is used up. */
static int
replace(struct log_target *target)
{
	int fd = target->kind->open(target->path);

	if (fd < 0)
		return fd;
	close(target->fd);
	target->fd = fd;
	look_at(target);
	return 0;
}

int
log_target_reopen(struct log_target *target)
{
	return target->path == NULL ? 0 : replace(target);
}

size_t
log_target_written(const struct log_target *target, const char *lines,
    size_t length)
{
	return target->kind == NULL
	    ? 0
	    : log_end_overlap(target->fd, lines, length);
}

/* Writing */

static uint32_t
count_lines(const char *lines, size_t length)
{
	uint32_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += lines[i] == '\n';
	return count;
}

/* Standard error may be a pipe that nobody reads, and is not ours to make
 * non-blocking; a ready one takes PIPE_BUF bytes at least (pipe(7)). */
static bool
is_ready(const struct log_target *target)
{
	struct pollfd poll_fd = {.fd = target->fd, .events = POLLOUT};

	return target->is_regular ||
	    (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0);
}

/* A line that was cut off ends before the next one begins. */
static void
mend(struct log_target *target)
{
	if (target->is_torn && write(target->fd, "\n", 1) == 1)
		target->is_torn = false;
}

/* Lines for a stream, few enough for it to take at once. */
static uint32_t
write_stream(struct log_target *target, const char *text, size_t length)
{
	ssize_t n;

	if (!is_ready(target))
		return count_lines(text, length);
	mend(target);
	n = write(target->fd, text, length);
	if (n == (ssize_t)length)
		return 0;
	if (n <= 0)
		return count_lines(text, length);
	/* The disk is full in the middle of a line. */
	target->is_torn = text[n - 1] != '\n';
	return count_lines(text + n, length - (size_t)n);
}

/* Was it the other end that went?  It may be back. */
static bool
is_restart(int error)
{
	return error == ECONNREFUSED || error == ENOTCONN ||
	    error == ECONNRESET || error == EPIPE || error == ENOENT;
}

static uint32_t
write_datagram(struct log_target *target, const char *text, size_t length)
{
	static const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	if (send(target->fd, text, length, flags) >= 0)
		return 0;
	if (!is_restart(errno) || replace(target) < 0)
		return 1;
	return send(target->fd, text, length, flags) < 0;
}

uint32_t
log_target_write(struct log_target *target, enum log_level level,
    const char *line)
{
	char text[TEXT_SIZE];
	int length;

	if (target->kind == NULL)
		return 0;
	length = target->kind->format(target, text, level, line);
	if (length >= (int)sizeof(text)) {
		length = (int)sizeof(text) - 1;
		text[length - 1] = '\n';
	}
	return target->kind->is_datagram
	    ? write_datagram(target, text, (size_t)length)
	    : write_stream(target, text, (size_t)length);
}

/* One message each; a line is cut at what fits. */
static uint32_t
write_datagrams(struct log_target *target, const char *lines, size_t length)
{
	const char *end = lines + length;
	uint32_t dropped = 0;

	while (lines < end) {
		const char *newline =
		    memchr(lines, '\n', (size_t)(end - lines));
		const char *stop = newline == NULL ? end : newline;
		char line[TEXT_SIZE / 2 + 1];

		(void)snprintf(line, sizeof(line), "%.*s", (int)(stop - lines),
		    lines);
		dropped += log_target_write(target, LEVEL_INFO, line);
		lines = stop + 1;
	}
	return dropped;
}

/* As many of the lines as a stream takes at once, each with its prefix, into
 * text; returns the length there, and in *used the length of these lines. */
static size_t
gather(const struct log_target *target, const char *lines, size_t length,
    char text[BATCH_SIZE], size_t *used)
{
	size_t limit = target->is_regular ? BATCH_SIZE : PIPE_BUF;
	size_t prefix = target->is_prefixed ? sizeof("<6>") - 1 : 0;
	size_t filled = 0;

	*used = 0;
	while (*used < length) {
		const char *line = lines + *used;
		const char *newline = memchr(line, '\n', length - *used);
		size_t bytes = newline == NULL ? length - *used
					       : (size_t)(newline + 1 - line);

		if (prefix + bytes > limit - filled)
			break;
		memcpy(text + filled, "<6>", prefix);
		memcpy(text + filled + prefix, line, bytes);
		filled += prefix + bytes;
		*used += bytes;
	}
	return filled;
}

static uint32_t
write_streams(struct log_target *target, const char *lines, size_t length)
{
	static char text[BATCH_SIZE];
	uint32_t dropped = 0;
	size_t used;

	while (length > 0) {
		size_t filled = gather(target, lines, length, text, &used);

		/* A line that is longer than any that a worker writes. */
		if (used == 0)
			return dropped + count_lines(lines, length);
		dropped += write_stream(target, text, filled);
		lines += used;
		length -= used;
	}
	return dropped;
}

uint32_t
log_target_write_lines(struct log_target *target, const char *lines,
    size_t length)
{
	if (target->kind == NULL)
		return 0;
	return target->kind->is_datagram
	    ? write_datagrams(target, lines, length)
	    : write_streams(target, lines, length);
}
