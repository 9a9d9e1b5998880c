/*
 * shm - sealed memory shared by descriptor.
 *
 * Runs in: master (makes, maps), holder and worker (map).
 */
#ifndef SRVD_STATE_SHM_H
#define SRVD_STATE_SHM_H

#include <stddef.h>

#include "common/attr.h"

/* Round up to the page's size. */
size_t shm_round(size_t size);

/*
 * A memfd of this size, all zero, that nobody can shrink or grow
 * (fcntl(2), F_SEAL_SHRINK: a shorter mapping would be a SIGBUS for its
 * reader).  Close-on-exec.  Returns it or -errno.
 */
must_check int shm_create(const char *name, size_t size);

/* A second descriptor of it that can't write.  Returns it or -errno. */
must_check int shm_reopen(int fd);

/* Map shared; NULL with errno set. */
void *shm_map(int fd, size_t offset, size_t size, int protection);

#endif
