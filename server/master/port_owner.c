/*
 * port_owner - who holds an address that is in use; see port_owner.h.
 *
 * /proc/self/net/tcp and tcp6 name the inode and the user of every listening
 * socket, and /proc/PID/fd which process has it open (proc(5)).  The former is
 * for everybody, even where /proc has nothing but processes; the latter is not.
 */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/master/port_owner.h"

#define STATE_LISTEN 0x0a

enum field {
	FIELD_LOCAL = 1,
	FIELD_STATE = 3,
	FIELD_UID = 7,
	FIELD_INODE = 9,
	FIELDS
};

/* Theirs, as the tables write it: words of the address as they lie in memory.
 * All zeros are all addresses, of both families perhaps. */
static bool
is_in_the_way(const char *theirs, const struct addr *wanted)
{
	static const char all[] = "00000000000000000000000000000000";
	char ours[sizeof(all)];
	uint32_t words[4];
	size_t count = wanted->kind == ADDR_TCP4 ? 1 : ARRAY_LEN(words);

	memcpy(words, wanted->ip, sizeof(words));
	for (size_t i = 0; i < count; i++)
		(void)snprintf(ours + 8 * i, 9, "%08" PRIX32, words[i]);
	if (strncmp(theirs, all, strlen(theirs)) == 0)
		return true;
	return strlen(theirs) == strlen(ours) &&
	    (strncmp(ours, all, strlen(ours)) == 0 ||
		strcmp(theirs, ours) == 0);
}

/*
 * A line: number, local address, remote address, state, queues, timer,
 * retransmits, uid, timeout, inode, …; addresses are HEX:PORT in hexadecimal.
 */
static unsigned long
inode_of_line(char *line, const struct addr *addr, uid_t *uid)
{
	char *fields[FIELDS];
	char *rest = NULL;
	char *colon;
	size_t count = 0;

	for (char *field = strtok_r(line, " ", &rest);
	     field != NULL && count < FIELDS;
	     field = strtok_r(NULL, " ", &rest))
		fields[count++] = field;
	if (count < FIELDS)
		return 0;
	colon = strrchr(fields[FIELD_LOCAL], ':');
	if (colon == NULL || strtoul(colon + 1, NULL, 16) != addr->port ||
	    strtoul(fields[FIELD_STATE], NULL, 16) != STATE_LISTEN)
		return 0;
	*colon = '\0';
	if (!is_in_the_way(fields[FIELD_LOCAL], addr))
		return 0;
	*uid = (uid_t)strtoul(fields[FIELD_UID], NULL, 10);
	return strtoul(fields[FIELD_INODE], NULL, 10);
}

/* The inode of a socket that listens where addr would, in one of the tables,
 * and whose it is. */
static unsigned long
find_inode(const char *table, const struct addr *addr, uid_t *uid)
{
	char line[512];
	unsigned long inode = 0;
	FILE *file = fopen(table, "re");

	if (file == NULL)
		return 0;
	while (inode == 0 && fgets(line, sizeof(line), file) != NULL)
		inode = inode_of_line(line, addr, uid);
	(void)fclose(file);
	return inode;
}

static int
has_socket(const char *pid, unsigned long inode)
{
	char path[320];
	char link[64];
	char wanted[64];
	struct dirent *entry;
	ssize_t n;
	int found = 0;
	DIR *dir;

	(void)snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	(void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while (!found && (entry = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/%s/fd/%.32s", pid,
		    entry->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		found = strcmp(link, wanted) == 0;
	}
	(void)closedir(dir);
	return found;
}

/* What /proc/PID/status says of it behind this word, without spaces before it;
 * nothing if there is no such process. */
static void
read_status(pid_t pid, const char *word, char *text, size_t size)
{
	char path[64];
	char line[128];
	size_t length = strlen(word);
	FILE *file;

	text[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, word, length) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(text, size, "%s",
		    line + length + strspn(line + length, " \t"));
		break;
	}
	(void)fclose(file);
}

pid_t
port_owner(const struct addr *addr, char *text, size_t size, uid_t *uid)
{
	unsigned long inode;
	struct dirent *entry;
	pid_t owner = 0;
	DIR *dir;

	text[0] = '\0';
	*uid = PORT_OWNER_UNKNOWN;
	if (addr->kind != ADDR_TCP4 && addr->kind != ADDR_TCP6)
		return 0;
	inode = find_inode(addr->kind == ADDR_TCP4 ? "/proc/self/net/tcp"
						   : "/proc/self/net/tcp6",
	    addr, uid);
	/* A socket of both families stands in the other table. */
	if (inode == 0 && addr->kind == ADDR_TCP4)
		inode = find_inode("/proc/self/net/tcp6", addr, uid);
	dir = inode == 0 ? NULL : opendir("/proc");
	if (dir == NULL)
		return 0;
	while (owner == 0 && (entry = readdir(dir)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    has_socket(entry->d_name, inode))
			owner = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	(void)closedir(dir);
	if (owner != 0)
		read_status(owner, "Name:", text, size);
	return owner;
}

/* A worker's parent is its holder, and that one's is the master. */
enum port_srvd
port_owner_srvd(pid_t pid, pid_t *master)
{
	enum port_srvd found = PORT_STRANGER;
	char name[64];
	char parent[16];

	*master = 0;
	for (int i = 0; i < 3 && pid > 0; i++) {
		read_status(pid, "Name:", name, sizeof(name));
		if (strncmp(name, "srvd: ", strlen("srvd: ")) != 0)
			break;
		found = PORT_ORPHAN;
		if (strcmp(name, "srvd: master") == 0) {
			*master = pid;
			return PORT_SERVED;
		}
		read_status(pid, "PPid:", parent, sizeof(parent));
		pid = (pid_t)strtol(parent, NULL, 10);
	}
	return found;
}
