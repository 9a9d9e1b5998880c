/*
 * local_ports - which local ports backends are dialed from; see compile.h.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/config/compile.h"

#define SYSTEM_RANGE "/proc/sys/net/ipv4/ip_local_port_range"

/* The lower part is one of so many. */
#define PARTS 4

/* Before Linux 6.8 a socket with a range of its own is searched as any other,
 * so a smaller range is used up earlier. */
static bool
searches_evenly(const char *release)
{
	char *rest;
	long major = strtol(release, &rest, 10);
	long minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;

	return major > 6 || (major == 6 && minor >= 8);
}

uint32_t
local_ports_split(const char *release, const char *range)
{
	char *rest;
	long first = strtol(range, &rest, 10);
	long last = strtol(rest, NULL, 10);

	if (!searches_evenly(release) || first < 1 || last > UINT16_MAX ||
	    last < first || last - first + 1 < PARTS)
		return 0;
	return (uint32_t)(first + (last - first + 1) / PARTS);
}

void
compile_local_ports(struct build *build)
{
	struct utsname system;
	char range[64];
	ssize_t length;
	int fd;

	if (uname(&system) < 0)
		return;
	fd = open(SYSTEM_RANGE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	length = read(fd, range, sizeof(range) - 1);
	close(fd);
	if (length <= 0)
		return;
	range[length] = '\0';
	build->head.local_ports_split =
	    local_ports_split(system.release, range);
}
