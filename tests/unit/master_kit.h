/*
 * master_kit - a master without processes: its loop, board, listeners and
 * channels are real; the workers are played by the test, from a timer.
 */
#ifndef SRVD_TESTS_MASTER_KIT_H
#define SRVD_TESTS_MASTER_KIT_H

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "server/master/courier.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/reload.h"
#include "server/state/channel.h"
#include "tests/unit/config_file.h"
#include "tests/unit/sockets.h"

#define KIT_WORKERS 2
#define KIT_TURN_MS 2
/* Two for each seat; their rows: */
#define KIT_BODIES (2 * KIT_WORKERS)
#define KIT_ROW(i) ((i) % KIT_WORKERS + (i) / KIT_WORKERS * PLAN_WORKERS_MAX)

/* How a worker is played. */
enum kit_manner {
	KIT_OBEYS,
	KIT_SILENT,  /* never ready */
	KIT_REFUSES, /* says no */
	KIT_STAYS,   /* ready, but follows nothing */
	KIT_FROZEN,  /* does not even read */
};

struct kit_worker {
	int fd; /* its end of the channel */
	enum kit_manner manner;
	uint64_t follows;
	uint64_t plan;    /* the last that came */
	uint64_t aborted; /* the last it was told to forget */
	unsigned plans;   /* so many came */
	unsigned sockets; /* with the last plan */
	struct channel_message close;
	unsigned closes;
	uint32_t level; /* the last that came, and for whom */
	uint32_t level_of;
	unsigned levels;
	unsigned retires;
	unsigned extras; /* sockets of other seats, with the last plan */
	struct channel_message give; /* the last that came, and its end */
	struct channel_message take;
	int give_fd;
	int take_fd;
	bool joins; /* says that an end has come */
};

static struct master kit;
static struct kit_worker kit_workers[KIT_BODIES];
static struct loop_timer kit_timer;
static struct loop_timer kit_end;
static bool kit_is_late;

static inline void
kit_say(unsigned i, const struct channel_message *message)
{
	ck_assert_int_eq(channel_send(kit_workers[i].fd, message, NULL, 0), 0);
}

static inline void
kit_tell(unsigned i, enum channel_type type, uint64_t generation)
{
	struct channel_message message;

	channel_init(&message, type);
	message.generation = generation;
	kit_say(i, &message);
}

static inline void
kit_refuse(unsigned i, uint64_t generation, const char *why)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_REFUSED);
	message.generation = generation;
	message.text_length = (uint32_t)strlen(why);
	memcpy(message.text, why, message.text_length);
	kit_say(i, &message);
}

static inline void
kit_answer_plan(unsigned i, uint64_t generation)
{
	struct kit_worker *worker = &kit_workers[i];

	worker->plan = generation;
	worker->plans++;
	worker->sockets = 0;
	worker->extras = 0;
	if (worker->manner == KIT_OBEYS || worker->manner == KIT_STAYS)
		kit_tell(i, CHANNEL_READY, generation);
	else if (worker->manner == KIT_REFUSES)
		kit_refuse(i, generation, "not\nnow");
}

/* Its end of a hand-over. */
static inline void
kit_join(unsigned i, const struct channel_message *message,
    struct channel_message *kept, int *fd, struct channel_extra *extra)
{
	struct channel_message answer;

	*kept = *message;
	if (*fd > 0)
		(void)close(*fd);
	*fd = extra->fds_count == 1 ? extra->fds[0] : -1;
	extra->fds_count = 0;
	channel_init(&answer, CHANNEL_JOINED);
	answer.request = message->request;
	if (kit_workers[i].joins)
		kit_say(i, &answer);
}

static inline void
kit_take(unsigned i, const struct channel_message *message,
    struct channel_extra *extra)
{
	struct kit_worker *worker = &kit_workers[i];

	switch ((enum channel_type)message->type) {
	case CHANNEL_PLAN:
		kit_answer_plan(i, message->generation);
		break;
	case CHANNEL_LISTENERS:
		worker->sockets += extra->fds_count;
		if (message->seat != kit.bodies.refs[KIT_ROW(i)].seat)
			worker->extras += extra->fds_count;
		break;
	case CHANNEL_RETIRE:
		worker->retires++;
		break;
	case CHANNEL_GIVE:
		kit_join(i, message, &worker->give, &worker->give_fd, extra);
		break;
	case CHANNEL_TAKE:
		kit_join(i, message, &worker->take, &worker->take_fd, extra);
		break;
	case CHANNEL_ABORT:
		worker->aborted = message->generation;
		break;
	case CHANNEL_LEVEL:
		worker->level = message->level;
		worker->level_of = message->first;
		worker->levels++;
		break;
	case CHANNEL_CLOSE:
		worker->close = *message;
		worker->closes++;
		break;
	default:
		break;
	}
}

static inline void
kit_turn_of(unsigned i)
{
	static struct channel_message message;
	static struct channel_extra extra;
	struct kit_worker *worker = &kit_workers[i];
	uint64_t force = atomic_load(&kit.board.head->generation);

	if (worker->manner == KIT_FROZEN || worker->fd <= 0)
		return;
	while (channel_receive(worker->fd, &message, &extra) == 1) {
		kit_take(i, &message, &extra);
		channel_close_fds(&extra, 0);
	}
	if (worker->manner == KIT_OBEYS && worker->follows != force) {
		worker->follows = force;
		kit_tell(i, CHANNEL_FOLLOWS, force);
	}
}

static inline void
kit_on_turn(struct loop_timer *timer)
{
	bodies_reap(&kit);
	for (unsigned i = 0; i < KIT_BODIES; i++)
		kit_turn_of(i);
	loop_timer_set(kit.loop, timer, KIT_TURN_MS);
}

static inline void
kit_begin_turns(void)
{
	kit_timer = (struct loop_timer){.due = kit_on_turn};
	loop_timer_set(kit.loop, &kit_timer, 0);
}

static inline void
kit_on_end(struct loop_timer *timer)
{
	(void)timer;
	kit_is_late = true;
	loop_stop(kit.loop);
}

/* Until loop_stop(), at most ms: then false. */
static inline bool
kit_run(uint64_t ms)
{
	kit_is_late = false;
	kit_end = (struct loop_timer){.due = kit_on_end};
	loop_timer_set(kit.loop, &kit_end, ms);
	ck_assert_int_eq(loop_run(kit.loop), 0);
	loop_timer_cancel(kit.loop, &kit_end);
	return !kit_is_late;
}

static inline void
kit_add_body(uint32_t i)
{
	struct body_spec spec = {
	    .row = i,
	    .seat = i,
	    .slots_max = 16,
	    .pipes_max = 8,
	    .plan = kit.plan,
	};
	struct body_ref *ref = &kit.bodies.refs[i];

	*ref = (struct body_ref){
	    .master = &kit,
	    .row = i,
	    .seat = i,
	    .is_current = true,
	    .channel_fd = -1,
	    .worker_pidfd = -1,
	    .log_budget = 100,
	    .body_fd = body_create(&spec),
	};
	ck_assert_int_ge(ref->body_fd, 0);
	ck_assert_int_eq(body_map(ref->body_fd, 0, &ref->body), 0);
	board_set_live(kit.board_head, i, true);
	kit_workers[i] = (struct kit_worker){.fd = -1};
	ck_assert_int_eq(courier_open(ref, &kit_workers[i].fd), 0);
}

static inline void
kit_configure(const char *services)
{
	char text[4096];

	(void)snprintf(text, sizeof(text),
	    "workers = %d\nuser = nobody\nlog { level = warn }\n%s",
	    KIT_WORKERS, services);
	write_text("kit.conf", text);
}

static inline void
kit_open_board(void)
{
	ck_assert_int_eq(board_create(&kit.board_fd, &kit.board_read_fd), 0);
	ck_assert_int_eq(board_map(kit.board_read_fd, &kit.board), 0);
	kit.board_head = board_map_head(kit.board_fd);
	ck_assert_ptr_nonnull(kit.board_head);
	atomic_store(&kit.board_head->generation, kit.plan->generation);
}

static inline void
kit_load(const char *services)
{
	static char path[PATH_MAX];
	struct config_result result;

	make_directory();
	kit_configure(services);
	result = load("kit.conf", false);
	if (result.plan == NULL)
		show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	(void)snprintf(path, sizeof(path), "%s", path_of("kit.conf"));
	kit = (struct master){
	    .plan = result.plan,
	    .plan_fd = result.plan_fd,
	    .next_fd = -1,
	    .last_generation = 1,
	    .config_path = path,
	    .nofile = 20000,
	    .level = LEVEL_WARN,
	    .worker_level = LEVEL_WARN,
	    .reload_ok = true,
	};
	memset(kit.service_levels, MASTER_NO_LEVEL, sizeof(kit.service_levels));
}

static inline void
kit_start_workers(void)
{
	kit.bodies.refs = calloc(BOARD_ROWS, sizeof(*kit.bodies.refs));
	ck_assert_ptr_nonnull(kit.bodies.refs);
	for (uint32_t i = 0; i < BOARD_ROWS; i++)
		kit.bodies.refs[i].body_fd = -1;
	kit.bodies.count = KIT_WORKERS;
	for (uint32_t i = 0; i < KIT_WORKERS; i++) {
		kit_add_body(i);
		kit_tell(i, CHANNEL_HELLO, 0);
	}
	kit_begin_turns();
	(void)kit_run(50);
	for (uint32_t i = 0; i < KIT_WORKERS; i++)
		ck_assert_uint_eq(kit.bodies.refs[i].follows, 1);
}

/* All that there is before bodies are started. */
static inline void
kit_open_master(const char *services)
{
	char why[640];

	kit_load(services);
	ck_assert_int_eq(loop_new(&kit.loop), 0);
	ck_assert_int_eq(notify_open(&kit), 0);
	ck_assert_int_eq(logger_open(kit.plan, 0, why, sizeof(why)), 0);
	kit_open_board();
	ck_assert_int_eq(reload_open(&kit), 0);
	ck_assert_int_eq(listeners_open(&kit.listeners, kit.plan, why,
			     sizeof(why)),
	    0);
}

/* A gateway that runs: all workers have the plan and follow it. */
static inline void
kit_open(const char *services)
{
	kit_open_master(services);
	kit_start_workers();
}

/* Reloads */

struct kit_outcome {
	unsigned count; /* of times that it was told */
	bool ok;
	uint64_t generation;
	size_t changes;
	size_t errors;
	uint64_t connections; /* of the first change */
	char action[16];
	char stage[16];
	char message[640];
};

static inline void
kit_on_done(void *arg, const struct reload_outcome *outcome)
{
	struct kit_outcome *told = arg;

	told->count++;
	told->ok = outcome->ok;
	told->generation = outcome->generation;
	told->changes = outcome->changes_count;
	told->errors = outcome->errors_count;
	if (outcome->changes_count > 0) {
		told->connections = outcome->changes[0].connections;
		(void)snprintf(told->action, sizeof(told->action), "%s",
		    outcome->changes[0].action);
	}
	(void)snprintf(told->stage, sizeof(told->stage), "%s", outcome->stage);
	(void)snprintf(told->message, sizeof(told->message), "%s",
	    outcome->message);
	/* It may not begin another one from here. */
	ck_assert_int_eq(reload_begin(&kit, true, NULL, NULL), -EBUSY);
	loop_stop(kit.loop);
}

/* Begin one, and run until it is told what came of it. */
static inline struct kit_outcome
kit_reload(bool dry_run)
{
	static struct kit_outcome told;

	told = (struct kit_outcome){.count = 0};
	ck_assert_int_eq(reload_begin(&kit, dry_run, kit_on_done, &told), 0);
	ck_assert_uint_eq(told.count, 0);
	ck_assert(kit_run(15000));
	ck_assert_uint_eq(told.count, 1);
	/* What was said last is taken. */
	(void)kit_run(20);
	return told;
}

static inline uint16_t
kit_port(uint32_t number)
{
	return kit.listeners.groups[number].bound.port;
}

/* Does somebody listen there? */
static inline bool
kit_listens(uint16_t port)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = connect(fd, (struct sockaddr *)&sin, sizeof(sin));

	(void)close(fd);
	return rc == 0;
}

/* Services for kit_configure(); a gateway starts with the first. */
#define KIT_ONE \
	"service one { listen = 127.0.0.1:0 backend a { address = builtin:echo } }\n"
#define KIT_TWO \
	"service two { listen = {127.0.0.1:0, \"127.0.0.2:0\"} backend b { address = builtin:echo } }\n"

static inline void
kit_expect_unchanged(void)
{
	ck_assert_uint_eq(kit.plan->generation, 1);
	ck_assert_uint_eq(atomic_load(&kit.board.head->generation), 1);
	ck_assert_uint_eq(kit.plan->services.count, 1);
	ck_assert_ptr_null(kit.next);
	ck_assert(kit_listens(kit_port(0)));
	for (uint32_t n = 2; n < kit.listeners.count; n++)
		ck_assert_int_eq(listeners_fd(&kit.listeners, n, 0), -1);
}

static inline void
kit_expect_failure(const struct kit_outcome *told, const char *stage,
    const char *words)
{
	ck_assert(!told->ok);
	ck_assert_str_eq(told->stage, stage);
	ck_assert_msg(strstr(told->message, words) != NULL, "%s",
	    told->message);
	ck_assert(!kit.reload_ok);
	ck_assert_uint_ne(kit.reload_at_us, 0);
	ck_assert_ptr_nonnull(strstr(kit.reload_message, words));
	kit_expect_unchanged();
}

#endif
