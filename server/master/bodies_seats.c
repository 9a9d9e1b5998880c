/*
 * bodies_seats - which body is a seat's current one; see bodies.h.
 */
#include "server/master/bodies.h"
#include "server/master/handover.h"
#include "server/master/master.h"

static void
become_current(struct body_ref *ref)
{
	ref->is_current = true;
	ref->delay_ms = 0;
	bodies_begin(ref);
}

void
bodies_replace(struct body_ref *ref)
{
	ref->is_current = false;
	become_current(bodies_partner(&ref->master->bodies, ref));
}

/* A row of the seat that has no body, or NULL. */
static struct body_ref *
free_row(const struct bodies *bodies, uint32_t seat)
{
	struct body_ref *ref = &bodies->refs[seat];

	if (ref->body_fd >= 0)
		ref = bodies_partner(bodies, ref);
	return ref->body_fd >= 0 ? NULL : ref;
}

/* A body that was taken over serves its seat until handover.c has it
 * replaced; of two that one which is not to go already. */
static bool
adopt_current(struct bodies *bodies, uint32_t seat)
{
	struct body_ref *ref = &bodies->refs[seat];
	struct body_ref *partner = bodies_partner(bodies, ref);

	if (ref->body_fd < 0 ||
	    (partner->body_fd >= 0 && ref->body.head->is_retiring != 0))
		ref = partner;
	if (!ref->is_foreign)
		return false;
	ref->is_current = true;
	return true;
}

bool
bodies_can_resize(const struct master *m, uint32_t count)
{
	for (uint32_t i = m->bodies.count; i < count; i++) {
		if (free_row(&m->bodies, i) == NULL)
			return false;
	}
	return true;
}

void
bodies_resize(struct master *m, uint32_t count)
{
	while (m->bodies.count > count) {
		struct body_ref *ref = bodies_at(&m->bodies, --m->bodies.count);

		loop_timer_cancel(m->loop, &ref->next_timer);
		ref->is_current = false;
	}
	while (m->bodies.count < count) {
		uint32_t seat = m->bodies.count++;

		if (!adopt_current(&m->bodies, seat))
			become_current(free_row(&m->bodies, seat));
	}
	handover_wake(m);
}
