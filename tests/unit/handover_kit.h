/*
 * handover_kit - a master whose bodies come and go: the real bodies.c, with
 * holders that hold nothing and workers that the test plays.
 */
#ifndef SRVD_TESTS_HANDOVER_KIT_H
#define SRVD_TESTS_HANDOVER_KIT_H

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "server/master/spawn.h"
#include "tests/unit/master_kit.h"

static pid_t holders[KIT_BODIES];
static bool is_spawning = true;

static inline unsigned
index_of(int body_fd)
{
	for (unsigned i = 0; i < KIT_BODIES; i++) {
		if (kit.bodies.refs[KIT_ROW(i)].body_fd == body_fd)
			return i;
	}
	ck_abort_msg("no such body");
}

static inline pid_t
sleep_aside(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	return pid;
}

/* A holder that holds nothing; its worker is the test's. */
static inline pid_t
spawn(uint32_t seat, const struct spawn_fds *fds)
{
	unsigned i = index_of(fds->body_fd);

	ck_assert_uint_eq(seat, i % KIT_WORKERS);
	if (!is_spawning)
		return -ENOMEM;
	kit_workers[i] =
	    (struct kit_worker){.fd = dup(fds->channel_fd), .joins = true};
	ck_assert_int_ge(kit_workers[i].fd, 0);
	holders[i] = sleep_aside();
	return holders[i];
}

static inline struct body_ref *
ref_of(unsigned i)
{
	return &kit.bodies.refs[KIT_ROW(i)];
}

/* The worker of body i is there. */
static inline void
greet(unsigned i)
{
	ref_of(i)->worker_pid = 4711;
	kit_workers[i].follows = 0;
	kit_tell(i, CHANNEL_HELLO, 0);
	(void)kit_run(50);
}

static inline void
set_live(unsigned i, uint32_t live)
{
	struct board_row *row = board_map_row(kit.board_fd, KIT_ROW(i));

	ck_assert_ptr_nonnull(row);
	atomic_store(&row->connections, live);
	(void)munmap(row, sizeof(*row));
}

static inline void
open_gateway(void)
{
	kit_open_master(KIT_ONE);
	kit.bodies.spawn = spawn;
	ck_assert_int_eq(bodies_start(&kit, KIT_WORKERS), 0);
	kit_begin_turns();
	for (unsigned i = 0; i < KIT_WORKERS; i++) {
		greet(i);
		ck_assert_uint_eq(ref_of(i)->follows, 1);
		set_live(i, 3);
	}
}

/* The worker of body i is gone. */
static inline void
leave(unsigned i)
{
	ref_of(i)->worker_pid = 0;
	(void)close(kit_workers[i].fd);
	kit_workers[i].fd = -1;
}

/* The body's holder dies; its worker too, or it lives on. */
static inline void
lose_holder(unsigned i, bool worker_lives)
{
	pid_t before = holders[i];

	if (worker_lives)
		ref_of(i)->worker_pidfd =
		    (int)syscall(SYS_pidfd_open, getpid(), 0);
	else
		leave(i);
	ck_assert_int_eq(kill(holders[i], SIGKILL), 0);
	(void)kit_run(100);
	/* It may have another body already. */
	ck_assert_int_ne(ref_of(i)->holder_pid, before);
}

/* The worker of a body that lost its holder ends as well. */
static inline void
end_worker(unsigned i)
{
	struct body_ref *ref = ref_of(i);

	set_live(i, 0);
	(void)close(ref->worker_pidfd);
	ref->worker_pidfd = -1;
	leave(i);
	ref->worker_gone(ref);
	(void)kit_run(50);
}

static inline void
say_given(unsigned i, uint64_t transfer, uint32_t count, bool is_reset)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_GIVEN);
	message.request = transfer;
	message.count = count;
	message.is_reset = is_reset;
	kit_say(i, &message);
	(void)kit_run(50);
}

#endif
