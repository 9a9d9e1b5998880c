/*
 * scarcity - what this worker is short of; see scarcity.h.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "server/worker/conn.h"
#include "server/worker/levels.h"
#include "server/worker/scarcity.h"

/* Not met for so long, a shortage is over. */
#define OVER_MS 5000

#define BIT(shortage) (1u << (shortage))

bool
scarcity_is(int error)
{
	/* ENOSPC: the user has as many epoll watches as he may have. */
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM || error == ENOSPC;
}

bool
scarcity_has(const struct worker *w, enum shortage shortage)
{
	return (w->shortages & BIT(shortage)) != 0;
}

static void
show(struct worker *w)
{
	atomic_store_explicit(&w->row->shortages, w->shortages,
	    memory_order_relaxed);
}

/* True if it begins and is to be told. */
static bool
meet(struct worker *w, enum shortage shortage)
{
	bool begins = !scarcity_has(w, shortage);

	w->met_ms[shortage] = w->now_ms;
	if (!begins)
		return false;
	w->shortages |= BIT(shortage);
	show(w);
	return levels_want(w, LEVELS_GENERAL, LEVEL_WARN);
}

static void
say(enum shortage shortage, int error, const char *remedy)
{
	log_warn("out of %s: %s; %s error=\"%s\"", shortage_word(shortage),
	    shortage_meaning(shortage), remedy, strerror(error));
}

void
scarcity_met(struct worker *w, int error)
{
	if (error == EMFILE || error == ENFILE) {
		if (meet(w, SHORT_DESCRIPTORS))
			say(SHORT_DESCRIPTORS, error,
			    error == EMFILE
				? "allow more: LimitNOFILE= or ulimit -n"
				: "allow more: sysctl fs.file-max");
	} else if (meet(w, SHORT_MEMORY)) {
		say(SHORT_MEMORY, error,
		    error == ENOSPC
			? "allow more: sysctl fs.epoll.max_user_watches"
			: "the kernel has none to give, for all or for this "
			  "control group");
	}
}

void
scarcity_met_pipes(struct worker *w)
{
	if (meet(w, SHORT_PIPES))
		log_warn("out of %s: %s; allow more descriptors or fewer "
			 "max_connections",
		    shortage_word(SHORT_PIPES), shortage_meaning(SHORT_PIPES));
}

void
scarcity_met_ports(struct worker *w, const struct slot *slot)
{
	const struct plan_backend *backend =
	    plan_backend(w->plan, slot->backend);

	if (meet(w, SHORT_PORTS))
		log_warn("no local port is left to dial a backend from: %s; "
			 "widen sysctl net.ipv4.ip_local_port_range, or give "
			 "the service more backends service=%s backend=%s "
			 "address=%s",
		    shortage_meaning(SHORT_PORTS),
		    plan_string(w->plan, conn_service(w, slot)->name),
		    plan_string(w->plan, backend->name),
		    plan_string(w->plan, backend->text));
}

/* Limits of several services may be reached at once, and each is told. */
void
scarcity_met_limit(struct worker *w, uint32_t service)
{
	bool is_general = service == LEVELS_GENERAL;
	uint64_t *met_ms =
	    &w->full_ms[is_general ? PLAN_SERVICES_MAX : service];
	bool begins = *met_ms == 0 || w->now_ms - *met_ms >= OVER_MS;

	*met_ms = w->now_ms;
	(void)meet(w, SHORT_CONNECTIONS);
	if (!begins || !levels_want(w, service, LEVEL_WARN))
		return;
	if (is_general)
		log_warn("max_connections of the gateway is reached: new "
			 "connections wait in the backlog until some end "
			 "max_connections=%u",
		    w->plan->max_connections);
	else
		log_warn("max_connections of a service is reached: new "
			 "connections wait in its backlog until some end "
			 "service=%s max_connections=%u",
		    plan_string(w->plan, plan_service(w->plan, service)->name),
		    plan_service(w->plan, service)->max_connections);
}

void
scarcity_recover(struct worker *w)
{
	w->shortages = atomic_load(&w->row->shortages) & (BIT(SHORTAGES) - 1);
	for (unsigned i = 0; i < SHORTAGES; i++)
		w->met_ms[i] = w->now_ms;
}

void
scarcity_check(struct worker *w)
{
	/* Who waits for a pipe does not ask again and again. */
	if (w->starved.count > 0)
		w->met_ms[SHORT_PIPES] = w->now_ms;
	for (unsigned i = 0; w->shortages != 0 && i < SHORTAGES; i++) {
		if (!scarcity_has(w, (enum shortage)i) ||
		    w->now_ms - w->met_ms[i] < OVER_MS)
			continue;
		w->shortages &= ~BIT(i);
		show(w);
		if (levels_want(w, LEVELS_GENERAL, LEVEL_INFO))
			log_info("no longer out of %s",
			    shortage_word((enum shortage)i));
	}
}
