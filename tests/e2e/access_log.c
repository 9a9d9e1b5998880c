/*
 * access_log - a gateway's access log, read back; see access_log.h.
 */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_log.h"
#include "harness.h"

#define FIELDS 13

/* Check writes each assertion that holds into a file, tens of gigabytes where a
 * log is read again and again: of lines and fields it only hears what fails. */
#define WANT(holds, ...)                           \
	do {                                       \
		if (!(holds))                      \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* The whole file, NUL-terminated; the caller frees it. */
static char *
read_all(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = {.st_size = 0};
	size_t length = 0;
	char *text;
	ssize_t n;

	ck_assert_msg(fd >= 0 && fstat(fd, &st) == 0, "can't read %s", path);
	text = malloc((size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	while (length < (size_t)st.st_size &&
	    (n = read(fd, text + length, (size_t)st.st_size - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(fd);
	return text;
}

static size_t
count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static void
take_text(const char *value, char *member, size_t size, const char *line)
{
	WANT(*value != '\0' && strlen(value) < size,
	    "a field of no or too great length: %s", line);
	snprintf(member, size, "%s", value);
}

static uint64_t
take_number(const char *value, const char *line)
{
	char *end;
	uint64_t number = strtoull(value, &end, 10);

	WANT(*value >= '0' && *value <= '9' && *end == '\0', "not a number: %s",
	    line);
	return number;
}

/* With one decimal. */
static double
take_ms(const char *value, const char *line)
{
	const char *point = strchr(value, '.');
	char *end;
	double ms;

	if (strcmp(value, "-") == 0)
		return -1;
	ms = strtod(value, &end);
	WANT(point != NULL && strlen(point) == 2 && *end == '\0' && ms >= 0,
	    "not a duration: %s", line);
	return ms;
}

/* Cut a line at its blanks, and each key off its field. */
static void
split(char *copy, const char *line, char *fields[FIELDS])
{
	static const char *const keys[FIELDS] = {"",
	    "id=", "service=", "backend=", "client=", "local=", "source=",
	    "server=", "up=", "down=", "connect_ms=", "total_ms=", "reason="};
	char *rest = copy;

	for (size_t i = 0; i < FIELDS; i++) {
		char *field = strsep(&rest, " ");
		size_t length = strlen(keys[i]);

		WANT(field != NULL && strncmp(field, keys[i], length) == 0,
		    "no %s in its place: %s", keys[i], line);
		fields[i] = field + length;
	}
	WANT(rest == NULL, "more than there should be: %s", line);
}

static void
check_time(const char *time, const char *line)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	bool fits = strlen(time) == strlen(shape);

	for (size_t i = 0; fits && shape[i] != '\0'; i++)
		fits = shape[i] == 'd' ? time[i] >= '0' && time[i] <= '9'
				       : time[i] == shape[i];
	WANT(fits, "not a time: %s", line);
}

static void
parse_line(struct access_entry *entry, const char *line)
{
	char copy[2048];
	char *f[FIELDS];

	WANT(strlen(line) < sizeof copy, "too long: %s", line);
	snprintf(copy, sizeof copy, "%s", line);
	split(copy, line, f);
	check_time(f[0], line);
	take_text(f[0], entry->time, sizeof entry->time, line);
	entry->id = take_number(f[1], line);
	take_text(f[2], entry->service, sizeof entry->service, line);
	take_text(f[3], entry->backend, sizeof entry->backend, line);
	take_text(f[4], entry->client, sizeof entry->client, line);
	take_text(f[5], entry->local, sizeof entry->local, line);
	take_text(f[6], entry->source, sizeof entry->source, line);
	take_text(f[7], entry->server, sizeof entry->server, line);
	entry->up = take_number(f[8], line);
	entry->down = take_number(f[9], line);
	entry->connect_ms = take_ms(f[10], line);
	entry->total_ms = take_ms(f[11], line);
	take_text(f[12], entry->reason, sizeof entry->reason, line);
}

void
access_log_parse(struct access_log *log, const char *text)
{
	char *copy = strdup(text);
	char *rest = copy;

	log->count = count_lines(text);
	log->entries = calloc(log->count + 1, sizeof *log->entries);
	ck_assert(copy != NULL && log->entries != NULL);
	for (size_t i = 0; i < log->count; i++)
		parse_line(&log->entries[i], strsep(&rest, "\n"));
	ck_assert_msg(*rest == '\0', "the last line has no end: %s", rest);
	free(copy);
}

void
access_log_read(struct access_log *log, const char *path, size_t lines)
{
	uint64_t end = e2e_now_ms() + 5000;
	char *text = read_all(path);

	while (count_lines(text) < lines && e2e_now_ms() < end) {
		free(text);
		e2e_pause(5);
		text = read_all(path);
	}
	access_log_parse(log, text);
	free(text);
}

void
access_log_free(struct access_log *log)
{
	free(log->entries);
	memset(log, 0, sizeof *log);
}

size_t
access_log_count(const struct access_log *log, const char *service,
    const char *reason)
{
	size_t count = 0;

	for (size_t i = 0; i < log->count; i++) {
		const struct access_entry *entry = &log->entries[i];

		count += strcmp(entry->service, service) == 0 &&
		    (reason == NULL || strcmp(entry->reason, reason) == 0);
	}
	return count;
}

const struct access_entry *
access_log_find(const struct access_log *log, const char *service,
    const char *client)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct access_entry *entry = &log->entries[i];

		if (strcmp(entry->service, service) == 0 &&
		    strcmp(entry->client, client) == 0)
			return entry;
	}
	ck_abort_msg("no line of %s with client=%s", service, client);
}

static int
compare_ids(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a;
	uint64_t second = *(const uint64_t *)b;

	return first < second ? -1 : first > second;
}

void
access_log_expect_unique(const struct access_log *log)
{
	uint64_t *ids = calloc(log->count + 1, sizeof *ids);

	ck_assert_ptr_nonnull(ids);
	for (size_t i = 0; i < log->count; i++)
		ids[i] = log->entries[i].id;
	qsort(ids, log->count, sizeof *ids, compare_ids);
	for (size_t i = 1; i < log->count; i++)
		WANT(ids[i] != ids[i - 1], "id %llu stands there twice",
		    (unsigned long long)ids[i]);
	free(ids);
}

void
access_log_expect(const char *path, size_t lines)
{
	struct access_log log;

	access_log_read(&log, path, lines);
	ck_assert_msg(log.count == lines, "%zu lines of %zu connections",
	    log.count, lines);
	access_log_expect_unique(&log);
	access_log_free(&log);
}
