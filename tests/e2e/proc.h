/*
 * proc - what /proc tells of other processes, and programs to run.
 *
 * Runs in: a test and its runner.
 */
#ifndef SRVD_TESTS_PROC_H
#define SRVD_TESTS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"

/* Children of pid, or all below it; at most max of them are written.  Returns
 * how many there are in list. */
size_t proc_children(pid_t pid, pid_t *list, size_t max);
size_t proc_descendants(pid_t pid, pid_t *list, size_t max);

/* It exists and is not a zombie. */
bool proc_is_alive(pid_t pid);
/* The state letter of proc(5), or 0 if there is no such process. */
char proc_state(pid_t pid);

/* Each writes a string, empty if there is no such process.  cmdline gives all
 * its bytes (NULs become spaces, one at the end is dropped). */
void proc_comm(pid_t pid, char *text, size_t size);
void proc_cmdline(pid_t pid, char *text, size_t size);
/* Of /proc/PID/status: "Uid", "NoNewPrivs", …; the text after the tab. */
void proc_status(pid_t pid, const char *field, char *text, size_t size);

/* Open descriptors, or -1 if that may not be seen. */
int proc_fds(pid_t pid);
/* Those of them whose link begins so ("socket:"), or -1. */
int proc_fds_named(pid_t pid, const char *prefix);
/* Its share of memory that is no file's (PSS) in KiB, or -1 if that may not
 * be seen.  What share of a library it has depends on who else runs. */
int64_t proc_pss_kib(pid_t pid);
/* Processor time of the process until now. */
uint64_t proc_cpu_ms(pid_t pid);
/* Dumpable processes own their /proc files themselves, others root does. */
uid_t proc_files_owner(pid_t pid);

/*
 * Start argv (NULL-terminated, looked up in PATH) with stdout and stderr going
 * to the file output; it gets SIGKILL if the caller dies.  Returns its PID.
 */
pid_t proc_spawn(const char *const argv[], const char *output);
/* The same, in a session of its own and told to end with death_signal. */
pid_t proc_spawn_apart(const char *const argv[], const char *output,
    int death_signal);

/*
 * The same, as a service manager starts what it activates: the sockets are
 * descriptors 3 and on, and LISTEN_FDS and LISTEN_PID say so.
 */
#define PROC_SOCKETS_MAX 8
struct proc_sockets {
	const int *fds;
	int count;
};
pid_t proc_spawn_activated(const char *const argv[], const char *output,
    int death_signal, const struct proc_sockets *sockets);

/* Its exit status, 128 + the signal that ended it, or -1 if it still runs
 * when the time is over. */
int proc_wait(pid_t pid, int timeout_ms);
/* SIGTERM, then SIGKILL; reaped. */
void proc_end(pid_t pid);

/* A child of root's, and only that, becomes nobody, as workers are; or it ends
 * with 126. */
void proc_become_nobody(void);

/* Is there such a program in PATH? */
bool proc_has_program(const char *name);
/* The first size - 1 bytes of a file as a string; empty if there is none. */
void proc_read_file(const char *path, char *text, size_t size);
/* Write it to a file that is there, a setting of the kernel's for one. */
bool proc_write_file(const char *path, const char *text);

#endif
