/*
 * compile - the last step to a plan: what concerns more than one value.
 *
 * Runs in: the configuration's child.  Looks up users, groups and names of
 * hosts; may block on the network.
 */
#ifndef SRVD_CONFIG_COMPILE_H
#define SRVD_CONFIG_COMPILE_H

#include "server/config/build.h"

/* Both report to the build's report. */

/*
 * Who the processes run as.  Only if the text is sound is it known that it
 * names nobody, and that it is the default user who has to exist.
 */
void compile_user(struct build *build, bool is_sound);

/* All the rest: listeners, names, numbers left to us. */
void compile_build(struct build *build);

#endif
