/*
 * handover - bodies that go, and connections that go from body to body.
 *
 * A body goes when its seat is no more, its holder is dead, its worker
 * crashed, or another master made it.  Another body has its seat's sockets
 * then, and it hands over what it has until it is empty and ends.
 *
 * Nothing is remembered of what is to be done next: handover_look() compares
 * what is with what should be, once a second and whenever something happens.
 *
 * Runs in: master.  Never blocks.  Who owns a connection is the matter of the
 * two workers alone (transfer.h); they are only told of each other here.
 */
#ifndef SRVD_MASTER_HANDOVER_H
#define SRVD_MASTER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "server/master/body_ref.h"

struct channel_message;

/* Something has happened: look soon, from the loop. */
void handover_wake(struct master *m);

/* Can the body take connections now? */
bool handover_may_take(const struct body_ref *ref);

/*
 * Have giver hand count connections over to taker, or all (CHANNEL_ALL).
 * Returns 0, -EBUSY while one of them is at it already, or -errno.
 */
must_check int handover_begin(struct body_ref *giver, struct body_ref *taker,
    uint32_t count);

/* Its worker has its end of a transfer; says that one is over. */
void handover_on_joined(struct body_ref *ref, uint64_t transfer);
void handover_on_given(struct body_ref *ref,
    const struct channel_message *message);

/* It has neither holder nor worker any more; it is still there. */
void handover_on_body_end(struct body_ref *ref);

void handover_close(struct master *m);

#endif
