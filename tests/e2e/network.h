/*
 * network - a network of the test's own, with the kernel's settings as it
 * likes them.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_NETWORK_H
#define SRVD_TESTS_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

/* From here on this process and its children have nothing but a loopback, with
 * these local ports ("FIRST LAST", ip(7)).  False: it can't be had, and the test
 * is skipped. */
bool network_make(const char *ports);

/* Nobody speaks IPv6 in it from now on. */
void network_turn_off_ipv6(void);

/* Keep a port of 127.0.0.1 from being given to who dials.  Returns a
 * descriptor; closing it frees the port. */
int network_hold_port(uint16_t port);

#endif
