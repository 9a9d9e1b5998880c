/*
 * child - the process that reads the configuration.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_CHILD_H
#define SRVD_CONFIG_CHILD_H

#include "common/attr.h"
#include "server/config/config.h"

/* Seconds until a child that has not ended is ended. */
#define CHILD_SECONDS_MAX 30

/* A child's exit status that is not 0: see also memory.h. */
#define CHILD_EXIT_BROKEN 70

/*
 * Right after fork(): give up what is the master's, read the configuration,
 * write the plan to plan_fd and the answer to answer_fd, and end.
 */
no_return void child_run(const struct config_request *request, int plan_fd,
    int answer_fd);

#endif
