/*
 * pipes - the pipes of a body; see pipes.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "server/worker/pipes.h"

void
pipes_init(struct pipes *p, struct body_head *head)
{
	p->table = head->pipes;
	p->max = head->pipes_max;
	p->used = 0;
	p->free_count = 0;
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
	return p->free_count + p->max - p->used <= p->max / 4;
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
	pipe->state = PIPE_READY;
	(void)fcntl(pipe->fd[1], F_SETPIPE_SZ, PIPES_BYTES);
	bytes = fcntl(pipe->fd[1], F_GETPIPE_SZ);
	pipe->bytes = bytes > 0 ? (uint32_t)bytes : 4096;
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
		if (!make(&p->table[i]))
			return false;
		p->used++;
		*holder = (uint16_t)(i + 1);
		return true;
	}
	return false;
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

	/* From here on the numbers stand nowhere: a death leaves them to the
	 * sweep, which closes what nobody claims. */
	pipe->state = PIPE_NONE;
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
