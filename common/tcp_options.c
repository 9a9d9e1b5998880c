/*
 * tcp_options - options of TCP sockets; see tcp_options.h.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/tcp_options.h"

#define KEEPIDLE_MAX_S 32767

void
tcp_keepalive(int fd, uint64_t idle_ms)
{
	static const int on = 1;
	uint64_t seconds = (idle_ms + 999) / 1000;
	int idle_s = seconds > KEEPIDLE_MAX_S ? KEEPIDLE_MAX_S : (int)seconds;

	if (idle_s == 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
	    sizeof(idle_s));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}
