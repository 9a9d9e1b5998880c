/*
 * adopt - bodies of a dead master become ours; see adopt.h.
 */
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/adopt.h"
#include "server/master/bodies.h"
#include "server/master/courier.h"
#include "server/master/master.h"
#include "server/master/takeover.h"

static void
on_holder_end(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	bodies_on_holder_end(watch->arg);
}

/* It is not our child (or, after an upgrade, it is: then it is reaped too). */
static int
adopt_holder(struct body_ref *ref, struct takeover_body *taken)
{
	int rc;

	ref->is_lost = taken->holder_pid == 0;
	if (ref->is_lost)
		return 0;
	ref->holder_end = (struct loop_watch){
	    .fd = taken->holder_pidfd,
	    .events = EPOLLIN,
	    .ready = on_holder_end,
	    .arg = ref,
	};
	rc = loop_add(ref->master->loop, &ref->holder_end);
	if (rc < 0)
		return rc;
	ref->holder_pid = taken->holder_pid;
	ref->holder_pidfd = taken->holder_pidfd;
	taken->holder_pidfd = -1;
	return 0;
}

static int
adopt(struct master *m, struct takeover_body *taken)
{
	struct body_ref *ref = &m->bodies.refs[taken->row];
	int channel_fd = taken->channel_fd;
	int pidfd = taken->worker_pidfd;
	int rc = body_map_foreign(taken->body_fd, &ref->body);

	if (rc < 0)
		return rc;
	ref->body_fd = taken->body_fd;
	taken->body_fd = -1;
	ref->is_foreign = true;
	ref->follows = taken->generation;
	ref->started_ms = loop_now_ms(m->loop);
	ref->log_budget = COURIER_LINES_A_SECOND;
	rc = adopt_holder(ref, taken);
	if (rc < 0)
		return rc;
	taken->channel_fd = -1;
	taken->worker_pidfd = -1;
	return courier_adopt(ref, channel_fd, taken->worker_pid, pidfd);
}

int
adopt_bodies(struct master *m, struct takeover *t)
{
	int rc = 0;

	for (uint32_t i = 0; i < BOARD_ROWS && rc == 0; i++) {
		if (t->taken[i].state == TAKEN_DONE)
			rc = adopt(m, &t->taken[i]);
	}
	return rc;
}
