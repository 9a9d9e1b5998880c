/*
 * program - a file that may be run in this program's place; see program.h.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/master/program.h"

#define LINK_SIZE 40

static void
link_of(int fd, char by_number[LINK_SIZE])
{
	(void)snprintf(by_number, LINK_SIZE, "/proc/self/fd/%d", fd);
}

static bool
is_trusted(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

/* A constant that says what is wrong with the file, or NULL. */
static const char *
find_fault(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return "can't be looked at";
	if (S_ISDIR(st.st_mode))
		return "is a directory";
	if (!S_ISREG(st.st_mode))
		return "is no regular file";
	if (!is_trusted(st.st_uid))
		return "belongs to another user: it must be root's, or this "
		       "process's user's";
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "can be written by others than its owner: chmod go-w";
	if ((st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0 ||
	    faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
		return "is not executable";
	return NULL;
}

/* Of the directory that the file is in. */
static const char *
find_directory_fault(int fd)
{
	char by_number[LINK_SIZE];
	char place[PATH_MAX];
	struct stat st;
	ssize_t length;
	char *slash;

	link_of(fd, by_number);
	length = readlink(by_number, place, sizeof(place) - 1);
	if (length <= 0)
		return "has no place that can be found";
	place[length] = '\0';
	slash = strrchr(place, '/');
	if (slash == NULL)
		return "has no place that can be found";
	slash[slash == place] = '\0';
	if (stat(place, &st) < 0)
		return "is in a directory that can't be looked at";
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
		return "is in a directory that anybody may write to";
	return NULL;
}

/* What the kernel would run another program for is not what was asked for. */
static const char *
find_format_fault(int fd)
{
	char by_number[LINK_SIZE];
	char magic[SELFMAG] = "";
	ssize_t length;
	int file;

	link_of(fd, by_number);
	file = open(by_number, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return "can't be read";
	length = read(file, magic, sizeof(magic));
	(void)close(file);
	if (length >= 2 && memcmp(magic, "#!", 2) == 0)
		return "is a script: name the program itself";
	if (length != SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
		return "is no program";
	return NULL;
}

int
program_open(const char *path, char *why, size_t why_size)
{
	const char *fault;
	int fd;

	if (path[0] != '/') {
		(void)snprintf(why, why_size,
		    "the path must begin with a slash: %s", path);
		return -EINVAL;
	}
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		int error = errno;

		(void)snprintf(why, why_size, "%s: %s", path, strerror(error));
		return -error;
	}
	fault = find_fault(fd);
	if (fault == NULL)
		fault = find_directory_fault(fd);
	if (fault == NULL)
		fault = find_format_fault(fd);
	if (fault == NULL)
		return fd;
	(void)snprintf(why, why_size, "%s %s", path, fault);
	(void)close(fd);
	return -EINVAL;
}
