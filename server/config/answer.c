/*
 * answer - what the configuration's child tells its parent; see answer.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "server/config/answer.h"
#include "server/config/memory.h"

#define ANSWER_MAGIC 0x61767273u /* "srva" */

struct answer_head {
	uint32_t magic;
	uint32_t errors;
};

struct answer_error {
	uint32_t line;
	uint32_t file_length;
	uint32_t message_length;
};

/* One more than the child sends findings: it says how many it left out. */
#define ANSWER_ERRORS_MAX (REPORT_FINDINGS_MAX + 1)

static void
add_error(struct bytes *bytes, const char *file, uint32_t line,
    const char *message)
{
	struct answer_error error = {
	    .line = line,
	    .file_length = (uint32_t)strnlen(file, PATH_MAX),
	    .message_length = (uint32_t)strlen(message),
	};

	bytes_add(bytes, &error, sizeof(error));
	bytes_add(bytes, file, error.file_length);
	bytes_add(bytes, message, error.message_length);
}

static int
write_all(int fd, const char *bytes, size_t length)
{
	ssize_t n;

	for (; length > 0; bytes += n, length -= (size_t)n) {
		n = write(fd, bytes, length);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

int
answer_write(int fd, const struct report *report)
{
	const uint32_t end = ANSWER_MAGIC;
	const bool dropped = report->dropped > 0;
	struct answer_head head = {
	    ANSWER_MAGIC, report->findings_count + dropped};
	struct bytes bytes = {0};
	char more[64];

	bytes_add(&bytes, &head, sizeof(head));
	for (uint32_t i = 0; i < report->findings_count; i++) {
		const struct finding *finding = &report->findings[i];

		add_error(&bytes, report->files[finding->place.file],
		    finding->place.line, finding->message);
	}
	if (dropped) {
		(void)snprintf(more, sizeof(more),
		    "too many errors: at least %u more are not shown",
		    report->dropped);
		add_error(&bytes, report->files[0], 0, more);
	}
	bytes_add(&bytes, &end, sizeof(end));
	return write_all(fd, bytes.data, bytes.length);
}

int
answer_add_error(struct config_result *result, const char *file, uint32_t line,
    const char *message)
{
	size_t size = (result->errors_count + 1) * sizeof(*result->errors);
	struct config_error *errors = realloc(result->errors, size);
	struct config_error *error;

	if (errors == NULL)
		return -ENOMEM;
	result->errors = errors;
	error = &errors[result->errors_count];
	error->file = strdup(file);
	error->line = line;
	error->message = strdup(message);
	if (error->file == NULL || error->message == NULL) {
		free(error->file);
		free(error->message);
		return -ENOMEM;
	}
	(void)log_printable(error->file);
	(void)log_printable(error->message);
	result->errors_count++;
	return 0;
}

/* What is left of an answer that is being read. */
struct rest {
	const char *bytes;
	size_t length;
};

/* False if there are not so many bytes. */
static bool
take(struct rest *rest, void *to, size_t length)
{
	if (rest->length < length)
		return false;
	memcpy(to, rest->bytes, length);
	rest->bytes += length;
	rest->length -= length;
	return true;
}

static int
read_error(struct rest *rest, struct config_result *result)
{
	struct answer_error error;
	char file[PATH_MAX + 1];
	char message[REPORT_MESSAGE_SIZE];

	if (!take(rest, &error, sizeof(error)) ||
	    error.file_length >= sizeof(file) ||
	    error.message_length >= sizeof(message) ||
	    !take(rest, file, error.file_length) ||
	    !take(rest, message, error.message_length))
		return -EBADMSG;
	file[error.file_length] = '\0';
	message[error.message_length] = '\0';
	return answer_add_error(result, file, error.line, message);
}

int
answer_read(const char *bytes, size_t length, struct config_result *result)
{
	struct rest rest = {bytes, length};
	struct answer_head head;
	uint32_t end = 0;
	int error = 0;

	if (!take(&rest, &head, sizeof(head)) || head.magic != ANSWER_MAGIC ||
	    head.errors > ANSWER_ERRORS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < head.errors && error == 0; i++)
		error = read_error(&rest, result);
	if (error == 0 &&
	    (!take(&rest, &end, sizeof(end)) || end != ANSWER_MAGIC ||
		rest.length != 0))
		error = -EBADMSG;
	return error;
}
