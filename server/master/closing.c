/*
 * closing - connections closed because somebody asked for it; see closing.h.
 */
#include <errno.h>

#include "common/clock.h"
#include "server/master/closing.h"
#include "server/master/courier.h"
#include "server/master/master.h"
#include "server/master/outbox.h"
#include "server/master/upgrade.h"

#define CLOSING_MS 5000

static void
finish(struct master *m)
{
	struct closing_round *closing = &m->closing;
	closing_done_fn *done = closing->done;

	closing->is_open = false;
	closing->done = NULL;
	loop_timer_cancel(m->loop, &closing->timer);
	BODIES_EACH(&m->bodies, ref)
	ref->owes_closing = false;
	if (done != NULL)
		done(closing->arg, closing->closed);
}

static void
on_timer(struct loop_timer *timer)
{
	finish(timer->arg);
}

static void
look(struct master *m)
{
	BODIES_EACH(&m->bodies, ref)
	{
		if (ref->owes_closing)
			return;
	}
	/* From the loop, never from closing_begin(). */
	if (m->closing.is_open)
		loop_timer_set(m->loop, &m->closing.timer, 0);
}

/* Bodies know the requests of masters that have died: the clock, which goes on
 * over those, makes it another one than any of them. */
static uint64_t
next_request(const struct closing_round *closing)
{
	uint64_t now = clock_monotonic_us();

	return now > closing->request ? now : closing->request + 1;
}

const char *
closing_hindrance(const struct master *m)
{
	const char *why = upgrade_hindrance(m);

	return why == NULL && m->closing.is_open ? CLOSING_IS_BUSY : why;
}

int
closing_begin(struct master *m, const struct filter *filter, bool reset,
    closing_done_fn *done, void *arg)
{
	struct closing_round *closing = &m->closing;

	if (closing_hindrance(m) != NULL)
		return -EBUSY;
	*closing = (struct closing_round){
	    .request = next_request(closing),
	    .filter = *filter,
	    .reset = reset,
	    .is_open = true,
	    .done = done,
	    .arg = arg,
	    .timer = {.due = on_timer, .arg = m},
	};
	loop_timer_set(m->loop, &closing->timer, CLOSING_MS);
	BODIES_EACH(&m->bodies, ref)
	{
		ref->owes_closing = ref->body_fd >= 0;
		outbox_closing_changed(ref);
		courier_send(ref);
	}
	look(m);
	return 0;
}

void
closing_forget(struct master *m, const void *arg)
{
	if (m->closing.arg == arg)
		m->closing.done = NULL;
}

void
closing_on_answer(struct body_ref *ref, uint64_t request, uint32_t closed)
{
	struct master *m = ref->master;

	if (!ref->owes_closing || request != m->closing.request)
		return;
	ref->owes_closing = false;
	/* It may say anything, but not more than it could have. */
	if (closed <= BODY_SLOTS_MAX)
		m->closing.closed += closed;
	look(m);
}

void
closing_on_body_end(struct body_ref *ref)
{
	ref->owes_closing = false;
	look(ref->master);
}
