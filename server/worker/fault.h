/*
 * fault - a worker's last words.
 *
 * SEGV, BUS, ILL, FPE and ABRT are caught on a stack of their own: signal,
 * address and journal go into the body, then the worker dies of the signal,
 * so that its holder sees the truth.
 *
 * Runs in: worker.
 */
#ifndef SRVD_WORKER_FAULT_H
#define SRVD_WORKER_FAULT_H

#include "server/state/body.h"

void fault_install(struct body_head *head);

#endif
