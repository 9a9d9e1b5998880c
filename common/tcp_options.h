/*
 * tcp_options - options that both the master's and the workers' sockets get.
 *
 * Runs in: master, worker.
 */
#ifndef SRVD_COMMON_TCP_OPTIONS_H
#define SRVD_COMMON_TCP_OPTIONS_H

#include <stdint.h>

/*
 * Probe a silent peer after idle_ms, in whole seconds and at least one
 * (tcp(7), TCP_KEEPIDLE; the kernel takes 32767 at most).  Failures are of no
 * consequence.
 */
void tcp_keepalive(int fd, uint64_t idle_ms);

#endif
