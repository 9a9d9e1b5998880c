/*
 * network - a network of the test's own; see network.h.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "network.h"
#include "proc.h"

#define PORTS    "/proc/sys/net/ipv4/ip_local_port_range"
#define IPV6_OFF "/proc/sys/net/ipv6/conf/all/disable_ipv6"

bool
network_make(const char *ports)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		e2e_skip("no network namespace: %s", strerror(errno));
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &loopback), 0);
	close(fd);
	ck_assert(proc_write_file(PORTS, ports));
	return true;
}

void
network_turn_off_ipv6(void)
{
	ck_assert(proc_write_file(IPV6_OFF, "1"));
}

int
network_hold_port(uint16_t port)
{
	static const int on = 1;
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* It may be in TIME_WAIT. */
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
			     sizeof(on)),
	    0);
	ck_assert_msg(bind(fd, (struct sockaddr *)&address, sizeof(address)) ==
		0,
	    "bind to port %u: %s", port, strerror(errno));
	return fd;
}
