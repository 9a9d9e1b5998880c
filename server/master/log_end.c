/*
 * log_end - what the file of a log ends with; see log_end.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/master/log_end.h"

/* Its last bytes, size at most.  Returns how many there are. */
static size_t
read_end(int fd, char *text, size_t size)
{
	char path[64];
	struct stat st;
	ssize_t n = 0;
	off_t at;
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (own < 0)
		return 0;
	at = st.st_size > (off_t)size ? st.st_size - (off_t)size : 0;
	n = pread(own, text, size, at);
	close(own);
	return n < 0 ? 0 : (size_t)n;
}

bool
log_end_is_torn(int fd)
{
	char last;

	return read_end(fd, &last, 1) == 1 && last != '\n';
}

/* The longest end of text that begins with a line, and lines begin with. */
static size_t
common_length(const char *text, size_t size, const char *lines, size_t length)
{
	const char *end = text + size;
	const char *at = text;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if ((size_t)(end - at) <= length &&
		    memcmp(at, lines, (size_t)(end - at)) == 0)
			return (size_t)(end - at);
		at = newline == NULL ? end : newline + 1;
	}
	return 0;
}

size_t
log_end_overlap(int fd, const char *lines, size_t length)
{
	/* One more, the end of the line before. */
	char *text = malloc(length + 1);
	size_t common = 0;

	if (text == NULL)
		return 0;
	common =
	    common_length(text, read_end(fd, text, length + 1), lines, length);
	free(text);
	/* Whole lines alone. */
	while (common > 0 && lines[common - 1] != '\n')
		common--;
	return common;
}
