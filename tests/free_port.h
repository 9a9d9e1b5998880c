/*
 * free_port - TCP ports of 127.0.0.1 for tests, which no dial gets.
 *
 * A port that the kernel chose may be a dial's as soon as it is closed: who is
 * to listen there later, or again, finds it taken.  These are below the ports
 * that the kernel gives to dials, so only who asks for that number gets it.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_FREE_PORT_H
#define SRVD_TESTS_FREE_PORT_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Below it is what services have, and the demo. */
#define FREE_PORT_FIRST 10000U
/* Processes with PIDs in a row begin so far apart. */
#define FREE_PORT_STEP 16U

/* The first port that a dial may get; 0 if that is not known. */
static inline unsigned
free_port_end(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char text[32] = "";

	if (file == NULL)
		return 0;
	if (fgets(text, sizeof text, file) == NULL)
		text[0] = '\0';
	(void)fclose(file);
	return (unsigned)strtoul(text, NULL, 10);
}

/* A socket bound to one, and where.  It is the kernel's choice only where
 * dials get all ports. */
static inline int
free_port_bind(struct sockaddr_in *sin)
{
	static unsigned tried;
	unsigned end = free_port_end();
	unsigned count = end > FREE_PORT_FIRST ? end - FREE_PORT_FIRST : 0;
	unsigned start = (unsigned)getpid() * FREE_PORT_STEP;
	socklen_t length = sizeof *sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	memset(sin, 0, sizeof *sin);
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (unsigned i = 0; i < count; i++) {
		sin->sin_port = htons((uint16_t)(FREE_PORT_FIRST +
		    (start + tried++) % count));
		if (bind(fd, (struct sockaddr *)sin, length) == 0)
			return fd;
		ck_assert_int_eq(errno, EADDRINUSE);
	}
	sin->sin_port = 0;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)sin, length), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)sin, &length), 0);
	return fd;
}

#endif
