/*
 * control_upgrade - a call of Upgrade that begins in one program and is
 * answered by the next.
 *
 * Runs in: master.
 */
#ifndef SRVD_MASTER_CONTROL_UPGRADE_H
#define SRVD_MASTER_CONTROL_UPGRADE_H

#include <stdbool.h>

#include "server/master/control.h"
#include "server/master/upgrade.h"

/* Who called the program before, on the connection fd, is a client again that
 * waits for its answer.  If it can't be one, waiter is left alone. */
void control_upgrade_resume(struct control *control, int fd, bool is_last,
    struct upgrade_waiter *waiter);

/* The same without a control socket: tell it UpgradeFailed.  fd stays open. */
void control_upgrade_refuse(int fd, const char *stage, const char *why);

#endif
