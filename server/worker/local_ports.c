/*
 * local_ports - the local port of a socket that dials; see local_ports.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "server/worker/local_ports.h"

/* Linux 6.3; the C library's headers may be older. */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* As the option wants it.  A bound outside of the system's range is none. */
#define RANGE(first, last) ((uint32_t)(last) << 16 | (first))

/* To find out that the upper part has none left takes a walk over it: not for
 * each dial. */
#define LOWER_MS 1000

enum part {
	PART_UPPER,
	PART_LOWER
};

static void
choose_part(const struct worker *w, int fd, enum part part)
{
	uint32_t split = w->plan->local_ports_split;
	uint32_t range =
	    part == PART_UPPER ? RANGE(split, UINT16_MAX) : RANGE(1, split - 1);

	(void)setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range,
	    sizeof(range));
}

/* connect(), from one part and then the other. */
static int
connect_from_parts(struct worker *w, const struct slot *slot,
    const struct sockaddr *address, socklen_t length)
{
	uint64_t *lower_until_ms = &w->lower_until_ms[slot->backend];
	enum part part = w->now_ms < *lower_until_ms ? PART_LOWER : PART_UPPER;
	int fd = slot->fd[SIDE_BACKEND];
	int rc;

	if (w->plan->local_ports_split == 0)
		return connect(fd, address, length);
	choose_part(w, fd, part);
	rc = connect(fd, address, length);
	if (rc == 0 || errno != EADDRNOTAVAIL)
		return rc;
	if (part == PART_UPPER)
		*lower_until_ms = w->now_ms + LOWER_MS;
	choose_part(w, fd, part == PART_UPPER ? PART_LOWER : PART_UPPER);
	return connect(fd, address, length);
}

/* Is there an address to reach it from?  A datagram socket asks for that alone,
 * and sends nothing. */
static bool
has_source(const struct sockaddr *address, socklen_t length)
{
	int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return true;
	has = connect(fd, address, length) == 0 || errno != EADDRNOTAVAIL;
	close(fd);
	return has;
}

int
local_ports_connect(struct worker *w, const struct slot *slot,
    const struct sockaddr *address, socklen_t length)
{
	int rc = connect_from_parts(w, slot, address, length);

	/* The kernel has one error for both. */
	if (rc < 0 && errno == EADDRNOTAVAIL)
		errno =
		    has_source(address, length) ? EADDRNOTAVAIL : ENETUNREACH;
	return rc;
}
