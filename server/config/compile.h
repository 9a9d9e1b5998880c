/*
 * compile - the last step to a plan: what concerns more than one value.
 *
 * Runs in: the configuration's child.  Looks up users, groups, names of hosts and
 * the range of local ports; may block on the network.
 */
#ifndef SRVD_CONFIG_COMPILE_H
#define SRVD_CONFIG_COMPILE_H

#include "server/config/build.h"

/* The next two report to the build's report. */

/*
 * Who the processes run as.  Only if the text is sound is it known that it
 * names nobody, and that it is the default user who has to exist.
 */
void compile_user(struct build *build, bool is_sound);

/* All the rest: listeners, names, numbers left to us. */
void compile_build(struct build *build);

/* What the kernel offers; nothing if it doesn't say. */
void compile_local_ports(struct build *build);

/* plan.local_ports_split on a kernel of that release (uname(2)) with that text
 * in ip_local_port_range (ip(7)). */
uint32_t local_ports_split(const char *release, const char *range);

#endif
