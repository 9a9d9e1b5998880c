/*
 * deaths - how workers died; see deaths.h.
 */
#include <stdatomic.h>
#include <string.h>

#include "common/attr.h"
#include "common/log.h"
#include "server/master/deaths.h"

static const char *
cause_word(uint32_t cause)
{
	static const char *const words[] = {
	    [DEATH_NONE] = "unknown",
	    [DEATH_KILLED] = "killed",
	    [DEATH_SIGNAL] = "signal",
	    [DEATH_WATCHDOG] = "watchdog",
	    [DEATH_EXIT] = "exit",
	};

	return cause < ARRAY_LEN(words) ? words[cause] : words[DEATH_NONE];
}

const char *
deaths_cause(const struct body_ref *ref)
{
	return cause_word(ref->death.cause);
}

/* It ended as it was told to: no death. */
static bool
has_retired(const struct body_head *head)
{
	return head->death.cause == DEATH_EXIT &&
	    head->death.status == WORKER_EXIT_DONE;
}

/* Has a worker died since we last looked?  The copy is what is believed. */
void
deaths_note(struct body_ref *ref)
{
	uint32_t deaths;
	uint32_t died;

	if (ref->body_fd < 0)
		return;
	deaths = atomic_load(&ref->body.head->deaths);
	if (deaths == ref->deaths) {
		/* The culprit is written a moment later, by the successor. */
		if (ref->has_death && deaths != 0)
			ref->death.culprit = ref->body.head->death.culprit;
		return;
	}
	died = deaths > ref->deaths ? deaths - ref->deaths : 1;
	ref->deaths = deaths;
	if (has_retired(ref->body.head))
		return;
	ref->respawns += died;
	memcpy(&ref->death, &ref->body.head->death, sizeof(ref->death));
	ref->has_death = true;
	if (ref->death.status < 0 || ref->death.status > 255)
		ref->death.status = 0;
	log_warn("worker %u died and was replaced cause=%s status=%d "
		 "address=0x%llx",
	    ref->index, deaths_cause(ref), ref->death.status,
	    (unsigned long long)ref->death.fault_address);
}
