/*
 * courier - what the master and a worker tell each other; see courier.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/access.h"
#include "server/master/closing.h"
#include "server/master/courier.h"
#include "server/master/deaths.h"
#include "server/master/handover.h"
#include "server/master/logger.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/outbox.h"
#include "server/master/process.h"
#include "server/master/reload.h"
#include "server/master/upgrade.h"
#include "server/state/channel.h"

#define MESSAGES_A_ROUND 64

/* The worker's process */

static void
drop_worker(struct body_ref *ref)
{
	if (ref->worker_pidfd >= 0) {
		loop_remove(ref->master->loop, &ref->worker_end);
		close(ref->worker_pidfd);
	}
	ref->worker_pidfd = -1;
	ref->worker_pid = 0;
}

static void
on_worker_end(struct loop_watch *watch, uint32_t events)
{
	struct body_ref *ref = watch->arg;

	pid_t pid = ref->worker_pid;

	(void)events;
	drop_worker(ref);
	/* If its holder is gone it came to us (we are the subreaper). */
	(void)waitpid(pid, NULL, WNOHANG);
	deaths_note(ref);
	ref->worker_gone(ref);
}

/*
 * The kernel says who sent the hello.  It must be a child of our holder, or
 * of ours since that died: any process that a worker leaves behind comes to
 * us.  That is asked after the pidfd is there, so that a number that was given
 * to another process meanwhile is not taken for it (M1).
 */
static bool
is_worker(const struct body_ref *ref, pid_t pid)
{
	if (ref->holder_pid != 0)
		return process_parent(pid) == ref->holder_pid;
	/* Another master's come to whoever is the subreaper now. */
	if (ref->is_foreign)
		return process_is_named(pid, PROCESS_WORKER);
	return process_parent(pid) == getpid();
}

static int
open_worker(const struct body_ref *ref, pid_t pid)
{
	int fd;

	if (pid == ref->holder_pid)
		return -ECHILD;
	fd = process_open(pid);
	if (fd < 0 || is_worker(ref, pid))
		return fd;
	close(fd);
	return -ECHILD;
}

static int
watch_worker(struct body_ref *ref, pid_t pid, int fd)
{
	int rc;

	ref->worker_end = (struct loop_watch){
	    .fd = fd,
	    .events = EPOLLIN,
	    .ready = on_worker_end,
	    .arg = ref,
	};
	rc = loop_add(ref->master->loop, &ref->worker_end);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	ref->worker_pid = pid;
	ref->worker_pidfd = fd;
	return 0;
}

void
courier_greet(struct body_ref *ref, pid_t pid)
{
	int fd;

	if (pid <= 0 || pid == ref->worker_pid)
		return;
	/* Out of descriptors, or too early to tell: courier_retry() and the
	 * holder's end come back to it. */
	ref->greeted_pid = pid;
	fd = open_worker(ref, pid);
	if (fd < 0)
		return;
	deaths_note(ref);
	drop_worker(ref);
	if (watch_worker(ref, pid, fd) == 0)
		ref->greeted_pid = 0;
}

/* Sending */

static void
note_end(struct body_ref *ref)
{
	if (ref->deaf_ms == 0)
		ref->deaf_ms = loop_now_ms(ref->master->loop);
}

static void
send_all(struct body_ref *ref)
{
	int rc;

	if (ref->channel_fd < 0)
		return;
	rc = outbox_send(ref);
	/* Full: go on when there is room.  Too much in flight: courier_retry()
	 * does.  Else the body is gone, or has shut the channel. */
	ref->is_behind = rc < 0 && rc != -EAGAIN;
	if (rc == -EPIPE)
		note_end(ref);
	(void)!loop_change(ref->master->loop, &ref->channel,
	    rc == -EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void
courier_retry(struct body_ref *ref)
{
	if (ref->worker_pid == 0)
		courier_greet(ref, ref->greeted_pid);
	if (ref->is_behind)
		send_all(ref);
}

void
courier_send(struct body_ref *ref)
{
	send_all(ref);
}

/* Receiving */

static void
on_follows(struct body_ref *ref, uint64_t generation)
{
	ref->follows = generation;
	notify_on_worker(ref->master);
	upgrade_on_worker(ref->master);
	reload_on_worker(ref->master);
	handover_wake(ref->master);
}

static void
on_hello(struct body_ref *ref, const struct channel_message *message, pid_t pid)
{
	courier_greet(ref, pid);
	access_check(ref);
	outbox_repeat(ref);
	send_all(ref);
	on_follows(ref, message->generation);
}

static void
on_ready(struct body_ref *ref, uint64_t generation)
{
	outbox_ready(ref, generation);
	reload_on_worker(ref->master);
}

/* Make what a worker wrote a string. */
static char *
text_of(struct channel_message *message)
{
	message->text[message->text_length < CHANNEL_TEXT_MAX
		? message->text_length
		: CHANNEL_TEXT_MAX - 1] = '\0';
	return log_printable(message->text);
}

static void
on_log(struct body_ref *ref, struct channel_message *message)
{
	enum log_level level = message->level > LEVEL_DEBUG
	    ? LEVEL_DEBUG
	    : (enum log_level)message->level;

	if (ref->log_budget == 0) {
		ref->log_lost++;
		return;
	}
	ref->log_budget--;
	if (level <= ref->master->worker_level)
		logger_write_worker(level, ref->seat, text_of(message));
}

static void
on_message(struct body_ref *ref, struct channel_message *message,
    struct channel_extra *extra)
{
	channel_close_fds(extra, 0);
	switch ((enum channel_type)message->type) {
	case CHANNEL_HELLO:
		on_hello(ref, message, extra->pid);
		break;
	case CHANNEL_READY:
		on_ready(ref, message->generation);
		break;
	case CHANNEL_REFUSED:
		reload_on_refused(ref, message->generation, text_of(message));
		break;
	case CHANNEL_FOLLOWS:
		on_follows(ref, message->generation);
		break;
	case CHANNEL_CLOSED:
		closing_on_answer(ref, message->request, message->count);
		break;
	case CHANNEL_ACCESS:
		access_wake(ref);
		break;
	case CHANNEL_JOINED:
		handover_on_joined(ref, message->request);
		break;
	case CHANNEL_GIVEN:
		handover_on_given(ref, message);
		break;
	case CHANNEL_LOG:
		on_log(ref, message);
		break;
	default:
		break;
	}
}

/* Returns 1 if there may be more, 0 at the channel's end, or -errno. */
static int
take_messages(struct body_ref *ref)
{
	static struct channel_message message;
	static struct channel_extra extra;
	int rc;

	for (int i = 0; i < MESSAGES_A_ROUND; i++) {
		rc = channel_receive(ref->channel_fd, &message, &extra);
		if (rc == 1)
			on_message(ref, &message, &extra);
		else if (rc != -EPROTO && rc != -EPROTONOSUPPORT &&
		    rc != -EMFILE)
			return rc;
	}
	return 1;
}

void
courier_receive(struct body_ref *ref)
{
	(void)take_messages(ref);
}

static void
on_channel(struct loop_watch *watch, uint32_t events)
{
	struct body_ref *ref = watch->arg;
	int rc = take_messages(ref);

	if ((events & EPOLLOUT) != 0)
		send_all(ref);
	if (rc == 1 || (rc < 0 && (events & (EPOLLHUP | EPOLLERR)) == 0))
		return;
	/* The end: the body's table is gone, its holder is about to be
	 * reaped.  If it is not, bodies.c sees to that. */
	loop_remove(ref->master->loop, watch);
	note_end(ref);
}

static int
watch_channel(struct body_ref *ref, int fd)
{
	int rc;

	ref->channel = (struct loop_watch){
	    .fd = fd,
	    .events = EPOLLIN,
	    .ready = on_channel,
	    .arg = ref,
	};
	rc = loop_add(ref->master->loop, &ref->channel);
	if (rc < 0)
		close(fd);
	ref->channel_fd = rc < 0 ? -1 : fd;
	return rc;
}

int
courier_open(struct body_ref *ref, int *theirs)
{
	int pair[2];
	int rc = channel_open(pair);

	if (rc < 0)
		return rc;
	rc = watch_channel(ref, pair[0]);
	if (rc < 0)
		close(pair[1]);
	else
		*theirs = pair[1];
	return rc;
}

int
courier_adopt(struct body_ref *ref, int channel_fd, pid_t pid, int pidfd)
{
	int rc = watch_channel(ref, channel_fd);

	if (rc < 0)
		close(pidfd);
	return rc < 0 ? rc : watch_worker(ref, pid, pidfd);
}

void
courier_close(struct body_ref *ref)
{
	drop_worker(ref);
	ref->greeted_pid = 0;
	if (ref->channel_fd >= 0) {
		loop_remove(ref->master->loop, &ref->channel);
		close(ref->channel_fd);
	}
	ref->channel_fd = -1;
	ref->deaf_ms = 0;
	ref->follows = 0;
	outbox_clear(ref);
}
