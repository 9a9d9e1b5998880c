/*
 * bodies_make - what a body is made of, and how large it is; see bodies.h.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "server/config/config.h"
#include "server/master/access.h"
#include "server/master/bodies.h"
#include "server/master/deaths.h"
#include "server/master/master.h"

/* Half of the descriptors, at two a connection, bound what a body can hold,
 * whatever max_connections is or becomes. */
static uint32_t
slots_for(uint64_t nofile)
{
	uint64_t slots = nofile / 2;

	return (uint32_t)(slots < BODY_SLOTS_MAX ? slots : BODY_SLOTS_MAX);
}

/* The descriptors that connections and listeners leave, at two a pipe. */
static uint32_t
pipes_for(const struct plan *plan, uint64_t nofile)
{
	uint64_t taken = 2 * (uint64_t)plan->max_connections +
	    2 * (uint64_t)plan->listeners.count + CONFIG_FD_RESERVE / 2;
	uint64_t left = nofile > taken ? nofile - taken : 0;

	if (left / 2 > BODY_PIPES_MAX)
		return BODY_PIPES_MAX;
	return left / 2 < 8 ? 8 : (uint32_t)(left / 2);
}

int
bodies_make(struct body_ref *ref)
{
	const struct master *m = ref->master;
	struct rlimit limit = {0};
	struct body_spec spec = {
	    .row = ref->row,
	    .seat = ref->seat,
	    .first_id = ref->first_id,
	    .plan = m->plan,
	    .log_level = m->level,
	    .drop = m->drops,
	};
	int rc;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	spec.slots_max = slots_for(limit.rlim_cur);
	spec.pipes_max = pipes_for(m->plan, limit.rlim_cur);
	ref->body_fd = body_create(&spec);
	if (ref->body_fd < 0)
		return ref->body_fd;
	rc = body_map(ref->body_fd, 0, &ref->body);
	if (rc == 0)
		rc = board_clear_row(m->board_fd, ref->row);
	if (rc < 0) {
		body_unmap(&ref->body);
		close(ref->body_fd);
		ref->body_fd = -1;
		return rc;
	}
	access_begin(ref);
	deaths_begin(ref);
	board_set_live(m->board_head, ref->row, true);
	return 0;
}
