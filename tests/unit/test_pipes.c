/*
 * test_pipes - the pipes of a body.
 */
#include <fcntl.h>
#include <string.h>

#include "server/worker/pipes.h"
#include "tests/unit/child.h"

static struct body_head head;
static struct pipes pipes;

static void
begin(uint32_t max)
{
	memset(&head, 0, sizeof(head));
	head.pipes_max = max;
	pipes_init(&pipes, &head);
}

START_TEST(as_many_as_there_may_be)
{
	uint16_t held[3] = {0};
	uint16_t more = 0;

	begin(3);
	for (int i = 0; i < 3; i++) {
		ck_assert(pipes_has_free(&pipes));
		ck_assert(pipes_take(&pipes, &held[i]));
		ck_assert_int_eq(held[i], i + 1);
	}
	ck_assert(!pipes_has_free(&pipes));
	ck_assert(!pipes_take(&pipes, &more));
	ck_assert_int_eq(more, 0);
	pipes_give(&pipes, &held[1]);
	ck_assert_int_eq(held[1], 0);
	ck_assert(pipes_has_free(&pipes));
	ck_assert(pipes_take(&pipes, &more));
	ck_assert_int_eq(more, 2);
	ck_assert_uint_eq(pipes.used, 3);
}
END_TEST

START_TEST(a_pipe_is_ready_and_big)
{
	struct body_pipe *pipe = &head.pipes[0];
	uint16_t held = 0;

	begin(1);
	ck_assert(pipes_take(&pipes, &held));
	ck_assert_int_eq(pipe->state, PIPE_READY);
	ck_assert_int_eq(fcntl(pipe->fd[1], F_GETPIPE_SZ), (int)pipe->bytes);
	ck_assert_uint_ge(pipe->bytes, 4096);
	for (int end = 0; end < 2; end++) {
		ck_assert_int_ne(fcntl(pipe->fd[end], F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_ne(fcntl(pipe->fd[end], F_GETFD) & FD_CLOEXEC, 0);
	}
	ck_assert_int_eq(pipes_content(&pipes, held), 0);
	ck_assert_int_eq(write(pipe->fd[1], "abc", 3), 3);
	ck_assert_int_eq(pipes_content(&pipes, held), 3);
}
END_TEST

/* What is in it must never reach another connection. */
START_TEST(a_destroyed_pipe_is_gone)
{
	uint16_t held = 0;
	int before = count_fds();

	begin(2);
	ck_assert(pipes_take(&pipes, &held));
	ck_assert_int_eq(write(head.pipes[0].fd[1], "abc", 3), 3);
	pipes_destroy(&pipes, &held);
	ck_assert_int_eq(held, 0);
	ck_assert_uint_eq(pipes.used, 0);
	ck_assert_int_eq(head.pipes[0].state, PIPE_NONE);
	ck_assert_int_eq(count_fds(), before);
	ck_assert(pipes_take(&pipes, &held));
	ck_assert_int_eq(pipes_content(&pipes, held), 0);
}
END_TEST

START_TEST(no_descriptors_no_pipe)
{
	pid_t limiter;
	uint16_t held = 0;

	begin(2);
	limiter = limit_descriptors(3);
	ck_assert(!pipes_take(&pipes, &held));
	limit_end(limiter);
	ck_assert_int_eq(held, 0);
	ck_assert_int_eq(head.pipes[0].state, PIPE_NONE);
	ck_assert(pipes_take(&pipes, &held));
	ck_assert_int_eq(held, 1);
}
END_TEST

START_TEST(adopted_ones_are_taken_first)
{
	uint16_t held = 0;

	begin(4);
	ck_assert(pipes_take(&pipes, &held));
	pipes_init(&pipes, &head);
	pipes.used = 1;
	pipes_adopt(&pipes, 1);
	ck_assert(pipes_take(&pipes, &held));
	ck_assert_int_eq(held, 1);
	ck_assert(pipes_take(&pipes, &held));
	ck_assert_int_eq(held, 2);
}
END_TEST

UNIT_MAIN("pipes", as_many_as_there_may_be, a_pipe_is_ready_and_big,
    a_destroyed_pipe_is_gone, no_descriptors_no_pipe,
    adopted_ones_are_taken_first)
