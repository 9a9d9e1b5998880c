/*
 * compile - the last step to a plan; see compile.h.
 */
#include <inttypes.h>
#include <netdb.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/compile.h"
#include "server/config/succession.h"

#define CONNECTIONS_AUTO_MAX 10000

/* A socket that would be bound, and the listener that it is for. */
struct binding {
	struct addr addr;
	uint32_t listener;
};

/* Which sockets of a listener are there already, as bits. */
static uint8_t
find_passed(const struct build *build, const struct addr *addr)
{
	const struct passed *passed = build->request->passed;

	if (addr->kind == ADDR_PASSED)
		return 1;
	return (uint8_t)((passed_find(passed, addr, 0) != NULL) |
	    (passed_find(passed, addr, 1) != NULL) << 1);
}

/* What a listener's socket needs to know of its service. */
static void
finish_listeners(struct build *build)
{
	for (uint32_t i = 0; i < build->head.listeners.count; i++) {
		struct plan_listener *listener = &build->listeners[i];
		const struct plan_service *service =
		    &build->services[listener->service];

		listener->backlog = service->backlog;
		listener->mode = service->mode;
		listener->uid = service->owner.id;
		listener->gid = service->group.id;
		listener->nodelay = service->nodelay;
		listener->passed = find_passed(build, &listener->addr);
	}
	build->head.control.gid = build->head.control.group.id;
}

static int
by_address(const void *left, const void *right)
{
	const struct binding *a = left;
	const struct binding *b = right;
	int order = addr_compare(&a->addr, &b->addr);

	if (order != 0)
		return order;
	return a->listener < b->listener ? -1 : a->listener > b->listener;
}

/* One for each socket: an address for both families has two. */
static struct binding *
list_bindings(const struct build *build, size_t *count)
{
	uint32_t listeners = build->head.listeners.count;
	struct binding *bindings = memory_resize(NULL,
	    (2 * (size_t)listeners + 1) * sizeof(*bindings));

	*count = 0;
	for (uint32_t i = 0; i < listeners; i++) {
		struct binding binding = {
		    .addr = build->listeners[i].addr, .listener = i};

		if (binding.addr.kind == ADDR_ANY) {
			binding.addr.kind = ADDR_TCP4;
			bindings[(*count)++] = binding;
			binding.addr.kind = ADDR_TCP6;
		}
		bindings[(*count)++] = binding;
	}
	return bindings;
}

static void
report_doubled(const struct build *build, uint32_t first, uint32_t second)
{
	struct place place = build->listener_places[second];
	char text[REPORT_PLACE_SIZE];

	report_add(build->report, place,
	    "listen: \"%.120s\" is listened on already by service %s at %s",
	    build_text(build, build->listeners[second].text),
	    build_text(build,
		build->services[build->listeners[first].service].name),
	    report_place(build->report, build->listener_places[first], place,
		text));
}

/* Can there be one listener only with that address? */
static bool
is_unique(const struct addr *addr)
{
	switch (addr->kind) {
	case ADDR_NONE:
		return false;
	case ADDR_UNIX:
		return true;
	case ADDR_PASSED:
		/* Once for all that have the name. */
		return addr->port == 0;
	default:
		/* With port 0 the kernel chooses, each time another one. */
		return addr->port != 0;
	}
}

/* Returns the number of listening sockets of a process. */
static size_t
check_bindings(const struct build *build)
{
	size_t count;
	struct binding *bindings = list_bindings(build, &count);

	qsort(bindings, count, sizeof(*bindings), by_address);
	for (size_t i = 1; i < count; i++) {
		const struct binding *one = &bindings[i - 1];
		const struct addr *addr = &bindings[i].addr;

		if (addr_compare(&one->addr, addr) == 0 && is_unique(addr))
			report_doubled(build, one->listener,
			    bindings[i].listener);
	}
	memory_free(bindings);
	return count;
}

/* Has a listener before that one the same passed socket under another
 * address: by its name the one, by where it is bound the other?  Of each
 * socket takers has the first that took it, plus one. */
static void
check_taken(const struct build *build, uint32_t *takers, uint32_t i, uint32_t n)
{
	const struct passed *passed = build->request->passed;
	const struct addr *addr = &build->listeners[i].addr;
	const struct passed_socket *socket = passed_find(passed, addr, n);
	uint32_t *taker;

	if (socket == NULL)
		return;
	taker = &takers[socket - passed->sockets];
	if (*taker == 0)
		*taker = i + 1;
	else if (!addr_equal(&build->listeners[*taker - 1].addr, addr))
		report_doubled(build, *taker - 1, i);
}

static void
check_passed(const struct build *build)
{
	const struct passed *passed = build->request->passed;
	uint32_t *takers;

	if (passed == NULL || passed->count == 0)
		return;
	takers = memory_resize(NULL, passed->count * sizeof(*takers));
	memset(takers, 0, passed->count * sizeof(*takers));
	for (uint32_t i = 0; i < build->head.listeners.count; i++) {
		check_taken(build, takers, i, 0);
		check_taken(build, takers, i, 1);
	}
	memory_free(takers);
}

/* The control socket's path can't be a listener's too. */
static void
check_control(const struct build *build)
{
	const char *path = build_text(build, build->head.control.path);

	for (uint32_t i = 0; i < build->head.listeners.count; i++) {
		const struct addr *addr = &build->listeners[i].addr;

		if (addr->kind == ADDR_UNIX && strcmp(addr->path, path) == 0)
			report_add(build->report, build->listener_places[i],
			    "listen: \"%.120s\" is the path of the control "
			    "socket: choose another",
			    build_text(build, build->listeners[i].text));
	}
}

static void
resolve(const struct build *build, struct plan_backend *backend,
    struct place place)
{
	const struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	struct addr addr = {0};
	int error = getaddrinfo(backend->addr.path, NULL, &hints, &found);

	for (const struct addrinfo *info = found;
	     error == 0 && info != NULL && addr.kind == ADDR_NONE;
	     info = info->ai_next)
		addr_from_sockaddr(&addr, info->ai_addr, info->ai_addrlen);
	if (found != NULL)
		freeaddrinfo(found);
	if (addr.kind != ADDR_TCP4 && addr.kind != ADDR_TCP6) {
		report_add(build->report, place,
		    "address: the host \"%.120s\" can't be looked up: %s",
		    backend->addr.path,
		    error == 0 ? "it has no address" : gai_strerror(error));
		return;
	}
	addr.port = backend->addr.port;
	backend->addr = addr;
}

static void
resolve_names(struct build *build)
{
	for (uint32_t i = 0; i < build->head.backends.count; i++) {
		struct plan_backend *backend = &build->backends[i];

		if (backend->addr.kind == ADDR_NAME)
			resolve(build, backend, build->backend_places[i]);
	}
}

static uint32_t
count_cpus(void)
{
	cpu_set_t set;
	int count;

	/* Fails on machines with more CPUs than there can be workers. */
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return PLAN_WORKERS_MAX;
	count = CPU_COUNT(&set);
	return count < PLAN_WORKERS_MAX ? (uint32_t)count : PLAN_WORKERS_MAX;
}

/* What a process with so many descriptors can carry beside its sockets. */
static uint32_t
connections_auto(uint64_t nofile, uint64_t needed)
{
	uint64_t rest =
	    nofile / 4 < CONFIG_FD_REST ? nofile / 4 : CONFIG_FD_REST;
	uint64_t most;

	if (rest < needed)
		rest = needed;
	most = nofile > rest ? (nofile - rest) / 2 : 0;
	if (most > CONNECTIONS_AUTO_MAX)
		most = CONNECTIONS_AUTO_MAX;
	/* None at all is refused as one that does not fit. */
	return most == 0 ? 1 : (uint32_t)most;
}

/*
 * A worker holds one socket of each address and two a connection; the master
 * holds every worker's.
 */
static void
check_limits(struct build *build, uint64_t sockets)
{
	struct plan *head = &build->head;
	struct place place = build_top_place(build, "max_connections");
	uint64_t nofile = build->request->nofile;
	uint64_t all = CONFIG_FD_RESERVE + sockets * head->workers;
	uint64_t needed = CONFIG_FD_RESERVE + sockets;

	needed += 2 * (uint64_t)head->max_connections;
	if (needed > nofile)
		report_add(build->report, place,
		    "max_connections: %" PRIu32 " need %" PRIu64
		    " descriptors, %" PRIu64 " more than the hard limit of "
		    "%" PRIu64 " allows: raise it (ulimit -Hn, LimitNOFILE=) "
		    "or write a smaller number",
		    head->max_connections, needed, needed - nofile, nofile);
	else if (all > nofile)
		report_add(build->report, build_top_place(build, "workers"),
		    "workers: %" PRIu32 " need %" PRIu64
		    " descriptors for their listening sockets, %" PRIu64
		    " more than the hard limit of %" PRIu64
		    " allows: raise it (ulimit -Hn, LimitNOFILE=) or write a "
		    "smaller number",
		    head->workers, all, all - nofile, nofile);
}

static void
settle_numbers(struct build *build, uint64_t sockets)
{
	struct plan *head = &build->head;

	if (head->workers == 0)
		head->workers = count_cpus();
	if (head->max_connections == 0)
		head->max_connections = connections_auto(build->request->nofile,
		    CONFIG_FD_RESERVE + sockets);
	/* A check must not depend on the limits of who checks. */
	if (!build->request->check_only)
		check_limits(build, sockets);
}

void
compile_build(struct build *build)
{
	uint64_t sockets;

	if (build->head.listeners.count > PLAN_LISTENERS_MAX) {
		report_add(build->report,
		    build->listener_places[PLAN_LISTENERS_MAX],
		    "listen: this is one address too many: there can be %d",
		    PLAN_LISTENERS_MAX);
		return;
	}
	finish_listeners(build);
	check_control(build);
	sockets = check_bindings(build);
	check_passed(build);
	settle_numbers(build, sockets);
	if (!build->request->check_only)
		resolve_names(build);
	/* Rows that something is wrong with may be incomplete. */
	if (build->request->previous != NULL &&
	    build->report->findings_count == 0)
		succession_apply(build, build->request->previous);
}
