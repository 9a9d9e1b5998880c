/*
 * logger - where the gateway's log goes; see logger.h.
 *
 * A target is one row of the table below.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server/master/logger.h"

#define JOURNAL_PATH "/run/systemd/journal/socket"
#define SYSLOG_PATH  "/dev/log"
#define TEXT_SIZE    (LOG_LINE_SIZE + 128)

struct target {
	int (*open)(const char *path);
	int (*format)(char *text, size_t size, enum log_level level,
	    const char *line);
};

static struct {
	const struct target *target;
	char *path;
	int fd;
	int is_prefixed; /* stderr is the journal's: it reads <N> */
	uint64_t dropped;
} logger = {.fd = STDERR_FILENO};

/* clang-format off */
static const int priorities[] = {
	[LEVEL_ERROR] = LOG_ERR,
	[LEVEL_WARN]  = LOG_WARNING,
	[LEVEL_INFO]  = LOG_INFO,
	[LEVEL_DEBUG] = LOG_DEBUG,
};
/* clang-format on */

static int
open_stderr(const char *path)
{
	(void)path;
	logger.is_prefixed = getenv("JOURNAL_STREAM") != NULL;
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
format_text(char *text, size_t size, enum log_level level, const char *line)
{
	char time[64];

	if (logger.is_prefixed)
		return snprintf(text, size, "<%d>%s\n", priorities[level],
		    line);
	timestamp(time, sizeof(time));
	return snprintf(text, size, "%s %s %s\n", time, log_level_word(level),
	    line);
}

static int
format_syslog(char *text, size_t size, enum log_level level, const char *line)
{
	return snprintf(text, size, "<%d>srvd[%d]: %s",
	    LOG_DAEMON | priorities[level], getpid(), line);
}

static int
format_journal(char *text, size_t size, enum log_level level, const char *line)
{
	return snprintf(text, size,
	    "PRIORITY=%d\nSYSLOG_IDENTIFIER=srvd\nMESSAGE=%s\n",
	    priorities[level], line);
}

/* clang-format off */
static const struct target targets[] = {
	[TARGET_STDERR]  = { open_stderr,  format_text },
	[TARGET_JOURNAL] = { open_journal, format_journal },
	[TARGET_SYSLOG]  = { open_syslog,  format_syslog },
	[TARGET_FILE]    = { open_file,    format_text },
};
/* clang-format on */

int
logger_open(const struct plan *plan, int to_stderr, char *why, size_t why_size)
{
	uint32_t number = to_stderr ? TARGET_STDERR : plan->log.messages.target;
	const char *path = plan_string(plan, plan->log.messages.path);
	int fd = targets[number].open(path);

	if (fd < 0) {
		(void)snprintf(why, why_size, "can't open the log %s: %s",
		    number == TARGET_FILE         ? path
			: number == TARGET_SYSLOG ? SYSLOG_PATH
						  : JOURNAL_PATH,
		    strerror(-fd));
		return fd;
	}
	logger.target = &targets[number];
	free(logger.path);
	logger.path = strdup(path);
	logger.fd = fd;
	return 0;
}

void
logger_reopen(void)
{
	int fd;

	if (logger.target != &targets[TARGET_FILE] || logger.path == NULL)
		return;
	fd = open_file(logger.path);
	if (fd < 0) {
		log_error("can't open the log file again, going on with the "
			  "old one path=%s error=\"%s\"",
		    logger.path, strerror(-fd));
		return;
	}
	close(logger.fd);
	logger.fd = fd;
}

/* Standard error may be a pipe that nobody reads, and is not ours to make
 * non-blocking; a ready one takes PIPE_BUF bytes at least (pipe(7)). */
static int
can_write(void)
{
	struct pollfd poll_fd = {.fd = logger.fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
}

void
logger_write(enum log_level level, const char *line)
{
	const struct target *target =
	    logger.target == NULL ? &targets[TARGET_STDERR] : logger.target;
	char text[TEXT_SIZE];
	int length = target->format(text, sizeof(text), level, line);

	if (length >= (int)sizeof(text))
		length = (int)sizeof(text) - 1;
	if (!can_write() || write(logger.fd, text, (size_t)length) != length)
		logger.dropped++;
}

void
logger_write_worker(enum log_level level, uint32_t number, const char *line)
{
	char text[LOG_LINE_SIZE];

	(void)snprintf(text, sizeof(text), "%s worker=%u", line, number);
	logger_write(level, log_printable(text));
}

bool
logger_is_stderr(void)
{
	return logger.fd == STDERR_FILENO;
}

uint64_t
logger_dropped(void)
{
	return logger.dropped;
}
