/*
 * source - a configuration file's text, read without trust; see source.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/utf8.h"
#include "server/config/memory.h"
#include "server/config/source.h"

static int
open_regular(const char *path, struct stat *st, char *why, size_t why_size)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0) {
		(void)snprintf(why, why_size, "the file can't be read: %s",
		    strerror(errno));
	} else if (S_ISDIR(st->st_mode)) {
		(void)snprintf(why, why_size,
		    "this is a directory: name a file in it");
	} else if (!S_ISREG(st->st_mode)) {
		(void)snprintf(why, why_size, "this is not a regular file");
	} else if (st->st_size > (off_t)SOURCE_SIZE_MAX) {
		(void)snprintf(why, why_size,
		    "the file is too large: at most %zu MiB",
		    SOURCE_SIZE_MAX >> 20);
	} else {
		return fd;
	}
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* The file may grow while it is read: its size is only a first guess. */
static int
read_all(int fd, struct source *source, char *why, size_t why_size)
{
	size_t room = 4096;
	ssize_t got;

	do {
		if (source->length == room)
			room *= 2;
		source->text = memory_resize(source->text, room + 1);
		got = read(fd, source->text + source->length,
		    room - source->length);
		if (got > 0)
			source->length += (size_t)got;
	} while ((got > 0 && source->length <= SOURCE_SIZE_MAX) ||
	    (got < 0 && errno == EINTR));
	source->text[source->length] = '\0';
	if (got < 0) {
		(void)snprintf(why, why_size, "the file can't be read: %s",
		    strerror(errno));
		return -1;
	}
	if (source->length > SOURCE_SIZE_MAX) {
		(void)snprintf(why, why_size, "the file is too large");
		return -1;
	}
	return 0;
}

static int
check_text(const struct source *source, uint32_t *line, char *why,
    size_t why_size)
{
	const unsigned char *p = (const unsigned char *)source->text;
	const unsigned char *end = p + source->length;
	size_t length;

	*line = 1;
	if (strncmp(source->text, "\xef\xbb\xbf", 3) == 0) {
		(void)snprintf(why, why_size,
		    "the file begins with a byte order mark: save it as UTF-8 "
		    "without one");
		return -1;
	}
	for (; p < end; p += length) {
		length = utf8_length(p);
		if (length == 0 || *p == '\0') {
			(void)snprintf(why, why_size,
			    length == 0 ? "this line is not UTF-8 text"
					: "this line holds a NUL byte");
			return -1;
		}
		*line += *p == '\n';
	}
	return 0;
}

int
source_read(const char *path, struct source *source, uint32_t *line, char *why,
    size_t why_size)
{
	struct stat st;
	int fd = open_regular(path, &st, why, why_size);
	int error;

	memset(source, 0, sizeof(*source));
	*line = 0;
	if (fd < 0)
		return -1;
	source->device = st.st_dev;
	source->inode = st.st_ino;
	error = read_all(fd, source, why, why_size);
	(void)close(fd);
	if (error == 0)
		error = check_text(source, line, why, why_size);
	if (error < 0)
		source_free(source);
	return error;
}

void
source_free(struct source *source)
{
	memory_free(source->text);
	source->text = NULL;
}
