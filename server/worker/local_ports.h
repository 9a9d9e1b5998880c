/*
 * local_ports - the local port of a socket that dials a backend over TCP.
 *
 * A backend's address can have one connection at a time from each port of
 * ip_local_port_range (ip(7)), and after one that was ended from here first its
 * port stays taken for a minute (TIME_WAIT).  connect(2) looks for a free one.
 * Left to itself it tries every even port before it tries an odd one: once a
 * backend has the even ones, each dial tries 14,000 ports in vain, which takes
 * 2 ms and not 0.03.  A socket that was given a range of its own is searched
 * without that preference (IP_LOCAL_PORT_RANGE, ip(7); Linux 6.8).
 *
 * The preference has its use: bind(2) without a port wants one that has no
 * connection at all, and would find none once each has had one within the
 * last minute.  So there are two parts (plan.h: local_ports_split), and a
 * backend is dialed from the lower one only while it has all of the upper one.
 *
 * Runs in: worker.  Never blocks.
 */
#ifndef SRVD_WORKER_LOCAL_PORTS_H
#define SRVD_WORKER_LOCAL_PORTS_H

#include <sys/socket.h>

#include "common/attr.h"
#include "server/worker/worker.h"

/*
 * connect(2), with its results, of the TCP socket that dials slot's backend.
 * EADDRNOTAVAIL is a lack of ports only: if this machine has no address to
 * reach the backend from (IPv6 is off), that is ENETUNREACH.
 */
must_check int local_ports_connect(struct worker *w, const struct slot *slot,
    const struct sockaddr *address, socklen_t length);

#endif
