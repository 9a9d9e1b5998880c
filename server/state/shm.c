/*
 * shm - sealed memory shared by descriptor; see shm.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/state/shm.h"

size_t
shm_round(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

int
shm_create(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc;

	if (fd < 0)
		return -errno;
	/* Mode 0600: who was given a read-only descriptor shall not be able
	 * to open it for writing by way of /proc. */
	if (fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int
shm_reopen(int fd)
{
	char path[32];
	int read_fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_fd = open(path, O_RDONLY | O_CLOEXEC);
	return read_fd < 0 ? -errno : read_fd;
}

void *
shm_map(int fd, size_t offset, size_t size, int protection)
{
	void *base =
	    mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);

	return base == MAP_FAILED ? NULL : base;
}
