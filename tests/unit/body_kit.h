/*
 * body_kit - a worker's view made by hand: a plan from a text, a body, a
 * board, and the caches of a worker that has not begun.
 *
 * kit_table() gives the process the fixed descriptors of a body and closes
 * all others: in a child of its own (child.h), as a sweep closes Check's.
 */
#ifndef SRVD_TESTS_BODY_KIT_H
#define SRVD_TESTS_BODY_KIT_H

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "server/worker/pick.h"
#include "server/worker/worker.h"
#include "tests/unit/child.h"
#include "tests/unit/config_file.h"

#define KIT_SLOTS 32
#define KIT_PIPES 8
/* Numbers from here on are out of the way of what a test sets up. */
#define KIT_FD_HIGH 60

struct kit {
	struct worker w;
	struct board board;
	struct board_head *board_head;
	struct board_row *row_one; /* another body's, of seat 1 */
	int plan_fd;
	int board_fd;
};

/* What was logged last, in this process. */
static char kit_line[LOG_LINE_SIZE];
static unsigned kit_lines;

static inline void
kit_log(enum log_level level, const char *line)
{
	if (level > LEVEL_WARN)
		return;
	(void)snprintf(kit_line, sizeof(kit_line), "%s", line);
	kit_lines++;
}

static inline uint64_t
kit_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Compile the text; Check's process. */
static inline void
kit_compile(struct kit *kit, const char *text)
{
	struct config_result result;

	memset(kit, 0, sizeof(*kit));
	make_directory();
	write_text("kit.conf", text);
	result = load("kit.conf", false);
	if (result.plan == NULL)
		show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	kit->w.plan = result.plan;
	kit->plan_fd = result.plan_fd;
}

/* A worker's caches over a new body; what a holder maps and a worker makes. */
static inline void
kit_memory(struct kit *kit)
{
	const struct body_spec spec = {
	    .slots_max = KIT_SLOTS,
	    .pipes_max = KIT_PIPES,
	    .first_id = 1,
	    .plan = kit->w.plan,
	};
	struct worker *w = &kit->w;
	int body_fd = body_create(&spec);
	int read_fd;

	CHILD_CHECK(body_fd >= 0 && body_map(body_fd, 1, &w->body) == 0);
	w->head = w->body.head;
	CHILD_CHECK(board_create(&kit->board_fd, &read_fd) == 0);
	CHILD_CHECK(board_map(read_fd, &kit->board) == 0);
	w->board = &kit->board;
	w->row = board_map_row(kit->board_fd, 0);
	kit->row_one = board_map_row(kit->board_fd, 1);
	kit->board_head = board_map_head(kit->board_fd);
	CHILD_CHECK(w->row != NULL && kit->board_head != NULL);
	board_set_live(kit->board_head, 0, true);
	(void)close(body_fd);
	(void)close(read_fd);
	w->now_ms = kit_now_ms();
	w->listening = calloc((size_t)BODY_SOCKETS_MAX, sizeof(*w->listening));
	w->lower_until_ms = calloc(PLAN_BACKENDS_MAX, sizeof(uint64_t));
	w->free_slots = calloc(KIT_SLOTS + 1, sizeof(uint32_t));
	w->starved.slots = calloc(KIT_SLOTS + 1, sizeof(uint32_t));
	w->starved.queued = calloc(KIT_SLOTS + 1, 1);
	CHILD_CHECK(timers_init(&w->timers, KIT_SLOTS, w->now_ms) == 0);
	log_open(kit_log, LEVEL_DEBUG);
	w->log_level = LEVEL_DEBUG;
}

/* The body's descriptor table: only the fixed numbers, and the plan's. */
static inline void
kit_table(struct kit *kit)
{
	int high = fcntl(kit->plan_fd, F_DUPFD_CLOEXEC, KIT_FD_HIGH);
	int pair[2];
	int fd;

	CHILD_CHECK(high >= 0);
	(void)close_range(BODY_FD_CHANNEL, (unsigned)high - 1, 0);
	(void)close_range((unsigned)high + 1, ~0U, 0);
	fd = open("/dev/null", O_RDWR);
	CHILD_CHECK(dup2(fd, BODY_FD_NULL) == BODY_FD_NULL);
	CHILD_CHECK(dup2(fd, BODY_FD_OUT) == BODY_FD_OUT);
	(void)close(fd);
	CHILD_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	CHILD_CHECK(pair[0] == BODY_FD_CHANNEL);
	fd = epoll_create1(EPOLL_CLOEXEC);
	CHILD_CHECK(fd >= 0 && dup2(fd, BODY_FD_EPOLL) == BODY_FD_EPOLL);
	(void)close_range(BODY_FD_EPOLL + 1, (unsigned)high - 1, 0);
	/* Of the rest of the fixed ones only the numbers matter here. */
	for (int fixed = BODY_FD_EPOLL + 1; fixed < BODY_FD_FREE; fixed++)
		CHILD_CHECK(dup2(BODY_FD_NULL, fixed) == fixed);
	kit->plan_fd = high;
	kit_memory(kit);
	(void)close(kit->board_fd);
	kit->board_fd = -1;
	kit->w.head->plans[0].fd = high;
	kit->w.head->plans[0].generation = 1;
	atomic_store(&kit->board_head->generation, 1);
	/* The sweep maps it by itself. */
	kit->w.plan = NULL;
}

/* As a successor finds itself: the body is what is left, the caches are not. */
static inline void
kit_revive(struct kit *kit)
{
	struct worker *w = &kit->w;
	struct worker old = *w;

	memset(w, 0, sizeof(*w));
	w->body = old.body;
	w->head = old.head;
	w->board = old.board;
	w->row = old.row;
	w->now_ms = old.now_ms;
	w->log_level = LEVEL_DEBUG;
	w->listening = old.listening;
	w->lower_until_ms = old.lower_until_ms;
	w->free_slots = old.free_slots;
	w->starved.slots = old.starved.slots;
	w->starved.queued = old.starved.queued;
	memset(w->starved.queued, 0, KIT_SLOTS + 1);
	free(old.turns);
	timers_release(&old.timers);
	CHILD_CHECK(timers_init(&w->timers, KIT_SLOTS, w->now_ms) == 0);
}

static inline bool
kit_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

#endif
