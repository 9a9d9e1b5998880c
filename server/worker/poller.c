/*
 * poller - the body's epoll instance; see poller.h.
 *
 * A key: bit 0 the side, bits 1 to 23 the slot, bits 24 to 63 the low 40 bits
 * of the connection's id.  Ids begin at 1; where the id is 0 bit 0 tells a
 * listening socket (0) from what there is one of (1), whose kind is in the
 * slot's place then.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "server/state/body.h"
#include "server/worker/poller.h"

#define ID_SHIFT  24
#define ID_MASK   (UINT64_MAX >> ID_SHIFT)
#define SLOT_MASK BODY_SLOTS_MAX

static struct epoll_event events[POLLER_EVENTS];

uint64_t
poller_key_conn(uint64_t id, uint32_t slot, enum side side)
{
	return (id & ID_MASK) << ID_SHIFT | (uint64_t)slot << 1 |
	    (uint64_t)side;
}

uint64_t
poller_key_listener(uint32_t number)
{
	return (uint64_t)number << 1;
}

uint64_t
poller_key_single(enum poller_kind kind)
{
	return (uint64_t)kind << 1 | 1;
}

bool
poller_is_for(const struct poller_event *event, uint64_t id)
{
	return event->id == (id & ID_MASK);
}

static int
control(int operation, int fd, uint64_t key, uint32_t wanted)
{
	struct epoll_event event = {.events = wanted, .data.u64 = key};

	return epoll_ctl(BODY_FD_EPOLL, operation, fd, &event) < 0 ? -errno : 0;
}

int
poller_add(int fd, uint64_t key, uint32_t wanted)
{
	return control(EPOLL_CTL_ADD, fd, key, wanted);
}

int
poller_change(int fd, uint64_t key, uint32_t wanted)
{
	return control(EPOLL_CTL_MOD, fd, key, wanted);
}

int
poller_watch(int fd, uint64_t key, uint32_t wanted)
{
	int rc = poller_change(fd, key, wanted);

	return rc == -ENOENT ? poller_add(fd, key, wanted) : rc;
}

void
poller_remove(int fd)
{
	(void)control(EPOLL_CTL_DEL, fd, 0, 0);
}

int
poller_wait(uint32_t ms)
{
	int n = epoll_wait(BODY_FD_EPOLL, events, POLLER_EVENTS, (int)ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

struct poller_event
poller_event(int i)
{
	uint64_t key = events[i].data.u64;
	struct poller_event event = {
	    .kind = POLLER_CONN,
	    .number = (uint32_t)(key >> 1) & SLOT_MASK,
	    .side = (enum side)(key & 1),
	    .id = key >> ID_SHIFT,
	    .events = events[i].events,
	};

	if (event.id == 0)
		event.kind = event.side == 0 ? POLLER_LISTENER
					     : (enum poller_kind)event.number;
	return event;
}
