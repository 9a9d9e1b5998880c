/*
 * tcp - what the kernel knows of a TCP socket; see tcp.h.
 *
 * glibc's struct tcp_info ends before tcpi_bytes_received; the kernel's is
 * used, and the states are named here (include/net/tcp_states.h).
 */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "server/worker/tcp.h"

enum tcp_state {
	STATE_SYN_SENT = 2,
	STATE_CLOSE = 7
};

bool
tcp_ask(int fd, struct tcp_facts *facts)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	int unread = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    length < offsetof(struct tcp_info, tcpi_segs_out))
		return false;
	facts->is_closed = info.tcpi_state == STATE_CLOSE;
	facts->is_dialing = info.tcpi_state == STATE_SYN_SENT;
	facts->received = info.tcpi_bytes_received;
	facts->unread = ioctl(fd, SIOCINQ, &unread) == 0 && unread > 0
	    ? (uint64_t)unread
	    : 0;
	return true;
}

uint32_t
tcp_unacked(int fd)
{
	int queued = 0;

	return ioctl(fd, SIOCOUTQ, &queued) < 0 || queued < 0
	    ? 0
	    : (uint32_t)queued;
}
