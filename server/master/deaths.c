/*
 * deaths - how workers died; see deaths.h.
 */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/log.h"
#include "server/master/deaths.h"
#include "server/master/master.h"

/* More between two looks than a worker can die. */
#define DEATHS_AT_ONCE 10000

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

static void
say_death(struct body_ref *ref)
{
	const struct body_death *death = &ref->death;
	const char *name = sigabbrev_np(death->status);

	/* The body tells of it, and may tell anything as often as it likes. */
	if (ref->log_budget == 0) {
		ref->log_lost++;
		return;
	}
	ref->log_budget--;
	if (death->cause == DEATH_EXIT)
		log_warn("worker %u died, a successor takes over cause=exit "
			 "status=%d",
		    ref->seat, death->status);
	else if (death->fault_address != BODY_NO_ADDRESS)
		log_warn("worker %u died, a successor takes over cause=%s "
			 "signal=SIG%s address=0x%llx",
		    ref->seat, deaths_cause(ref), name == NULL ? "?" : name,
		    (unsigned long long)death->fault_address);
	else
		log_warn("worker %u died, a successor takes over cause=%s "
			 "signal=SIG%s",
		    ref->seat, deaths_cause(ref), name == NULL ? "?" : name);
}

static _Atomic uint64_t *
counter_of(const struct body_ref *ref)
{
	return &ref->master->board_head->deaths[ref->row];
}

static _Atomic uint32_t *
seen_of(const struct body_ref *ref)
{
	return &ref->master->board_head->deaths_seen[ref->row];
}

uint64_t
deaths_count(const struct body_ref *ref)
{
	return atomic_load(counter_of(ref));
}

uint32_t
deaths_told(const struct body_ref *ref)
{
	return atomic_load(seen_of(ref));
}

void
deaths_begin(const struct body_ref *ref)
{
	atomic_store(seen_of(ref), 0);
}

void
deaths_lost(struct body_ref *ref)
{
	atomic_fetch_add(counter_of(ref), 1);
	ref->has_death = true;
	ref->death = (struct body_death){
	    .cause = DEATH_KILLED,
	    .status = SIGKILL,
	    .at_us = clock_epoch_us(),
	    .fault_address = BODY_NO_ADDRESS,
	};
}

void
deaths_note(struct body_ref *ref)
{
	const struct body_head *head = ref->body.head;
	uint32_t deaths;
	uint32_t seen;
	uint32_t died;

	if (ref->body_fd < 0)
		return;
	deaths = atomic_load(&head->deaths);
	seen = atomic_load(seen_of(ref));
	/* One that another program has made may not tell. */
	if (deaths <= seen)
		return;
	died = deaths - seen;
	atomic_store(seen_of(ref), deaths);
	memcpy(&ref->death, &head->death, sizeof(ref->death));
	if (ref->death.cause == DEATH_SIGNAL)
		ref->is_faulted = true;
	if (ref->death.status < 0 || ref->death.status > 255)
		ref->death.status = 0;
	atomic_fetch_add(counter_of(ref), died <= DEATHS_AT_ONCE ? died : 1);
	ref->has_death = true;
	say_death(ref);
}

void
deaths_look(struct body_ref *ref)
{
	if (ref->body_fd < 0)
		return;
	if (ref->worker_pid == 0)
		deaths_note(ref);
	if (ref->has_death && deaths_told(ref) != 0)
		ref->death.culprit = ref->body.head->death.culprit;
}
