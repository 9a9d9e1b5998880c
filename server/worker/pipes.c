/*
 * pipes - the pipes of a body; see pipes.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/worker/pipes.h"

#define PIPES_RESERVED 4

void
pipes_init(struct pipes *p, struct body_head *head)
{
	p->table = head->pipes;
	p->max = head->pipes_max;
	p->used = 0;
	p->free_count = 0;
	p->is_short = false;
}

void
pipes_adopt(struct pipes *p, uint16_t number)
{
	p->free[p->free_count++] = number;
}

bool
pipes_has_free(const struct pipes *p)
{
	return p->free_count > 0 || p->used < p->max;
}

bool
pipes_are_scarce(const struct pipes *p)
{
	return p->is_short || p->free_count + p->max - p->used <= p->max / 4;
}

/* Make the pipe of a table's entry that has none. */
static bool
make(struct body_pipe *pipe)
{
	int bytes;

	pipe->state = PIPE_MAKING;
	if (pipe2(pipe->fd, O_NONBLOCK | O_CLOEXEC) < 0) {
		pipe->state = PIPE_NONE;
		return false;
	}
	(void)fcntl(pipe->fd[1], F_SETPIPE_SZ, PIPES_BYTES);
	bytes = fcntl(pipe->fd[1], F_GETPIPE_SZ);
	pipe->bytes = bytes > 0 ? (uint32_t)bytes : 4096;
	/* Last: a pipe of no known size must not outlive us as a ready one. */
	atomic_signal_fence(memory_order_seq_cst);
	pipe->state = PIPE_READY;
	return true;
}

bool
pipes_take(struct pipes *p, uint16_t *holder)
{
	if (p->free_count > 0) {
		*holder = p->free[--p->free_count];
		return true;
	}
	for (uint32_t i = 0; i < p->max && p->used < p->max; i++) {
		if (p->table[i].state != PIPE_NONE)
			continue;
		p->is_short = !make(&p->table[i]);
		if (p->is_short)
			return false;
		p->used++;
		*holder = (uint16_t)(i + 1);
		return true;
	}
	return false;
}

void
pipes_reserve(struct pipes *p)
{
	uint16_t taken[PIPES_RESERVED] = {0};
	size_t count = 0;

	while (p->free_count + count < PIPES_RESERVED &&
	    pipes_take(p, &taken[count]))
		count++;
	while (count > 0)
		pipes_give(p, &taken[--count]);
}

void
pipes_give(struct pipes *p, uint16_t *holder)
{
	uint16_t number = *holder;

	*holder = 0;
	p->free[p->free_count++] = number;
}

void
pipes_destroy(struct pipes *p, uint16_t *holder)
{
	struct body_pipe *pipe = &p->table[*holder - 1];
	int fd[2] = {pipe->fd[0], pipe->fd[1]};

	/* In this order: a pipe that is ready and nobody's is the sweep's, and
	 * one that a slot names must be ready. */
	*holder = 0;
	atomic_signal_fence(memory_order_seq_cst);
	/* From here on the numbers stand nowhere: a death leaves them to the
	 * sweep, which closes what nobody claims. */
	pipe->state = PIPE_NONE;
	atomic_signal_fence(memory_order_seq_cst);
	p->used--;
	close(fd[0]);
	close(fd[1]);
}

bool
pipes_enter(struct pipes *p, uint16_t *holder, const int fds[2], uint32_t bytes)
{
	struct body_pipe *pipe;

	for (uint32_t i = 0; i < p->max && p->used < p->max; i++) {
		pipe = &p->table[i];
		if (pipe->state != PIPE_NONE)
			continue;
		*holder = (uint16_t)(i + 1);
		pipe->fd[0] = fds[0];
		pipe->fd[1] = fds[1];
		pipe->bytes = bytes;
		atomic_signal_fence(memory_order_seq_cst);
		pipe->state = PIPE_READY;
		p->used++;
		return true;
	}
	return false;
}

bool
pipes_make_room(struct pipes *p, uint32_t count)
{
	uint16_t number;

	while (p->max - p->used < count && p->free_count > 0) {
		number = p->free[--p->free_count];
		pipes_destroy(p, &number);
	}
	return p->max - p->used >= count;
}

void
pipes_leave(struct pipes *p, uint16_t *holder)
{
	struct body_pipe *pipe = &p->table[*holder - 1];
	int fd[2] = {pipe->fd[0], pipe->fd[1]};

	/* The other way round than above: ready and nobody's it would be taken
	 * for free. */
	pipe->state = PIPE_NONE;
	atomic_signal_fence(memory_order_seq_cst);
	*holder = 0;
	p->used--;
	close(fd[0]);
	close(fd[1]);
}

int
pipes_content(const struct pipes *p, uint16_t number)
{
	int bytes = 0;

	if (ioctl(p->table[number - 1].fd[0], FIONREAD, &bytes) < 0)
		return -errno;
	return bytes;
}
