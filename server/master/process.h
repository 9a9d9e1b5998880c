/*
 * process - what the kernel tells of a process that is not our child.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_PROCESS_H
#define SRVD_MASTER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/attr.h"

#define PROCESS_HOLDER "srvd: holder "
#define PROCESS_WORKER "srvd: worker "

/* Its pidfd, or -errno.  What is asked of its number after that is true of
 * this process as long as process_is_there() says so. */
must_check int process_open(pid_t pid);
bool process_is_there(int pidfd);

/* Is it known to be dead, reaped or not? */
bool process_has_ended(pid_t pid);

/* 0: it is gone, or the kernel doesn't tell. */
pid_t process_parent(pid_t pid);

/* Does its name begin so? */
bool process_is_named(pid_t pid, const char *prefix);

/* SIGKILL; pidfd -1: nobody. */
void process_kill(int pidfd);

#endif
