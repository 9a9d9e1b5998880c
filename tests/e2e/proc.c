/*
 * proc - processes and programs as the tests see them; see proc.h.
 */
#include "proc.h"

#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define FIRST_SOCKET (STDERR_FILENO + 1) /* sd_listen_fds(3) */

static ssize_t
read_all(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = 0;

	text[0] = '\0';
	if (fd < 0)
		return -1;
	while (length + 1 < size &&
	    (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	close(fd);
	text[length] = '\0';
	return (ssize_t)length;
}

void
proc_read_file(const char *path, char *text, size_t size)
{
	(void)read_all(path, text, size);
}

bool
proc_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written =
	    fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

static ssize_t
read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return read_all(path, text, size);
}

/* Field number (3 is the state) of /proc/PID/stat in text, or NULL.  The name
 * in parentheses may hold anything, so fields count from its end. */
static const char *
stat_field(pid_t pid, int number, char text[512])
{
	const char *at;

	if (read_proc(pid, "stat", text, 512) <= 0)
		return NULL;
	at = strrchr(text, ')');
	for (int i = 2; at != NULL && i < number; i++)
		at = strchr(at + 1, ' ');
	return at == NULL ? NULL : at + 1;
}

static pid_t
proc_parent(pid_t pid)
{
	char text[512];
	const char *field = stat_field(pid, 4, text);

	return field == NULL ? 0 : (pid_t)strtol(field, NULL, 10);
}

size_t
proc_children(pid_t pid, pid_t *list, size_t max)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	size_t n = 0;

	ck_assert_msg(dir != NULL, "/proc: %s", strerror(errno));
	while (n < max && (entry = readdir(dir)) != NULL) {
		pid_t one;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		one = (pid_t)strtol(entry->d_name, NULL, 10);
		if (proc_parent(one) == pid)
			list[n++] = one;
	}
	closedir(dir);
	return n;
}

size_t
proc_descendants(pid_t pid, pid_t *list, size_t max)
{
	size_t n = proc_children(pid, list, max);

	for (size_t i = 0; i < n; i++)
		n += proc_children(list[i], list + n, max - n);
	return n;
}

char
proc_state(pid_t pid)
{
	char text[512];
	const char *field = stat_field(pid, 3, text);

	if (field == NULL)
		return '\0';
	return *field;
}

bool
proc_is_alive(pid_t pid)
{
	char state = proc_state(pid);

	return state != '\0' && state != 'Z' && state != 'X';
}

void
proc_comm(pid_t pid, char *text, size_t size)
{
	(void)read_proc(pid, "comm", text, size);
	text[strcspn(text, "\n")] = '\0';
}

void
proc_cmdline(pid_t pid, char *text, size_t size)
{
	ssize_t n = read_proc(pid, "cmdline", text, size);

	if (n > 0 && text[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
	}
}

void
proc_status(pid_t pid, const char *field, char *text, size_t size)
{
	char all[4096];
	const char *line = all;
	size_t length = strlen(field);

	text[0] = '\0';
	(void)read_proc(pid, "status", all, sizeof all);
	while (line != NULL && *line != '\0') {
		if (strncmp(line, field, length) == 0 && line[length] == ':') {
			line += length + 1;
			line += strspn(line, "\t ");
			snprintf(text, size, "%.*s", (int)strcspn(line, "\n"),
			    line);
			return;
		}
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
}

int
proc_fds_named(pid_t pid, const char *prefix)
{
	char path[64];
	char link[128];
	const struct dirent *entry;
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, link,
		    sizeof link - 1);

		if (length < 0)
			continue; /* . and .. and what was closed meanwhile */
		link[length] = '\0';
		n += strncmp(link, prefix, strlen(prefix)) == 0;
	}
	closedir(dir);
	return n;
}

int
proc_fds(pid_t pid)
{
	return proc_fds_named(pid, "");
}

int64_t
proc_pss_kib(pid_t pid)
{
	static const char *const kinds[] = {"\nPss_Anon:", "\nPss_Shmem:"};
	char text[4096];
	int64_t sum = 0;

	if (read_proc(pid, "smaps_rollup", text, sizeof text) <= 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *line = strstr(text, kinds[i]);

		if (line == NULL)
			return -1;
		sum += strtoll(line + strlen(kinds[i]), NULL, 10);
	}
	return sum;
}

uint64_t
proc_cpu_ms(pid_t pid)
{
	char text[512];
	const char *field = stat_field(pid, 14, text);
	char *next;
	uint64_t ticks;

	if (field == NULL)
		return 0;
	ticks = strtoull(field, &next, 10);
	ticks += strtoull(next, NULL, 10);
	return ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

uid_t
proc_files_owner(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_uid;
}

/* In the new process: copied aside first, since one may stand on another's
 * number. */
static void
place_sockets(const struct proc_sockets *sockets)
{
	int aside[PROC_SOCKETS_MAX];
	char text[16];

	for (int i = 0; i < sockets->count; i++)
		aside[i] = fcntl(sockets->fds[i], F_DUPFD,
		    FIRST_SOCKET + PROC_SOCKETS_MAX);
	for (int i = 0; i < sockets->count; i++)
		dup2(aside[i], FIRST_SOCKET + i);
	snprintf(text, sizeof text, "%d", sockets->count);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof text, "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
}

/* In the new process. */
static no_return void
spawn_exec(const char *const argv[], int output_fd, int death_signal,
    const struct proc_sockets *sockets)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, death_signal);
	signal(SIGPIPE, SIG_DFL);
	dup2(null_fd, STDIN_FILENO);
	dup2(output_fd, STDOUT_FILENO);
	dup2(output_fd, STDERR_FILENO);
	if (sockets->count > 0)
		place_sockets(sockets);
	/* Check's own */
	(void)close_range((unsigned)(FIRST_SOCKET + sockets->count), ~0U, 0);
	execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static pid_t
spawn(const char *const argv[], const char *output, bool apart,
    int death_signal, const struct proc_sockets *sockets)
{
	int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	pid_t pid;

	ck_assert_msg(fd >= 0, "%s: %s", output, strerror(errno));
	ck_assert_int_le(sockets->count, PROC_SOCKETS_MAX);
	fflush(NULL);
	pid = fork();
	ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		if (apart)
			setsid();
		spawn_exec(argv, fd, death_signal, sockets);
	}
	close(fd);
	return pid;
}

static const struct proc_sockets no_sockets = {.count = 0};

pid_t
proc_spawn(const char *const argv[], const char *output)
{
	return spawn(argv, output, false, SIGKILL, &no_sockets);
}

pid_t
proc_spawn_apart(const char *const argv[], const char *output, int death_signal)
{
	return spawn(argv, output, true, death_signal, &no_sockets);
}

pid_t
proc_spawn_activated(const char *const argv[], const char *output,
    int death_signal, const struct proc_sockets *sockets)
{
	return spawn(argv, output, true, death_signal, sockets);
}

int
proc_wait(pid_t pid, int timeout_ms)
{
	uint64_t end = e2e_now_ms() + (uint64_t)timeout_ms;
	int status;

	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		ck_assert_msg(got >= 0, "waitpid %d: %s", (int)pid,
		    strerror(errno));
		if (got == pid)
			break;
		if (e2e_now_ms() >= end)
			return -1;
		e2e_pause(2);
	}
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

void
proc_end(pid_t pid)
{
	kill(pid, SIGTERM);
	if (proc_wait(pid, 3000) >= 0)
		return;
	kill(pid, SIGKILL);
	ck_assert_msg(proc_wait(pid, 3000) >= 0, "process %d does not end",
	    (int)pid);
}

void
proc_become_nobody(void)
{
	const struct passwd *nobody = getpwnam("nobody");

	if (getuid() == 0 &&
	    (nobody == NULL || setgroups(0, NULL) != 0 ||
		setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0))
		_exit(126);
}

bool
proc_has_program(const char *name)
{
	const char *path = getenv("PATH");
	char all[4096];
	char file[4352];
	char *save = NULL;

	snprintf(all, sizeof all, "%s", path == NULL ? "" : path);
	for (char *dir = strtok_r(all, ":", &save); dir != NULL;
	     dir = strtok_r(NULL, ":", &save)) {
		snprintf(file, sizeof file, "%s/%s", dir, name);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}
