/*
 * plan_kit - a row of plans that follow each other, made by hand, and what
 * the master sends of them.
 *
 * All come from one configuration, so that a row has its index in each; a
 * later plan is a copy in which rows have become empty or removed.  Three
 * services: "old" and "new", each with a listener, and "park", which goes on
 * for ever: its many listeners' places are where keep() puts what a sweep
 * must not close.
 */
#ifndef SRVD_TESTS_PLAN_KIT_H
#define SRVD_TESTS_PLAN_KIT_H

#include <errno.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "server/worker/follow.h"
#include "server/worker/sweep.h"
#include "tests/unit/sweep_kit.h"

enum kit_service {
	KIT_OLD,
	KIT_NEW,
	KIT_PARK
};

/* The rows of listeners and backends; old has two backends. */
#define KIT_LISTENER_OLD 0
#define KIT_LISTENER_NEW 1
/* Their sockets. */
#define KIT_SOCKET_OLD 0
#define KIT_SOCKET_NEW 2

#define KIT_BACKEND_A   0
#define KIT_BACKEND_B   1
#define KIT_BACKEND_NEW 2

#define KIT_PLACES                                   \
	"127.0.0.1:11, 127.0.0.1:12, 127.0.0.1:13, " \
	"127.0.0.1:14, 127.0.0.1:15, 127.0.0.1:16, " \
	"127.0.0.1:17, 127.0.0.1:18, 127.0.0.1:19, " \
	"127.0.0.1:20, 127.0.0.1:21, 127.0.0.1:22, " \
	"127.0.0.1:23, 127.0.0.1:24, 127.0.0.1:25, " \
	"127.0.0.1:26, 127.0.0.1:27, 127.0.0.1:28, " \
	"127.0.0.1:29, 127.0.0.1:30, 127.0.0.1:31"

static const struct plan *kit_all; /* everything active, generation 1 */

/* Check's process; settings are the service old's. */
static inline void
plans_compile(const char *settings)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
	    "user = nobody\nmax_connections = 16\nwatchdog = 5s\n"
	    "service old {\nlisten = 127.0.0.1:2\n%s\n"
	    "backend a { address = builtin:echo }\n"
	    "backend b { address = builtin:echo } }\n"
	    "service new { listen = 127.0.0.1:3 "
	    "backend n { address = builtin:echo } }\n"
	    "service park { listen = {" KIT_PLACES "} "
	    "backend p { address = builtin:echo } }\n",
	    settings);
	kit_compile(&kit, text);
	kit_all = kit.w.plan;
	keep_row = plan_service(kit_all, KIT_PARK)->first_listener;
	ck_assert_uint_eq(keep_row, 2);
}

/* Editing */

static inline struct plan_service *
edit_service(struct plan *plan, uint32_t i)
{
	return (struct plan_service *)plan_service(plan, i);
}

static inline struct plan_listener *
edit_listener(struct plan *plan, uint32_t i)
{
	return (struct plan_listener *)plan_listener(plan, i);
}

static inline struct plan_backend *
edit_backend(struct plan *plan, uint32_t i)
{
	return (struct plan_backend *)plan_backend(plan, i);
}

/* Its listeners become empty, its backends and itself of that state. */
static inline void
drop_service(struct plan *plan, uint32_t i, enum plan_row_state state)
{
	struct plan_service *service = edit_service(plan, i);

	for (uint32_t n = 0; n < plan->listeners.count; n++) {
		if (plan_listener(plan, n)->state == ROW_ACTIVE &&
		    plan_listener(plan, n)->service == i)
			memset(edit_listener(plan, n), 0,
			    sizeof(struct plan_listener));
	}
	for (uint32_t n = 0; n < plan->backends.count; n++) {
		struct plan_backend *backend = edit_backend(plan, n);

		if (backend->state == ROW_EMPTY || backend->service != i)
			continue;
		backend->state = state;
		backend->next = PLAN_END;
		if (state == ROW_EMPTY)
			memset(backend, 0, sizeof(*backend));
	}
	service->state = state;
	service->first_listener = PLAN_END;
	service->listeners = 0;
	service->first_backend = PLAN_END;
	service->backends = 0;
	if (state == ROW_EMPTY)
		memset(service, 0, sizeof(*service));
}

/* old loses its first backend. */
static inline void
drop_backend_a(struct plan *plan)
{
	struct plan_service *service = edit_service(plan, KIT_OLD);

	edit_backend(plan, KIT_BACKEND_A)->state = ROW_REMOVED;
	edit_backend(plan, KIT_BACKEND_A)->next = PLAN_END;
	service->first_backend = KIT_BACKEND_B;
	service->backends = 1;
}

/* What stands in a plan of the row. */
enum kit_content {
	PLAN_OLD,       /* old, not new */
	PLAN_NEW,       /* new, and old removed */
	PLAN_NEW_ALONE, /* new, and old forgotten */
	PLAN_BOTH,      /* old and new */
	PLAN_LESS,      /* old, without its first backend */
	PLAN_NEITHER,   /* as PLAN_OLD with old removed */
};

static inline void
edit(struct plan *plan, enum kit_content content)
{
	if (content == PLAN_OLD || content == PLAN_LESS ||
	    content == PLAN_NEITHER)
		drop_service(plan, KIT_NEW, ROW_EMPTY);
	if (content == PLAN_NEW || content == PLAN_NEITHER)
		drop_service(plan, KIT_OLD, ROW_REMOVED);
	if (content == PLAN_NEW_ALONE)
		drop_service(plan, KIT_OLD, ROW_EMPTY);
	if (content == PLAN_LESS)
		drop_backend_a(plan);
}

/* Of plans that are made from here on; 0: as compiled. */
static uint32_t plans_workers;
/* Sockets of other seats that come with the plans that are sent. */
static uint32_t plans_extras;

/* A memfd with a plan of that generation; new's listener was born in it. */
static inline int
plans_make(uint64_t generation, enum kit_content content)
{
	int fd = memfd_create("plan", MFD_CLOEXEC);
	struct plan *plan;
	const char *why = "";

	CHILD_CHECK(fd >= 0 && ftruncate(fd, kit_all->length) == 0);
	plan = mmap(NULL, kit_all->length, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	CHILD_CHECK(plan != MAP_FAILED);
	memcpy(plan, kit_all, kit_all->length);
	plan->generation = generation;
	plan->watchdog_ms = 1000 * generation;
	if (plans_workers != 0)
		plan->workers = plans_workers;
	edit_listener(plan, KIT_LISTENER_NEW)->born = generation;
	edit(plan, content);
	CHILD_CHECK(plan_check(plan, plan->length, &why) == 0);
	(void)munmap(plan, kit_all->length);
	return fd;
}

/* What the master sends and does */

static struct channel_message sent;
static struct channel_extra passed;

static inline void
send_plan(uint64_t generation, enum kit_content content)
{
	channel_init(&sent, CHANNEL_PLAN);
	sent.generation = generation;
	sent.count = plans_extras;
	passed.fds[0] = plans_make(generation, content);
	passed.fds_count = 1;
	follow_take_plan(&kit.w, &sent, &passed);
	channel_close_fds(&passed, 0);
}

/* True if it was taken; else it is closed. */
static inline bool
send_member(uint64_t generation, uint32_t listener, uint32_t seat, int fd)
{
	bool is_taken;

	channel_init(&sent, CHANNEL_LISTENERS);
	sent.generation = generation;
	sent.first = 2 * listener;
	sent.seat = seat;
	passed.fds[0] = fd;
	passed.fds_count = 1;
	(void)!follow_take_sockets(&kit.w, &sent, &passed);
	is_taken = passed.fds_count == 0;
	channel_close_fds(&passed, 0);
	return is_taken;
}

static inline bool
send_socket(uint64_t generation, uint32_t listener, int fd)
{
	return send_member(generation, listener, 0, fd);
}

static char kit_why[CHANNEL_TEXT_MAX];

static inline enum follow_answer
judge(uint64_t generation)
{
	kit_why[0] = '\0';
	return follow_judge(&kit.w, generation, kit_why, sizeof(kit_why));
}

static inline void
commit(uint64_t generation)
{
	atomic_store(&kit.board_head->generation, generation);
}

/* A listening socket on loopback; *master is the master's descriptor of it,
 * kept, as the master has one. */
static inline int
make_listener(int *master)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHILD_CHECK(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	CHILD_CHECK(listen(fd, 16) == 0);
	*master = keep(fcntl(fd, F_DUPFD, BODY_FD_FREE));
	return fd;
}

/* A client's socket, kept; -errno if it is refused. */
static inline int
connect_to(int listener)
{
	struct sockaddr_in sin;
	socklen_t length = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHILD_CHECK(getsockname(listener, (struct sockaddr *)&sin, &length) ==
	    0);
	if (connect(fd, (struct sockaddr *)&sin, length) == 0)
		return keep(fd);
	(void)close(fd);
	return -errno;
}

/* park's sockets, as long as nothing is kept in their places. */
static inline void
fill_places(void)
{
	kept = 0;
	for (uint32_t i = keep_row; i < kit_all->listeners.count; i++)
		keep(eventfd(0, EFD_NONBLOCK));
	kept = 0;
}

/* A worker that has its first plan in use, old's listener, and no more. */
static inline int
plans_begin(int *master)
{
	int fd;

	kit_table(&kit);
	memset(kit.w.head->plans, 0, sizeof(kit.w.head->plans));
	(void)close(kit.plan_fd);
	kit.w.head->log_level = LEVEL_DEBUG;
	pipes_init(&kit.w.pipes, kit.w.head);
	atomic_store(&kit.board_head->generation, 0);
	fill_places();
	send_plan(1, PLAN_OLD);
	CHILD_CHECK(kit.w.head->plans[0].generation == 1);
	CHILD_CHECK(judge(1) == FOLLOW_INCOMPLETE);
	fd = make_listener(master);
	CHILD_CHECK(send_socket(1, KIT_LISTENER_OLD, fd));
	commit(1);
	CHILD_CHECK(follow_next(&kit.w));
	CHILD_CHECK(kit.w.generation == 1);
	return fd;
}

/* The same, and it has plan 2 with new's listener. */
static inline void
plans_prepare(enum kit_content content, int *master_old, int *master_new)
{
	(void)plans_begin(master_old);
	send_plan(2, content);
	CHILD_CHECK(judge(2) == FOLLOW_INCOMPLETE);
	CHILD_CHECK(send_socket(2, KIT_LISTENER_NEW,
	    make_listener(master_new)));
	CHILD_CHECK(judge(2) == FOLLOW_READY);
}

/* The worker dies here, and a successor is through its sweep. */
static inline void
plans_die(void)
{
	kit_revive(&kit);
	kit.w.beside = NULL;
	CHILD_CHECK(sweep(&kit.w) == 0);
	follow_recover(&kit.w);
}

static inline uint32_t
count_slots(uint32_t service)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < kit.w.head->slots_used; i++) {
		const struct slot *slot = &kit.w.body.slots[i];

		count += slot->state != CONN_FREE && slot->service == service;
	}
	return count;
}

#endif
