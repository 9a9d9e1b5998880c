/*
 * logger - where the gateway's messages and its access log go; see logger.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/master/log_target.h"
#include "server/master/logger.h"

enum role {
	ROLE_MESSAGES,
	ROLE_ACCESS,
	ROLES
};

static struct {
	struct log_target targets[ROLES];
	struct log_target next[ROLES];
	bool is_next[ROLES]; /* next is to replace targets at the commit */
	bool to_stderr;
	uint64_t dropped;
} logger;

/* What a plan wants for a role. */
static uint32_t
wanted(const struct plan *plan, enum role role, const char **path)
{
	const struct plan_target *target =
	    role == ROLE_ACCESS ? &plan->log.access : &plan->log.messages;

	*path = plan_string(plan, target->path);
	if (role == ROLE_MESSAGES && logger.to_stderr)
		return TARGET_STDERR;
	return target->target;
}

static int
prepare_role(const struct plan *plan, enum role role, char *why,
    size_t why_size)
{
	const char *path;
	uint32_t number = wanted(plan, role, &path);
	int rc;

	if (log_target_is(&logger.targets[role], number, path))
		return 0;
	rc = log_target_open(&logger.next[role], number, path, why, why_size);
	logger.is_next[role] = rc == 0;
	return rc;
}

int
logger_prepare(const struct plan *plan, char *why, size_t why_size)
{
	int rc;

	logger_abort();
	rc = prepare_role(plan, ROLE_MESSAGES, why, why_size);
	if (rc == 0)
		rc = prepare_role(plan, ROLE_ACCESS, why, why_size);
	if (rc < 0)
		logger_abort();
	return rc;
}

void
logger_commit(void)
{
	for (unsigned role = 0; role < ROLES; role++) {
		if (!logger.is_next[role])
			continue;
		log_target_close(&logger.targets[role]);
		logger.targets[role] = logger.next[role];
		logger.is_next[role] = false;
	}
}

void
logger_abort(void)
{
	for (unsigned role = 0; role < ROLES; role++) {
		if (logger.is_next[role])
			log_target_close(&logger.next[role]);
		logger.is_next[role] = false;
	}
}

int
logger_open(const struct plan *plan, int to_stderr, char *why, size_t why_size)
{
	int rc;

	logger.to_stderr = to_stderr != 0;
	rc = logger_prepare(plan, why, why_size);
	if (rc == 0)
		logger_commit();
	return rc;
}

int
logger_reopen(char *why, size_t why_size)
{
	int first = 0;

	for (unsigned role = 0; role < ROLES; role++) {
		struct log_target *target = &logger.targets[role];
		int rc = log_target_reopen(target);

		if (rc == 0)
			continue;
		if (first == 0)
			(void)snprintf(why, why_size, "can't open %s again: %s",
			    target->path, strerror(-rc));
		log_error("can't open the log file again, going on with the "
			  "old one path=%s error=\"%s\"",
		    target->path, strerror(-rc));
		first = first == 0 ? rc : first;
	}
	return first;
}

void
logger_write(enum log_level level, const char *line)
{
	struct log_target *target = &logger.targets[ROLE_MESSAGES];
	char why[1];

	/* Before there is a plan. */
	if (target->kind == NULL &&
	    log_target_open(target, TARGET_STDERR, "", why, sizeof(why)) < 0)
		return;
	logger.dropped += log_target_write(target, level, line);
}

void
logger_write_worker(enum log_level level, uint32_t number, const char *line)
{
	char text[LOG_LINE_SIZE];

	(void)snprintf(text, sizeof(text), "%s worker=%u", line, number);
	logger_write(level, log_printable(text));
}

void
logger_access_write(const char *lines, size_t length)
{
	logger.dropped +=
	    log_target_write_lines(&logger.targets[ROLE_ACCESS], lines, length);
}

size_t
logger_access_written(const char *lines, size_t length)
{
	return log_target_written(&logger.targets[ROLE_ACCESS], lines, length);
}

bool
logger_is_stderr(void)
{
	const struct log_target *target = &logger.targets[ROLE_MESSAGES];

	return target->kind == NULL || target->fd == STDERR_FILENO;
}

uint64_t
logger_dropped(void)
{
	return logger.dropped;
}

void
logger_add_dropped(uint64_t lines)
{
	logger.dropped += lines;
}
