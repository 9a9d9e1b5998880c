/*
 * hostile - what a worker does once somebody else has taken it over.
 *
 * Linked into a srvd of its own in the place of the real worker_main: worker 0
 * is hostile, in the way that HOSTILE names at compile time; the others are
 * real ones.  It plays along until it is taken for running.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/state/board.h"
#include "server/state/body.h"
#include "server/state/channel.h"
#include "server/worker/worker.h"
#include "tests/e2e/hostile/hostile.h"

/* What it does ends by itself after this. */
#define ATTACK_S 20

static int
is_over(void)
{
	static time_t end;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (end == 0)
		end = now.tv_sec + ATTACK_S;
	return now.tv_sec >= end;
}

static void
say(enum channel_type type, uint64_t generation)
{
	struct channel_message message;

	channel_init(&message, type);
	message.generation = generation;
	(void)!channel_send(BODY_FD_CHANNEL, &message, NULL, 0);
}

static void
pause_ms(long ms)
{
	struct timespec wait = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&wait, NULL);
}

/* Take away the memory that others read, as far as it can be. */
static void
attack_truncate(struct body *body, struct board_row *row)
{
	(void)row;
	for (int fd = 3; fd < 1024; fd++)
		(void)!ftruncate(fd, 0);
	(void)madvise(body->head, body->size, MADV_REMOVE);
	while (!is_over())
		pause_ms(50);
}

/* Random bytes all over what it may write. */
static void
attack_scribble(struct body *body, struct board_row *row)
{
	uint64_t state = 88172645463325252ULL;
	uint64_t *words = (uint64_t *)body->head;
	size_t count = body->size / sizeof(uint64_t);

	while (!is_over()) {
		for (size_t i = 0; i < count; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			words[i] = state;
		}
		memset(row, (int)state, sizeof(*row));
	}
}

static void
send_junk(void)
{
	char junk[4000];
	int fds[100];
	struct channel_message message;

	memset(junk, 0xa5, sizeof(junk));
	(void)!write(BODY_FD_CHANNEL, junk, sizeof(junk));
	(void)!write(BODY_FD_CHANNEL, junk, 1);
	(void)!write(BODY_FD_CHANNEL, "", 0);
	channel_init(&message, CHANNEL_LOG);
	memset(message.text, 'x', CHANNEL_TEXT_MAX);
	message.level = 0xffffffff;
	message.text_length = CHANNEL_TEXT_MAX;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = BODY_FD_NULL;
	(void)!channel_send(BODY_FD_CHANNEL, &message, fds, ARRAY_LEN(fds));
	channel_init(&message, CHANNEL_STOP);
	(void)!channel_send(BODY_FD_CHANNEL, &message, NULL, 0);
}

/* More on the channel than anybody can read. */
static void
attack_flood(struct body *body, struct board_row *row)
{
	(void)body;
	(void)row;
	while (!is_over()) {
		send_junk();
		say(CHANNEL_HELLO, 0);
		say(CHANNEL_READY, UINT64_MAX);
		say(CHANNEL_REFUSED, 2);
		say(CHANNEL_FOLLOWS, UINT64_MAX);
		say(CHANNEL_CLOSED, 1);
		say(CHANNEL_ACCESS, 0);
	}
}

/* Die as fast as possible. */
static void
attack_crash(struct body *body, struct board_row *row)
{
	(void)body;
	(void)row;
	abort();
}

/* Say nothing more, as the kernel sees it. */
static void
attack_shut(struct body *body, struct board_row *row)
{
	(void)body;
	(void)row;
	(void)shutdown(BODY_FD_CHANNEL, SHUT_WR);
	while (!is_over())
		pause_ms(50);
}

/* Hear nothing more. */
static void
attack_deaf(struct body *body, struct board_row *row)
{
	(void)body;
	(void)row;
	(void)shutdown(BODY_FD_CHANNEL, SHUT_RD);
	while (!is_over())
		pause_ms(50);
}

int
hostile_main(struct body *body, const struct board *board,
    struct board_row *row)
{
	static void (*const attacks[])(struct body *, struct board_row *) = {
	    [HOSTILE_TRUNCATE] = attack_truncate,
	    [HOSTILE_SCRIBBLE] = attack_scribble,
	    [HOSTILE_FLOOD] = attack_flood,
	    [HOSTILE_CRASH] = attack_crash,
	    [HOSTILE_SHUT] = attack_shut,
	    [HOSTILE_DEAF] = attack_deaf,
	};

	if (body->head->seat != 0)
		return worker_main(body, board, row);
	say(CHANNEL_HELLO, 0);
	say(CHANNEL_READY, 1);
	say(CHANNEL_FOLLOWS, 1);
	pause_ms(300);
	attacks[HOSTILE](body, row);
	return EXIT_SUCCESS;
}
