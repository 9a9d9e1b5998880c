/*
 * program - a file that may be run in this program's place.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_PROGRAM_H
#define SRVD_MASTER_PROGRAM_H

#include <stddef.h>

#include "common/attr.h"

/*
 * Open the file at path, for fexecve(3): an executable program that nobody can
 * have changed but root and this process's user.  What was opened is what runs,
 * whatever becomes of the path meanwhile.  Returns the descriptor, or -errno
 * with a sentence in why.
 */
must_check int program_open(const char *path, char *why, size_t why_size);

#endif
